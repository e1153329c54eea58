"""A new board in the site's lab file: appended as text, so that what its owner wrote there stays as it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from flexkit import paths, whole
from flexkit.boards.lab import lab_file, load_lab
from flexkit.errors import BadInput

_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_-]*$")


Value = str | int
Settings = Mapping[str, Value | Mapping[str, Value]]
"""What a lab file says of a board: plain values, and tables such as ``power``."""


def refuse_name(name: str, named: Path | None = None) -> None:
    """Raises BadInput for a name that is taken in the lab file or cannot be one."""
    if not _NAME.match(name):
        raise BadInput(
            f"{name!r} cannot be a board's name", mend="letters, digits, - and _; the first a letter or digit"
        )
    path = _lab(named)
    if path.is_file() and name in load_lab(path).boards:
        raise BadInput(f"{path} has a board {name!r} already", mend="choose another name, or edit that table")


def _lab(named: Path | None) -> Path:
    return lab_file(named) or paths.config() / "lab.toml"


def enroll(name: str, settings: Settings, named: Path | None = None) -> Path:
    """Write ``[board.NAME]`` with these settings; returns the lab file, made if there is none (the user's own).

    Raises BadInput for a name that is taken or cannot be one, and for settings that a lab file cannot have: then
    nothing is written.
    """
    refuse_name(name, named)
    path = _lab(named)
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    lines = [f"[board.{name}]"]
    lines += [f"{key} = {_literal(value)}" for key, value in settings.items() if not isinstance(value, Mapping)]
    for key, table in settings.items():
        if isinstance(table, Mapping):
            lines += [f"[board.{name}.{key}]", *(f"{each} = {_literal(value)}" for each, value in table.items())]
    gap = "\n" if before and not before.endswith("\n") else ""
    text = before + gap + ("\n" if before else "") + "\n".join(lines) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole.replacing(path) as draft:
        draft.write_text(text, encoding="utf-8")
        load_lab(draft)
    return path


def _literal(value: Value) -> str:
    """A TOML integer or basic string."""
    if isinstance(value, int):
        return str(value)
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
