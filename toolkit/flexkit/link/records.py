"""Records: how bytes travel over a line that others write to as well. The specification is
``firmware/agent/record.h``; this is the host's half, tested against that one."""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from dataclasses import dataclass
from enum import Enum

MARKER = b"@FK1 "
LINE_MAX = 512
DATA_MAX = 357

_RECORD = re.compile(
    rb"@FK1 (?P<head>(?P<kind>[HWDAB]) (?P<session>[0-9a-f]{4}) (?P<sequence>[0-9a-f]{8}) (?P<length>[0-9a-f]{3}) )"
    rb"(?P<crc>[0-9a-f]{8}) (?P<base64>[A-Za-z0-9+/]*={0,2})\r*\n?\Z"
)


class Kind(Enum):
    HELLO = "H"
    WELCOME = "W"
    DATA = "D"
    ACK = "A"
    BYE = "B"


@dataclass(frozen=True)
class Record:
    """One record. ``sequence``: of data its number from 0, of an acknowledgement the number expected next."""

    kind: Kind
    session: int
    sequence: int = 0
    data: bytes = b""


def encode(record: Record) -> bytes:
    """The line, its newline included. Raises ValueError when the record does not fit into one."""
    if len(record.data) > DATA_MAX or not 0 <= record.session <= 0xFFFF or not 0 <= record.sequence <= 0xFFFFFFFF:
        raise ValueError(f"no such record: {record!r}")
    head = b"%s %04x %08x %03x " % (record.kind.value.encode(), record.session, record.sequence, len(record.data))
    crc = zlib.crc32(record.data, zlib.crc32(head))
    return MARKER + head + b"%08x " % crc + base64.b64encode(record.data) + b"\n"


def decode(line: bytes) -> Record | None:
    """The last record in a line, or None: no marker, cut, unknown kind, wrong length or CRC."""
    begin = line.rfind(MARKER)
    if begin < 0:
        return None
    match = _RECORD.match(line, begin)
    if match is None:
        return None
    try:
        data = base64.b64decode(match["base64"], validate=True)
    except binascii.Error:
        return None
    if len(data) != int(match["length"], 16) or len(data) > DATA_MAX:
        return None
    if zlib.crc32(data, zlib.crc32(match["head"])) != int(match["crc"], 16):
        return None
    return Record(Kind(match["kind"].decode()), int(match["session"], 16), int(match["sequence"], 16), data)


class LineSplitter:
    """Bytes as they come, as whole lines. A line that never ends is cut, so that noise cannot fill memory."""

    def __init__(self, limit: int = 65536) -> None:
        self._limit = limit
        self._rest = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that this chunk completes, each with its newline."""
        *lines, rest = (self._rest + chunk).split(b"\n")
        self._rest = rest if len(rest) < self._limit else b""
        return [line + b"\n" for line in lines]
