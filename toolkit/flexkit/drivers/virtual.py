"""The emulated board under the virtual clock (``-icount``): 1 ns an instruction, the same in every run.

Everything that it needs lies in memory before its first instruction: the flashed firmware and kernel, and an initial
RAM file system with the agent, the models and one batch of requests. There is neither disk nor network: what comes
from outside at a moment of its own would make two runs differ. What the board prints is read when it has ended.
"""

from __future__ import annotations

import stat
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from flexkit import proc
from flexkit.boards.schema import Board
from flexkit.deadline import Deadline
from flexkit.drivers import qemu
from flexkit.errors import BoardLost

BATCH = "batch"
_RTC = "base=2026-01-01,clock=vm"
_SEED = "1"
_CONSOLE_DEVICE = (5, 1)
_TAIL_LINES = 5
_INIT = """#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox --install -s /bin
echo 1 > /proc/sys/kernel/printk
/bin/flexagent --batch /batch
/bin/busybox poweroff -f
"""


@dataclass(frozen=True)
class Program:
    """A batch and what it needs. ``programs``: name in /bin -> file on this host; ``files``: path without the leading
    slash -> file on this host; ``usr``: the folder of the board's own /usr, when the batch runs programs of it;
    ``rootfs``: identity that the agent reports."""

    requests: bytes
    programs: Mapping[str, Path]
    files: Mapping[str, Path]
    rootfs: str
    usr: Path | None = None


def run(board: Board, firmware: Path, program: Program, deadline: Deadline) -> bytes:
    """Boot it, let it work the batch off, and return its console. ``firmware``: the flashed medium "pflash".

    Raises BoardLost when the emulator fails, TimedOut at the deadline; the answers are the caller's to judge.
    """
    if board.emulator is None:
        raise ValueError(f"{board.name} is not an emulated board")
    with tempfile.TemporaryDirectory(prefix="flexkit-virtual-") as name:
        folder = Path(name)
        size = _write_initramfs(folder / "initramfs", program)
        words = [qemu.PROGRAM, "-nodefaults", "-no-user-config", "-display", "none", "-cpu", board.cpu.model]
        words += ["-smp", str(board.cpu.cores), "-m", f"{board.memory.dram_size >> 20}M"]
        words += ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={firmware}"]
        base = board.memory.dram_base + board.memory.dram_size // 8  # clear of device tree and kernel
        _make_device_tree(folder / "dtb", [*words, "-machine", board.emulator.machine], base, size, deadline)
        words += ["-machine", board.emulator.machine, "-dtb", str(folder / "dtb")]
        words += ["-device", f"loader,file={folder / 'initramfs'},addr={base:#x},force-raw=on"]
        words += ["-icount", "shift=0,sleep=off", "-rtc", _RTC, "-seed", _SEED]
        words += ["-action", "reboot=shutdown", "-serial", f"file:{folder / 'console'}"]
        proc.run([*qemu.DIE_WITH_PARENT, *words], deadline, error=BoardLost)
        return (folder / "console").read_bytes()


def tail(console: bytes) -> str:
    """The last lines that people can read, for an error."""
    lines = [line.strip() for line in console.decode(errors="replace").splitlines() if not line.startswith("@FK1")]
    return "; ".join([line for line in lines if line][-_TAIL_LINES:])


def _make_device_tree(path: Path, words: list[str], base: int, size: int, deadline: Deadline) -> None:
    """The machine's own tree, with the place of the initial RAM file system in it."""
    proc.run([*words[:-1], f"{words[-1]},dumpdtb={path}"], deadline, error=BoardLost)
    for name, address in (("linux,initrd-start", base), ("linux,initrd-end", base + size)):
        cells = [f"{address >> 32:x}", f"{address & 0xFFFF_FFFF:x}"]
        proc.run(["fdtput", "-t", "x", path, "/chosen", name, *cells], deadline, error=BoardLost)


# Initial RAM file system ("newc", Documentation/driver-api/early-userspace in Linux) ---------------------------------


def _write_initramfs(path: Path, program: Program) -> int:
    """Returns its size. The same program gives the same bytes."""
    with path.open("wb") as out:
        folders = ["bin", "dev", "proc", "sys", "tmp", "etc", "etc/flexkit"]
        folders += sorted({str(parent) for name in program.files for parent in _parents(name)} - set(folders))
        for name in folders:
            _entry(out, name, stat.S_IFDIR | 0o755)
        _entry(out, "dev/console", stat.S_IFCHR | 0o600, device=_CONSOLE_DEVICE)
        _entry(out, "init", stat.S_IFREG | 0o755, _INIT.encode())
        _entry(out, "etc/flexkit/rootfs.id", stat.S_IFREG | 0o644, f"{program.rootfs}\n".encode())
        _entry(out, BATCH, stat.S_IFREG | 0o644, program.requests)
        for name, source in sorted(program.programs.items()):
            _entry(out, f"bin/{name}", stat.S_IFREG | 0o755, source.read_bytes())
        for name, source in sorted(program.files.items()):
            _entry(out, name, stat.S_IFREG | 0o644, source.read_bytes())
        if program.usr is not None:
            _write_usr(out, program.usr)
        _entry(out, "TRAILER!!!", 0)
        return out.tell()


def _write_usr(out: BinaryIO, usr: Path) -> None:
    """The folder as /usr, and /lib, in which programs look for their loader."""
    _entry(out, "usr", stat.S_IFDIR | 0o755)
    _entry(out, "lib", stat.S_IFLNK | 0o777, b"usr/lib")
    for path in sorted(usr.rglob("*")):
        name = f"usr/{path.relative_to(usr)}"
        if path.is_symlink():
            _entry(out, name, stat.S_IFLNK | 0o777, str(path.readlink()).encode())
        elif path.is_dir():
            _entry(out, name, stat.S_IFDIR | 0o755)
        else:
            _entry(out, name, stat.S_IFREG | path.stat().st_mode & 0o777, path.read_bytes())


def _parents(name: str) -> Iterable[Path]:
    return [parent for parent in Path(name).parents if parent != Path()]


def _entry(out: BinaryIO, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
    fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
    for piece in (b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0", data):
        out.write(piece + bytes(-len(piece) % 4))
