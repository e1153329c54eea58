"""A recipe followed: vocabulary, training, GGUF, quality of what was written. Needs the optional extra ``train``."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from flexkit.deadline import Deadline
from flexkit.errors import MissingTool
from flexkit.events import Bus
from flexkit.models import export, gguf_file, inspect
from flexkit.models.gguf_file import Quant
from flexkit.models.recipe import Recipe, vocabulary
from flexkit.models.vocabulary import Vocabulary

if TYPE_CHECKING:
    from flexkit.models.training import Quality


def follow(recipe: Recipe, output: Path, quant: Quant, folder: Path, bus: Bus, deadline: Deadline) -> Quality:
    """Train, write the GGUF, and measure what was written (so after quantisation). ``folder`` keeps the checkpoint.

    Raises MissingTool without the extra ``train``, TimedOut at the deadline (the next call goes on from there).
    """
    training = _training()
    words = vocabulary(recipe)
    run = training.Run(recipe, words, folder)
    run.finish(bus, deadline)
    export.export(output, f"FlexKit {recipe.name}", run.weights, recipe.shape, words, quant)
    return quality_of(output, bus)


def quality_of(model: Path, bus: Bus, stories: int = 200) -> Quality:
    """Measure a model file. Raises BadInput when it is not a model, MissingTool without the extra ``train``."""
    training = _training()
    info = inspect.check(model)
    file = gguf_file.read(model)
    with bus.step("measure", model.name):
        weights = training.network.load(file)
        quality: Quality = training.measure(weights, info.shape, Vocabulary.from_metadata(file.metadata), stories)
    return quality


def _training() -> ModuleType:
    try:
        from flexkit.models import training  # noqa: PLC0415 - torch is there only with the extra
    except ImportError as error:
        raise MissingTool("training needs torch", mend="pip install 'flexkit[train]'") from error
    return training
