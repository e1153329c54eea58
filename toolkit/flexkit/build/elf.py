"""The little of ELF that images take: which libraries a program needs, and what of a firmware is loaded where."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

_MAGIC = b"\x7fELF\x02\x01"  # 64-bit, little-endian
_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NULL, _DT_NEEDED, _DT_STRTAB = 0, 1, 5


def needed(path: Path) -> list[str]:
    """Names of the libraries that a 64-bit ELF file asks for, its interpreter's first; nothing for another file."""
    data = path.read_bytes()
    if not data.startswith(_MAGIC):
        return []
    headers = _headers(data)
    loads = [(each[3], each[2], each[5]) for each in headers if each[0] == _PT_LOAD]  # address, offset, size in file
    names = [data[each[2] : each[2] + each[5]].rstrip(b"\0").decode() for each in headers if each[0] == _PT_INTERP]
    names = [Path(name).name for name in names]
    for each in headers:
        if each[0] == _PT_DYNAMIC:
            names += _needed_names(data, each[2], each[5], loads)
    return names


def _headers(data: bytes) -> list[tuple[int, ...]]:
    """Program headers: type, flags, offset, virtual and physical address, sizes in file and memory, alignment."""
    offset, size, count = struct.unpack_from("<Q", data, 32)[0], *struct.unpack_from("<HH", data, 54)
    return [struct.unpack_from("<IIQQQQQQ", data, offset + size * index) for index in range(count)]


def segments(path: Path) -> list[tuple[int, bytes]]:
    """What a loader has to put where: physical address and bytes of each segment that has any, in the file's order."""
    data = path.read_bytes()
    loads = [each for each in _headers(data) if each[0] == _PT_LOAD and each[5]]
    return [(each[4], data[each[2] : each[2] + each[5]]) for each in loads]


def entry(path: Path) -> int:
    """Where a program begins."""
    return int(struct.unpack_from("<Q", path.read_bytes(), 24)[0])


def _needed_names(data: bytes, offset: int, size: int, loads: Sequence[tuple[int, int, int]]) -> list[str]:
    entries = []
    for at in range(offset, offset + size, 16):
        entry = struct.unpack_from("<QQ", data, at)
        if entry[0] == _DT_NULL:
            break
        entries.append(entry)
    table = next((value for tag, value in entries if tag == _DT_STRTAB), 0)
    strings = next(
        (start + table - address for address, start, length in loads if address <= table < address + length), 0
    )
    return [_string(data, strings + value) for tag, value in entries if tag == _DT_NEEDED]


def _string(data: bytes, at: int) -> str:
    return data[at : data.index(b"\0", at)].decode()
