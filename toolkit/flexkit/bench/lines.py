"""Counts the trusted code: lines of C and assembly that are neither blank nor comment."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path

from flexkit.boards import Board

SUFFIXES = (".c", ".h", ".S")

TRUSTED: dict[str, tuple[str, ...]] = {
    "monitor": ("firmware/monitor",),
    "payload runtime": ("firmware/payload/runtime",),
    "payload engine": ("firmware/payload/engine",),
    "payload serving": ("firmware/payload/serving", "firmware/payload/sealing"),
}
OTHERS = ("tests", "test", "host", "fake_host", "linux", "generated")
"""Folders whose code does not run in the secure world, or is made by a program."""


def trusted(project: Path, board: Board) -> dict[str, int]:
    """Lines of each part that is there, as the build of a board links them."""
    others = {*OTHERS, *_unlinked(board)}
    counts = {name: sum(_folder(project / folder, others) for folder in folders) for name, folders in TRUSTED.items()}
    return {name: count for name, count in counts.items() if count}


def count(source: str) -> int:
    """Lines of one file's text that hold code."""
    return sum(1 for line in _without_comments(source).splitlines() if line.strip())


def _unlinked(board: Board) -> set[str]:
    """Folders and files of the monitor that are for other boards (firmware/monitor/monitor.mk)."""
    gic = board.gic is not None and board.gic.kind == "gicv3"
    return {
        *({"stage2", "gpt"} - {board.backend}),
        "no_redistributors.c" if gic else "redistributors.c",
        "no_smmu.c" if board.smmu else "smmuv3.c",
    }


def _folder(folder: Path, others: Set[str]) -> int:
    files = (path for path in folder.rglob("*") if path.suffix in SUFFIXES)
    own = (path for path in files if not set(path.relative_to(folder).parts) & others)
    return sum(count(path.read_text(encoding="utf-8", errors="replace")) for path in own)


def _without_comments(source: str) -> str:
    """C comments removed; strings and character constants kept whole, line ends too."""
    out: list[str] = []
    i, end = 0, len(source)
    while i < end:
        if source.startswith("/*", i):
            close = source.find("*/", i + 2)
            stop = end if close < 0 else close + 2
            out.append("\n" * source.count("\n", i, stop))
        elif source.startswith("//", i):
            close = source.find("\n", i)
            stop = end if close < 0 else close
        elif source[i] in "\"'":
            stop = _literal_end(source, i)
            out.append(source[i:stop])
        else:
            stop = i + 1
            out.append(source[i])
        i = stop
    return "".join(out)


def _literal_end(source: str, start: int) -> int:
    """Past the closing quote, or the end of its line if there is none (an apostrophe in assembly)."""
    quote, i = source[start], start + 1
    while i < len(source) and source[i] != "\n":
        if source[i] == "\\":
            i += 2
            continue
        if source[i] == quote:
            return i + 1
        i += 1
    return min(i, len(source))
