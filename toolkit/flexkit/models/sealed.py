"""Sealed models, as firmware/abi/flexkit/sealed.h has them: sizes, keys and refusals are read from that header."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cache

from flexkit import paths
from flexkit.errors import BadInput

_HEADER = "firmware/abi/flexkit/sealed.h"


@cache
def _definitions() -> Mapping[str, str]:
    """The header's macros, without their FLEX_SEALED_: numbers and strings, as they are written."""
    text = (paths.project() / _HEADER).read_text()
    return dict(re.findall(r'^#define FLEX_SEALED_(\w+) (\d+|"[^"]*")', text, re.MULTILINE))


def number(name: str) -> int:
    """The macro FLEX_SEALED_``name``."""
    return int(_definitions()[name])


def text(name: str) -> str:
    """The string FLEX_SEALED_``name``."""
    return _definitions()[name].strip('"')


class Why(IntEnum):
    """FLEX_SEALED_E_*: why a sealed model is refused."""

    PLAIN = number("E_PLAIN")
    FORMAT = number("E_FORMAT")
    CUT = number("E_CUT")
    FOREIGN = number("E_FOREIGN")
    HEADER = number("E_HEADER")
    OLD = number("E_OLD")
    MOVED = number("E_MOVED")
    SWAPPED = number("E_SWAPPED")
    TAMPERED = number("E_TAMPERED")


class Refused(BadInput):
    """A sealed model that the secure world would refuse, in the words that it would use."""

    def __init__(self, why: Why, where: str, detail: str = "") -> None:
        message = f"{where}: {text(f'E_{why.name}_TEXT')}"
        mend = "get the file again, or seal the model again"
        super().__init__(message + (f" ({detail})" if detail else ""), mend=mend)
        self.why = why


MAGIC = text("MAGIC").encode()
FORMAT = number("FORMAT")
CHUNK = number("CHUNK")
ENTRIES = number("ENTRIES")
_WRAP_BYTES = number("NONCE_BYTES") + number("KEY_BYTES") + number("TAG_BYTES")
_FACTS = struct.Struct(
    f"<{len(MAGIC)}sIIQQQ{number('MODEL_BYTES')}s{number('SEALING_BYTES')}s{number('KEY_ID_BYTES')}s"
    f"{number('NAME_BYTES')}s{number('BARE_BYTES')}s"
)
_WRAP = struct.Struct(f"<{number('NONCE_BYTES')}s{number('KEY_BYTES')}s{number('TAG_BYTES')}s")
_ENTRY = struct.Struct(f"<Q{number('SEALING_BYTES')}s{number('TAG_BYTES')}s")
_BINDING = struct.Struct(f"<{number('MODEL_BYTES')}sQQ")


@dataclass(frozen=True)
class BoardKey:
    """The key that a board opens models with, and its name."""

    name: str
    secret: bytes


def test_key() -> BoardKey:
    """The key of every board of this build (sealed.h says why)."""
    return BoardKey(text("TEST_KEY_ID"), text("TEST_KEY").encode())


@dataclass(frozen=True)
class Facts:
    """What a header says. ``size``: bytes of the GGUF. ``model``: which model this is a version of."""

    size: int
    version: int
    model: bytes
    sealing: bytes
    board_key: str
    name: str

    @property
    def chunks(self) -> int:
        return -(-self.size // CHUNK)

    @property
    def first_page(self) -> int:
        """Of the file: where the first chunk lies, behind header and table."""
        return 1 + -(-self.chunks // ENTRIES)

    @property
    def table_size(self) -> int:
        """Bytes of the table's entries; zeroes follow to the end of the page."""
        return self.chunks * _ENTRY.size

    @property
    def file_size(self) -> int:
        return (self.first_page + self.chunks) * CHUNK

    def pack(self) -> bytes:
        """The header up to the wrap: what wrapping and unwrapping the key authenticates."""
        return _FACTS.pack(
            MAGIC, FORMAT, CHUNK, self.size, self.chunks, self.version, self.model, self.sealing,
            self.board_key.encode(), self.name.encode(), b"",
        )  # fmt: skip

    def binding(self, index: int) -> bytes:
        """Associated data of a chunk."""
        return _BINDING.pack(self.model, self.version, index)


def nonce(index: int) -> bytes:
    """Of a chunk."""
    return index.to_bytes(8, "little") + bytes(number("NONCE_BYTES") - 8)


@dataclass(frozen=True)
class Wrap:
    """The model's key under the board's."""

    nonce: bytes
    key: bytes
    tag: bytes

    def pack(self) -> bytes:
        return _WRAP.pack(self.nonce, self.key, self.tag)


@dataclass(frozen=True)
class Entry:
    """A chunk's line in the table."""

    index: int
    sealing: bytes
    tag: bytes

    def pack(self) -> bytes:
        return _ENTRY.pack(self.index, self.sealing, self.tag)


def entries(table: bytes, count: int) -> list[Entry]:
    """The first ``count`` lines of a table."""
    return [Entry(*_ENTRY.unpack_from(table, at * _ENTRY.size)) for at in range(count)]


def is_sealed(head: bytes) -> bool:
    """Whether a file that begins so claims to be a sealed model."""
    return head.startswith(MAGIC)


def parse(page: bytes, file_size: int, where: str) -> tuple[Facts, Wrap]:
    """What the first page of a file says, checked as far as that goes without a key. Raises Refused."""
    if not is_sealed(page):
        raise Refused(Why.PLAIN, where)
    if len(page) < CHUNK:
        raise Refused(Why.CUT, where, f"{file_size} bytes")
    _, form, chunk, size, chunks, version, model, sealing, board_key, name, _ = _FACTS.unpack_from(page)
    facts = Facts(size, version, model, sealing, _ascii(board_key), _ascii(name.rstrip(b"\0")))
    if (form, chunk) != (FORMAT, CHUNK) or size == 0 or chunks != facts.chunks:
        raise Refused(Why.FORMAT, where)
    if facts.file_size != file_size:
        raise Refused(Why.CUT, where, f"{file_size} bytes, not {facts.file_size}")
    return facts, Wrap(*_WRAP.unpack_from(page, CHUNK - _WRAP_BYTES))


def _ascii(raw: bytes) -> str:
    return raw.decode("ascii", errors="backslashreplace")
