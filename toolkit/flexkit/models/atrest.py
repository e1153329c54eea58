"""The file that a mode reads: modes without a secure world the GGUF, the others the same model sealed."""

from __future__ import annotations

from pathlib import Path

from flexkit import paths
from flexkit.deadline import Deadline
from flexkit.digest import sha256_of
from flexkit.models import seal, sealed

SEALED_MODES = ("flexserve", "strawman", "strawman-opt")
_VERSION = 1


def for_mode(model: Path, mode: str, deadline: Deadline) -> Path:
    """What to put on the board for ``mode``; sealed on the way if it is not yet. Raises BadInput as sealing does."""
    return sealed_form(model, deadline) if mode in SEALED_MODES else model


def sealed_form(model: Path, deadline: Deadline) -> Path:
    """The model sealed for the board's key, from the cache: sealed once, by its hash and the format's definition.

    A file of the cache is taken as it is: what is wrong with it, the board says.
    """
    key = sealed.test_key()
    folder = paths.cache() / "sealed" / f"{sealed.FORMAT}-{key.name}"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{sha256_of(model)}.sealed"
    if not target.is_file():
        seal.seal(seal.Order(model, model.stem[:60], _VERSION, key), target, deadline)
    return target
