"""A key of a board file or lab file: a dataclass field that carries its own documentation."""

from __future__ import annotations

import dataclasses
from typing import Any


def entry(doc: str, *, key: str = "", default: Any = dataclasses.MISSING) -> Any:
    """A dataclass field. ``doc`` says what the key means (``flexkit.boards.reference`` prints it); ``key`` is its name
    in the file where that differs; without ``default`` the file must have it."""
    metadata = {"doc": doc, **({"key": key} if key else {})}
    if default is dataclasses.MISSING:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(metadata=metadata, default=default)


def key_of(field: dataclasses.Field[Any]) -> str:
    """The key under which a field stands in the file."""
    return str(field.metadata.get("key", field.name))
