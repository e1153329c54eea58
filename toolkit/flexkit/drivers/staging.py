"""Models on a medium that lies on this host, while its board is off: the file system of the region "data" is made with
them in it, which takes a second where sending them takes minutes."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from flexkit import proc
from flexkit.boards.lab import Instance
from flexkit.deadline import Deadline
from flexkit.drivers import qemu
from flexkit.errors import FlashError

_MEDIUM, _REGION = "disk", "data"


def stage(instance: Instance, flavour: str, models: Mapping[str, Path], deadline: Deadline) -> bool:
    """Put files (by name, which is their hash) into the folder ``models`` of the region. Whatever the board kept there
    before is gone, so a region that has these already is left alone: False.

    The caller holds the instance's lock; the board is off.
    """
    folder = qemu.media_folder(instance.name, flavour)
    mark = folder / "staged.json"
    if mark.is_file() and models.keys() <= set(json.loads(mark.read_text())):
        return False
    mark.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        tree = Path(name) / "tree"
        (tree / "models").mkdir(parents=True)
        for target, source in models.items():
            _link(source, tree / "models" / target)
        _make(instance, folder / f"{_MEDIUM}.img", tree, deadline)
    mark.write_text(json.dumps(sorted(models)))
    return True


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _make(instance: Instance, image: Path, tree: Path, deadline: Deadline) -> None:
    region = instance.type.medium(_MEDIUM).region(_REGION)
    options = f"offset={region.offset},nodiscard,lazy_itable_init=1,root_owner=0:0"
    command = ["mke2fs", "-q", "-F", "-t", "ext4", "-L", _REGION, "-E", options, "-d", str(tree), str(image)]
    environment = os.environ | {"PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}
    proc.run([*command, f"{region.size >> 10}k"], deadline, env=environment, error=FlashError)
