"""The reference of board files, from the schema itself: ``python -m flexkit.boards.reference > boards/README.md``."""

from __future__ import annotations

import dataclasses
import sys
import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from flexkit.boards.entry import key_of
from flexkit.boards.lab import LabBoard
from flexkit.boards.schema import Board

_TOP = """\
# Board files

Generated from `flexkit.boards.schema`: edit that (`python -m flexkit.boards.reference > boards/README.md`).

`TYPE.toml` holds what is true of every board of a type, and is the only place where it is written: C header,
device-tree overlay, image layouts and the emulator's command line are made from it. What is true of one bench stands in
its `lab.toml`. Sizes, addresses and offsets are bytes, times are seconds. An unknown key, a wrong type, an overlap or a
region too small is refused with file and line. A key without a default must be there.
"""
_WORDS = {int: "whole number", float: "number", str: "text", bool: "true or false"}


def render() -> str:
    """The whole reference as Markdown."""
    parts = [_TOP]
    for path, kind in (*_tables("", Board), *_tables("board.NAME", LabBoard)):
        parts += [_table(path, kind)]
    return "\n".join(parts)


def _inner(hint: Any) -> list[tuple[Any, bool]]:
    """The types that a key may hold (several tables, told apart by ``driver``), without ``| None``, and whether it is a
    list of them."""
    if get_origin(hint) in (Union, types.UnionType):
        return [inner for each in get_args(hint) if each is not type(None) for inner in _inner(each)]
    return [(get_args(hint)[0], True)] if get_origin(hint) is tuple else [(hint, False)]


def _tables(path: str, kind: type) -> Iterator[tuple[str, type]]:
    """A table and the tables in it, depth first: header as TOML writes it, and its dataclass."""
    yield path, kind
    hints = get_type_hints(kind)
    for field in dataclasses.fields(kind):
        for inner, many in _inner(hints[field.name]):
            if dataclasses.is_dataclass(inner):
                below = f"{path.strip('[]')}.{key_of(field)}".lstrip(".")
                yield from _tables(f"[{below}]" if many else below, inner)  # type: ignore[arg-type]


def _table(path: str, kind: type) -> str:
    title = f"`[{path}]`" if path else "Top of the file"
    about = " ".join((kind.__doc__ or "").split())
    lines = [f"## {title}", "", about, "", "| key | type | default | meaning |", "|---|---|---|---|"]
    hints = get_type_hints(kind)
    for field in dataclasses.fields(kind):
        inner, many = _inner(hints[field.name])[0]
        if not dataclasses.is_dataclass(inner):
            lines.append(f"| `{key_of(field)}` | {_type(inner, many)} | {_default(field)} | {field.metadata['doc']} |")
    return "\n".join([*lines, ""])


def _type(inner: Any, many: bool) -> str:
    if get_origin(inner) is Literal:
        words = ", ".join(f"`{each}`" if each else "empty" for each in get_args(inner))
    else:
        words = _WORDS[inner]
    return f"list of {words}" if many else words


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is dataclasses.MISSING:
        return "needed"
    if field.default is None or field.default in ("", ()):
        return ""
    return f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"


if __name__ == "__main__":
    sys.stdout.write(render())
