"""Trained weights written down as GGUF."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flexkit.models import gguf_file, numbers
from flexkit.models.gguf_file import F32, Draft, Quant
from flexkit.models.shape import Shape
from flexkit.models.vocabulary import Vocabulary

if TYPE_CHECKING:
    from flexkit.models.network import Weights


def export(path: Path, name: str, weights: Weights, shape: Shape, words: Vocabulary, quant: Quant) -> None:
    """Write a model: matrices in ``quant``, norms in F32. Raises BadInput when the file cannot be written."""
    metadata = {
        "general.architecture": "llama",
        "general.name": name,
        "general.file_type": quant.file_type,
        "general.quantization_version": 2,
        **shape.metadata(),
        **words.metadata(),
    }
    drafts = []
    for spec in shape.tensors():
        values = weights[spec.name].detach().numpy()
        kind, dims = (F32, (spec.cols,)) if spec.is_vector else (quant, (spec.cols, spec.rows))
        drafts.append(Draft(spec.name, dims, kind, [numbers.pack(values, kind)]))
    gguf_file.write(path, metadata, drafts)
