"""U-Boot's commands over files: what the doubles of fastboot and uuu run, and what the double of its console runs.

Memory is a sparse file, so that it lasts from one call of a tool to the next, as a board's does.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from pathlib import Path

BLOCK = 512
Harm = Callable[[bytes], bytes]


def sparse_read(path: Path, offset: int, count: int) -> bytes:
    with path.open("rb") as source:
        source.seek(offset)
        return source.read(count).ljust(count, b"\0")


def sparse_write(path: Path, offset: int, data: bytes) -> None:
    path.touch()
    with path.open("r+b") as sink:
        sink.seek(offset)
        sink.write(data)


class Failed(Exception):
    """A command that U-Boot would have failed."""


class Commands:
    """``folder`` holds medium.img, memory.img and the environment; ``tftp`` what the network gives. ``harm_write`` and
    ``harm_read`` change what passes between memory and medium."""

    def __init__(self, folder: Path, tftp: Path | None = None, harm: Harm = lambda data: data) -> None:
        self.folder = folder
        self.medium = folder / "medium.img"
        self.memory = folder / "memory.img"
        self.tftp = tftp
        self.harm = harm
        self.booted = ""
        for path in (self.medium, self.memory):
            path.touch()

    def run(self, line: str) -> str:
        """Run commands parted by semicolons; raises Failed at the first that fails."""
        return "".join(self._one(command.split()) for command in line.split(";") if command.strip())

    def _one(self, words: list[str]) -> str:
        name = words[0].split(".")[0]
        handler = getattr(self, f"_do_{name}", None)
        if handler is None:
            raise Failed(f"Unknown command '{words[0]}' - try 'help'\n")
        return str(handler(words))

    def variable(self, name: str) -> str | None:
        path = self.folder / f"env.{name}"
        return path.read_text() if path.exists() else None

    def _do_setenv(self, words: list[str]) -> str:
        value = re.sub(r"\$\{(\w+)\}", lambda found: self.variable(found.group(1)) or "", " ".join(words[2:]))
        (self.folder / f"env.{words[1]}").write_text(value)
        return ""

    def _do_mmc(self, words: list[str]) -> str:
        if words[1] in ("dev", "scan"):
            return f"switch to partitions #0, OK\n{words[0]}{words[-1]} is current device\n"
        address, block, count = (int(word, 16) for word in words[2:5])
        if words[1] == "write":
            data = self.harm(sparse_read(self.memory, address, count * BLOCK))
            sparse_write(self.medium, block * BLOCK, data)
        else:
            data = self.harm(sparse_read(self.medium, block * BLOCK, count * BLOCK))
            sparse_write(self.memory, address, data)
        return f"{words[0]} {words[1]}: block # {block}, count {count} ... {count} blocks {words[1]}: OK\n"

    _do_virtio = _do_mmc

    def _do_crc32(self, words: list[str]) -> str:
        address, count = int(words[1], 16), int(words[2], 16)
        crc = zlib.crc32(sparse_read(self.memory, address, count))
        if len(words) > 3:
            sparse_write(self.memory, int(words[3], 16), crc.to_bytes(4, "big"))
        return f"crc32 for {address:08x} ... {address + count - 1:08x} ==> {crc:08x}\n"

    def _do_setexpr(self, words: list[str]) -> str:
        value = int.from_bytes(sparse_read(self.memory, int(words[2].lstrip("*"), 16), 4), "little")
        (self.folder / f"env.{words[1]}").write_text(f"{value:x}")
        return ""

    def _do_md(self, words: list[str]) -> str:
        address, count = int(words[1], 16), int(words[2], 16)
        data = sparse_read(self.memory, address, 4 * count)
        lines = []
        for at in range(0, len(data), 16):
            row = data[at : at + 16]
            shown = " ".join(f"{int.from_bytes(row[i : i + 4], 'little'):08x}" for i in range(0, len(row), 4))
            text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
            lines.append(f"{address + at:08x}: {shown}  {text}\n")
        return "".join(lines)

    def _do_dhcp(self, words: list[str]) -> str:
        return "DHCP client bound to address 10.0.2.15 (1 ms)\n"

    def _do_tftpboot(self, words: list[str]) -> str:
        path = (self.tftp or Path("/nonexistent")) / words[2]
        if not path.is_file():
            raise Failed("TFTP error: 'File not found' (1)\nNot retrying...\n")
        data = path.read_bytes()
        sparse_write(self.memory, int(words[1], 16), self.harm(data))
        return f"Bytes transferred = {len(data)} ({len(data):x} hex)\n"
