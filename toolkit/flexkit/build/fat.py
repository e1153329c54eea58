"""A FAT file system of a folder: what the boot ROM of a Raspberry Pi reads. The same bytes every time."""

from __future__ import annotations

import os
from pathlib import Path

from flexkit.build import tools
from flexkit.deadline import Deadline
from flexkit.errors import BuildError
from flexkit.proc import run

_VOLUME_ID = "F1E8C0DE"


def build(tree: Path, image: Path, size: int, deadline: Deadline, log: Path) -> None:
    """Make ``image`` of ``size`` bytes with everything that lies in ``tree``, in order of name."""
    env = tools.environment(PATH="/usr/sbin:/sbin:/usr/bin:/bin", MTOOLS_SKIP_CHECK="1")
    with image.open("wb") as file:
        file.truncate(size)
    run(["mkfs.fat", "--invariant", "-F", "32", "-i", _VOLUME_ID, image], deadline, env=env, log=log, error=BuildError)
    for path in sorted(tree.rglob("*")):
        os.utime(path, (int(tools.EPOCH), int(tools.EPOCH)))
        name = f"::{path.relative_to(tree)}"
        words = ["mmd", "-i", str(image), name] if path.is_dir() else ["mcopy", "-m", "-i", str(image), str(path), name]
        run(words, deadline, env=env, log=log, error=BuildError)
