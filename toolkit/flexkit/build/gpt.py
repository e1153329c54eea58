"""Partition tables from a board's medium, GPT and MBR: fixed identifiers, so the same bytes each time."""

from __future__ import annotations

import struct
import uuid
import zlib

from flexkit.boards import Medium

SECTOR = 512
_ENTRIES, _ENTRY_BYTES = 128, 128
_TABLE_SECTORS = _ENTRIES * _ENTRY_BYTES // SECTOR
_TYPES = {
    "linux": uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4"),
    "fat": uuid.UUID("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"),
}
_GPT_BOOTABLE, _MBR_ACTIVE = 1 << 2, 0x80
_MBR_TYPES = {"linux": 0x83, "fat": 0x0C}
_MBR_SIGNATURE = 0xF1E8C0DE
_NAMESPACE = uuid.UUID("f1e8c0de-0000-4000-8000-000000000000")


def _entries(medium: Medium) -> bytes:
    table = b""
    for region in medium.partitions:
        unique = uuid.uuid5(_NAMESPACE, f"{medium.name}/{region.name}")
        first, last = region.offset // SECTOR, region.end // SECTOR - 1
        name = region.name.encode("utf-16-le")
        flags = _GPT_BOOTABLE if region.bootable else 0
        identifiers = (_TYPES[region.partition].bytes_le, unique.bytes_le)
        table += struct.pack("<16s16sQQQ72s", *identifiers, first, last, flags, name)
    return table.ljust(_ENTRIES * _ENTRY_BYTES, b"\0")


def _header(medium: Medium, table: bytes, *, own: int, other: int, table_at: int) -> bytes:
    disk = uuid.uuid5(_NAMESPACE, medium.name)
    sectors = medium.size // SECTOR
    first, last = 2 + _TABLE_SECTORS, sectors - 2 - _TABLE_SECTORS

    def pack(crc: int) -> bytes:
        return struct.pack(
            "<8sIIIIQQQQ16sQIII",
            *(b"EFI PART", 0x10000, 92, crc, 0, own, other, first, last, disk.bytes_le, table_at),
            *(_ENTRIES, _ENTRY_BYTES, zlib.crc32(table)),
        )

    return pack(zlib.crc32(pack(0))).ljust(SECTOR, b"\0")


def primary(medium: Medium) -> bytes:
    """Protective MBR, header and table: the first sectors of the medium."""
    sectors, table = medium.size // SECTOR, _entries(medium)
    mbr = struct.pack("<446sB3sB3sII", b"", 0, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1, min(sectors - 1, 0xFFFFFFFF))
    header = _header(medium, table, own=1, other=sectors - 1, table_at=2)
    return mbr.ljust(510, b"\0") + b"\x55\xaa" + header + table


def backup(medium: Medium, size: int) -> bytes:
    """The last ``size`` bytes of the medium: table and header at their very end."""
    sectors, table = medium.size // SECTOR, _entries(medium)
    header = _header(medium, table, own=sectors - 1, other=1, table_at=sectors - 1 - _TABLE_SECTORS)
    return (table + header).rjust(size, b"\0")


def mbr(medium: Medium) -> bytes:
    """The first sector of a medium that is partitioned the old way."""
    table = b"".join(
        struct.pack(
            "<B3sB3sII",
            *(_MBR_ACTIVE if region.bootable else 0, b"\xfe\xff\xff", _MBR_TYPES[region.partition], b"\xfe\xff\xff"),
            *(region.offset // SECTOR, region.size // SECTOR),
        )
        for region in medium.partitions
    )
    return struct.pack("<440sIH64s", b"", _MBR_SIGNATURE, 0, table) + b"\x55\xaa"
