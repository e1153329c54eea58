"""What is to be on a region, by chunks, and the check that it is still what was built (FIELD F5)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader

from flexkit.deployed.plan import Write
from flexkit.errors import FlashError


@dataclass(frozen=True)
class Chunk:
    """``number`` counts from 0 within the region; ``offset`` is the medium's."""

    number: int
    offset: int
    size: int


class Image:
    """An image opened once, so that nobody can put another one in its place meanwhile; zeros for an erased region."""

    def __init__(self, write: Write, source: BufferedReader | None, block: int) -> None:
        self._write = write
        self._source = source
        self._block = block

    def data(self, chunk: Chunk) -> bytes:
        """A chunk's bytes, the last one filled up with zeros to whole blocks."""
        if self._source is None:
            data = bytes(chunk.size)
        else:
            self._source.seek(chunk.offset - self._write.offset)
            data = self._source.read(chunk.size)
        return data + bytes(-len(data) % self._block)

    def check(self) -> None:
        """Raises FlashError when these are not the bytes that were built."""
        if self._source is None:
            return
        self._source.seek(0)
        if hashlib.file_digest(self._source, "sha256").hexdigest() != self._write.sha256:
            raise FlashError(
                f"{self._write.path} is not what was built (its SHA-256 differs)", mend="run: flexkit build"
            )


@contextmanager
def opened(write: Write, block: int) -> Iterator[Image]:
    """The image of a write, checked."""
    if write.path is None:
        yield Image(write, None, block)
        return
    try:
        source = write.path.open("rb")
    except OSError as error:
        raise FlashError(f"{write.path}: {error.strerror}", mend="run: flexkit build") from error
    with source:
        image = Image(write, source, block)
        image.check()
        yield image


def chunks(write: Write, size: int) -> list[Chunk]:
    """The chunks of a write, each ``size`` bytes but the last."""
    starts = range(0, write.size, size)
    return [Chunk(i, write.offset + at, min(size, write.size - at)) for i, at in enumerate(starts)]
