"""Files that appear whole or not at all: a reader never sees half of one, and a full disk leaves the old one alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields where to write what ``path`` becomes at the end; after an exception nothing is left of it.

    Behind a symbolic link the file that it names is replaced, not the link. What is no ordinary file (a pipe,
    /dev/null) is written in place: replacing it would take it away from everybody else. Raises OSError.
    """
    if path.exists() and not path.is_file():
        yield path
        return
    target = path.resolve()
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        yield draft
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace a file by this text, in UTF-8. Raises OSError."""
    with replacing(path) as draft:
        draft.write_text(text, encoding="utf-8")
