"""What FlexKit needs of the machine, and the command that mends what is missing."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from flexkit import boards, paths
from flexkit.deadline import Deadline
from flexkit.drivers import rules
from flexkit.errors import BadInput, MissingTool
from flexkit.proc import run

SETUP = Path(__file__).resolve().parent / "setup.sh"
# A cold build of both flavours with their kernel trees and the compiler's cache, measured at 7 GB.
SPACE = 10_000_000_000
_PYTHON = (3, 11)
_UDEV = Path("/run/udev")


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
    """Look at the machine: packages, Python, room on the disk, folders that must be writable, rights on boards."""
    return [_python(), *_packages(deadline), _space(), *_folders(), _rights()]


def fix(deadline: Deadline) -> None:
    """Install what is missing (packages, udev's rules), as root or by sudo; MissingTool if neither may be used."""
    run(["bash", SETUP, "--packages"], deadline, error=MissingTool)
    if not _rights().well:
        rules.install(_types(), deadline)


def _python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Finding("python", version, "" if sys.version_info >= _PYTHON else "apt-get install python3 python3-venv")


def _packages(deadline: Deadline) -> list[Finding]:
    missing = run(["bash", SETUP, "--missing"], deadline, error=MissingTool).split()
    if not missing:
        return [Finding("packages", "all installed")]
    return [Finding(f"package {name}", "missing", "flexkit doctor --fix") for name in missing]


def _types() -> list[boards.Board]:
    return [boards.load(name) for name in boards.known()]


def _rights() -> Finding:
    """Rules of udev, where the site has boards that hang on USB while they are flashed."""
    name = "udev rules"
    try:
        wired = [each for each, settings in boards.load_lab().boards.items() if settings.usb]
    except BadInput as error:
        return Finding(name, error.message, "mend the lab file")
    if not wired:
        return Finding(name, "not needed: no board of the lab hangs on USB")
    if not _UDEV.is_dir():
        return Finding(name, "not needed: no udev here")
    if rules.current(_types()):
        return Finding(name, str(rules.FILE))
    return Finding(name, f"{rules.FILE} is missing or old", "flexkit doctor --fix")


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
