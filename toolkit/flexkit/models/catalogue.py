"""The catalogue (models/catalogue.toml): names for models, where each comes from, and the hash that it must have.

An entry is a committed file (``file``) or a synthetic model (``params``, ``quant``, ``seed``), which is made once and
kept in the cache.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from flexkit import paths
from flexkit.deadline import Deadline
from flexkit.digest import sha256_of
from flexkit.errors import BadInput, FlexError
from flexkit.events import Bus
from flexkit.models import gguf_file, synth
from flexkit.models.vocabulary import Vocabulary


@dataclass(frozen=True)
class Entry:
    """One model of the catalogue. ``sha256`` is empty for a synthetic model that the catalogue does not pin."""

    name: str
    title: str
    sha256: str
    file: str = ""
    recipe: str = ""
    params: str = ""
    quant: str = ""
    seed: int = 0

    @property
    def path(self) -> Path:
        """Where the model is, or will be once it is made."""
        if self.file:
            return folder() / self.file
        return synthetic_path(self.params, self.quant, self.seed)


def folder() -> Path:
    """Where the catalogue and its files lie."""
    return paths.project() / "models"


def load(path: Path | None = None) -> dict[str, Entry]:
    """The catalogue by name. Raises BadInput for a broken one."""
    path = path or folder() / "catalogue.toml"
    try:
        table = tomllib.loads(path.read_text())
        return {name: Entry(name=name, **fields) for name, fields in table["model"].items()}
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{path}: not a catalogue of models: {error}", mend="get the file again") from error


def demo_model() -> Path:
    """The committed demo model. Raises BadInput when it is not there."""
    path = folder() / "demo.gguf"
    if not path.is_file():
        raise BadInput(
            f"{path}: the demo model is missing", mend="get the file again, or train it: flexkit models train demo"
        )
    return path


def vocabulary(model: Path) -> Vocabulary:
    """The vocabulary inside a model file. Raises BadInput when it has no SentencePiece one."""
    return Vocabulary.from_metadata(gguf_file.read(model).metadata)


def synthetic_path(params: str, quant: str, seed: int) -> Path:
    """Where such a model is kept in the cache once it is made."""
    return paths.cache() / "models" / f"v{synth.VERSION}" / f"synth-{params.lower()}-{quant.lower()}-{seed}.gguf"


def synthetic(params: str, quant: str, seed: int, bus: Bus, deadline: Deadline | None = None) -> Path:
    """A synthetic model from the cache, made there if it is not, or is not what the catalogue pins.

    Raises BadInput for a size or quantisation that cannot be made, or a full disk; TimedOut at the deadline.
    """
    path = synthetic_path(params, quant, seed)
    wanted = {entry.path: entry.sha256 for entry in load().values() if entry.params}.get(path, "")
    if path.is_file() and wanted in ("", sha256_of(path)):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    words = vocabulary(demo_model())
    synth.synthesise(path, synth.size_of(params), synth.quant_of(quant), seed, words, bus, deadline)
    found = sha256_of(path)
    if wanted and found != wanted:
        path.unlink()
        raise FlexError(
            f"{path.name} came out as {found[:12]}, the catalogue says {wanted[:12]}", mend="report this: it is a bug"
        )
    return path


def find(name: str, bus: Bus, deadline: Deadline | None = None) -> Path:
    """The file that the user means: a name of the catalogue (made if needed), or a path. Raises BadInput for
    neither."""
    path = Path(name)
    if path.is_file():
        return path
    if path.is_dir():
        raise BadInput(f"{name} is a folder, not a model", mend="name a GGUF file")
    entry = load().get(name)
    if entry is None:
        raise BadInput(
            f"{name!r} is neither a file nor a model of the catalogue", mend="flexkit models list shows the names"
        )
    if entry.params:
        return synthetic(entry.params, entry.quant, entry.seed, bus, deadline)
    if not entry.path.is_file():
        raise BadInput(f"{entry.path}: the model {name!r} is missing", mend="get the file again")
    return entry.path
