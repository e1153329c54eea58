"""Compilers, make and patch, the same way for every part."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from flexkit.deadline import Deadline
from flexkit.errors import BuildError
from flexkit.proc import run

CROSS = "aarch64-linux-gnu-"
_KEPT_VARIABLES = ("PATH", "HOME", "TMPDIR", "USER", "LOGNAME")
# 1 January 2020: what a build believes to be now. Not 0, which some tools take for "unset".
EPOCH = "1577836800"
# Of a failed build's output, the lines that say why.
_COMPLAINT = re.compile(r"error:|Error \d|cannot find|undefined reference|overflowed|\*\*\*")
_COMPLAINTS, _LINE = 12, 300


def environment(**more: str) -> dict[str, str]:
    """What a build sees of the caller's environment: next to nothing, so that it cannot depend on it.

    Above all no MAKEFLAGS: flexkit itself is run by make.
    """
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return {**kept, "LC_ALL": "C", "TZ": "UTC", "SOURCE_DATE_EPOCH": EPOCH, **more}


def jobs() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


def make(
    folder: Path, words: Sequence[str], deadline: Deadline, *, log: Path, env: Mapping[str, str] | None = None
) -> None:
    """Run make in a folder with all processors; BuildError with what the compilers complained about."""
    command = ["make", "-C", str(folder), f"-j{jobs()}", *words]
    try:
        run(command, deadline, env=env or environment(), log=log, error=BuildError)
    except BuildError as error:
        complaints = [line[:_LINE] for line in error.message.splitlines() if _COMPLAINT.search(line)]
        text = "\n".join(complaints[:_COMPLAINTS]) or error.message
        raise BuildError(f"make failed in {folder.name}\n{text}\nwhole log: {log}") from None


def compiler(prefix: str, deadline: Deadline) -> str:
    """What compiler and linker call themselves: part of the inputs of whatever they make."""
    names = [run([f"{prefix}{tool}", "--version"], deadline).splitlines()[0] for tool in ("gcc", "ld")]
    return "; ".join(names)


def patch(tree: Path, patches: Sequence[Path], deadline: Deadline) -> None:
    """Apply patches in order of name; BuildError names the first that does not apply. No fuzz is accepted."""
    for each in sorted(patches, key=lambda path: path.name):
        try:
            words = ["patch", "-d", str(tree), "-p1", "--batch", "--forward", "--fuzz=0", "-i", str(each)]
            run(words, deadline, env=environment(), error=BuildError)
        except BuildError as error:
            raise BuildError(
                f"the patch {each.name} does not apply to {tree.name}\n{error.message}",
                mend=f"mend {each} or choose a source it was made for (--source)",
            ) from None
