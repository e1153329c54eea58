"""Board files: found, read strictly, checked for sense."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from flexkit import paths
from flexkit.boards import toml
from flexkit.boards.checks import CHECKS
from flexkit.boards.schema import Board
from flexkit.errors import BadInput

SCHEMA = 1


def known() -> dict[str, Path]:
    """Board types that the project has, by name."""
    return {path.stem: path for path in sorted((paths.project() / "boards").glob("*.toml"), key=lambda path: path.stem)}


def load(name: str) -> Board:
    """A board type by name. BadInput if there is none, or its file is wrong (with file and line)."""
    files = known()
    if name not in files:
        raise unknown(name, list(files))
    return load_file(files[name])


def load_file(path: Path) -> Board:
    """A board type from a file, checked."""
    document = toml.read(path)
    extends = document.data.get("extends")
    if isinstance(extends, str):
        replaced = document.data.get("replaces", [])
        both = ["schema", "name", *replaced] if replaced else []
        document = toml.merged(document, toml.read(path.parent / extends), both)
    schema = document.data.get("schema")
    if schema != SCHEMA:
        raise document.error(("schema",), f"schema is {schema!r}; this flexkit reads schema {SCHEMA}")
    board = toml.decode(document, Board)
    for check in CHECKS:
        check(document, board)
    return board


def unknown(name: str, names: Sequence[str]) -> BadInput:
    """The error for a board that is not among ``names``."""
    near = get_close_matches(name, names, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return BadInput(f"no board is called {name!r}{hint}", mend=f"known: {', '.join(names)} (flexkit boards list)")
