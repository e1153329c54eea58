"""Strict TOML: a file becomes dataclasses, or one error that names the file, the line and the key."""

from __future__ import annotations

import dataclasses
import re
import tomllib
import types
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from flexkit.boards.entry import key_of
from flexkit.errors import BadInput

T = TypeVar("T")
KeyPath = tuple[str | int, ...]

_HEADER = re.compile(r"^\s*(\[\[?)\s*([A-Za-z0-9_.\-\" ]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"^\s*([A-Za-z0-9_-]+|\"[^\"]*\")\s*=")
_AT_LINE = re.compile(r"^(.*) \(at line (\d+), column \d+\)$")


def _lines(text: str) -> Iterator[tuple[KeyPath, int]]:
    """Each table header and key of a TOML text with its line, counted from 1.

    Good for the flat style of board files (one key a line); keys inside inline tables get their parent's line.
    """
    table: KeyPath = ()
    counts: dict[KeyPath, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.match(line)
        if header:
            table = _table_path(header.group(2), header.group(1) == "[[", counts)
            yield table, number
            continue
        key = _KEY.match(line)
        if key:
            yield (*table, key.group(1).strip('"')), number


def _table_path(dotted: str, array: bool, counts: dict[KeyPath, int]) -> KeyPath:
    """The path that a header opens. An array's parent index is the last one opened."""
    path: KeyPath = ()
    words = [word.strip().strip('"') for word in dotted.split(".")]
    for position, word in enumerate(words):
        path = (*path, word)
        if array and position == len(words) - 1:
            counts[path] = counts.get(path, -1) + 1
            path = (*path, counts[path])
        elif path in counts:
            path = (*path, counts[path])
    return path


@dataclass(frozen=True)
class Document:
    """A parsed TOML file that knows on which line each of its keys stands."""

    path: Path
    data: Mapping[str, Any]
    lines: Mapping[KeyPath, tuple[Path, int]]

    def error(self, where: KeyPath, message: str) -> BadInput:
        """An error at a key, or at the nearest table around it."""
        while where and where not in self.lines:
            where = where[:-1]
        path, line = self.lines.get(where, (self.path, 1))
        return BadInput(f"{path}:{line}: {message}")


def read(path: Path) -> Document:
    """Parse a file; BadInput with file and line if it is not TOML."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path}:1: is not UTF-8 text") from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _AT_LINE.match(str(error))
        last = text.count("\n") + 1
        line, what = (int(found.group(2)), found.group(1)) if found else (last, str(error))
        raise BadInput(f"{path}:{line}: is not valid TOML: {what}") from None
    return Document(path, data, {where: (path, line) for where, line in _lines(text)})


def merged(document: Document, below: Document, replaced: Collection[str] = ()) -> Document:
    """A document with what another says added to it. Nothing may be said by both but the tables that hold it, and what
    ``replaced`` names (dotted): that both must say, and the upper one holds."""

    def join(upper: Mapping[str, Any], lower: Mapping[str, Any], where: KeyPath) -> dict[str, Any]:
        result = dict(lower)
        for key, value in upper.items():
            if key not in lower or _show((*where, key)) in replaced:
                result[key] = value
            elif isinstance(value, Mapping) and isinstance(lower[key], Mapping):
                result[key] = join(value, lower[key], (*where, key))
            else:
                raise document.error((*where, key), f"{_show((*where, key))} is set in {below.path.name} already")
        return result

    for name in replaced:
        for each in (document, below):
            if not _says(each, name):
                raise document.error(("replaces",), f"replaces {name!r}, of which {each.path.name} says nothing")
    return Document(document.path, join(document.data, below.data, ()), {**below.lines, **document.lines})


def _says(document: Document, dotted: str) -> bool:
    value: Any = document.data
    for word in dotted.split("."):
        if not isinstance(value, Mapping) or word not in value:
            return False
        value = value[word]
    return True


def decode(document: Document, into: type[T], value: Any | None = None, where: KeyPath = ()) -> T:
    """Turn a table of the document into a dataclass: every key known, every value of the declared type."""
    table = document.data if value is None else value
    if not isinstance(table, Mapping):
        raise document.error(where, f"{_show(where)} must be a table")
    hints = get_type_hints(into)
    fields = {key_of(item): item for item in dataclasses.fields(into)}  # type: ignore[arg-type]
    for key in table:
        if key not in fields:
            near = get_close_matches(key, fields, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(sorted(fields))}"
            raise document.error((*where, key), f"unknown key {key!r} in {_show(where)}{hint}")
    values: dict[str, Any] = {}
    for key, item in fields.items():
        if key in table:
            values[item.name] = _value(document, hints[item.name], table[key], (*where, key))
        elif item.default is dataclasses.MISSING:
            raise document.error(where, f"{_show(where)} lacks the key {key!r}")
    return into(**values)


def _value(document: Document, kind: Any, value: Any, where: KeyPath) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        kinds = [each for each in arguments if each is not type(None)]
        return _value(document, kinds[0] if len(kinds) == 1 else _driven(document, kinds, value, where), value, where)
    if origin is Literal:
        if value not in arguments:
            allowed = ", ".join(repr(each) for each in arguments)
            raise document.error(where, f"{_show(where)} is {value!r}; it must be one of {allowed}")
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise document.error(where, f"{_show(where)} must be a list")
        return tuple(_value(document, arguments[0], each, (*where, index)) for index, each in enumerate(value))
    if dataclasses.is_dataclass(kind):
        return decode(document, kind, value, where)  # type: ignore[arg-type]
    return _scalar(document, kind, value, where)


def _driven(document: Document, kinds: list[Any], value: Any, where: KeyPath) -> Any:
    """Of several kinds of table the one whose key ``driver`` (a Literal of one word) the table has."""
    drivers = {get_args(get_type_hints(kind)["driver"])[0]: kind for kind in kinds}
    if not isinstance(value, Mapping):
        raise document.error(where, f"{_show(where)} must be a table with a driver, one of: {', '.join(drivers)}")
    named = value.get("driver")
    if named not in drivers:
        wrong = "lacks the key 'driver'" if named is None else f"has the unknown driver {named!r}"
        raise document.error((*where, "driver"), f"{_show(where)} {wrong}; known: {', '.join(drivers)}")
    return drivers[named]


def _scalar(document: Document, kind: type, value: Any, where: KeyPath) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        words = {int: "a whole number", str: "a string", bool: "true or false", float: "a number"}
        raise document.error(where, f"{_show(where)} must be {words[kind]}, not {value!r}")
    if isinstance(value, (int, float)) and value < 0:
        raise document.error(where, f"{_show(where)} must not be negative")
    return value


def _show(where: KeyPath) -> str:
    """A key path as people write it: memory.region[2].base."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where).lstrip(".")
    return text or "the file"
