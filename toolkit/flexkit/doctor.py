"""What FlexKit needs of the machine, and the command that mends what is missing."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from flexkit import paths
from flexkit.deadline import Deadline
from flexkit.errors import MissingTool
from flexkit.proc import run

SETUP = Path(__file__).resolve().parent / "setup.sh"
# A cold build of both flavours with their kernel trees and the compiler's cache, measured at 7 GB.
SPACE = 10_000_000_000
_PYTHON = (3, 11)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. ``mend`` is a command, empty when all is well."""

    name: str
    found: str
    mend: str = ""

    @property
    def well(self) -> bool:
        return not self.mend


def examine(deadline: Deadline) -> list[Finding]:
    """Look at the machine: packages, Python, room on the disk, folders that must be writable."""
    return [_python(), *_packages(deadline), _space(), *_folders()]


def fix(deadline: Deadline) -> None:
    """Install the Debian packages that are missing, as root or by sudo; MissingTool if neither may be used."""
    run(["bash", SETUP, "--packages"], deadline, error=MissingTool)


def _python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Finding("python", version, "" if sys.version_info >= _PYTHON else "apt-get install python3 python3-venv")


def _packages(deadline: Deadline) -> list[Finding]:
    missing = run(["bash", SETUP, "--missing"], deadline, error=MissingTool).split()
    if not missing:
        return [Finding("packages", "all installed")]
    return [Finding(f"package {name}", "missing", "flexkit doctor --fix") for name in missing]


def _space() -> Finding:
    free = shutil.disk_usage(paths.cache()).free
    text = f"{free / 1e9:.0f} GB free below {paths.cache()}"
    return Finding("disk", text, "" if free >= SPACE else "flexkit cache prune, or XDG_CACHE_HOME=/a/larger/disk")


def _folders() -> list[Finding]:
    found = []
    for name, folder in (("cache", paths.cache()), ("state", paths.state())):
        writable = os.access(folder, os.W_OK)
        found.append(Finding(name, str(folder), "" if writable else f"chown -R {os.getuid()} {folder}"))
    return found
