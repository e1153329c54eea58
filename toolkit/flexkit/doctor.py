"""What FlexKit needs of the machine, and the command that mends what is missing."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flexkit import boards, paths
from flexkit.boards import Instance
from flexkit.deadline import Deadline
from flexkit.drivers import rules
from flexkit.errors import BadInput, MissingTool
from flexkit.proc import run

SETUP = Path(__file__).resolve().parent / "setup.sh"
# A cold build of both flavours with their kernel trees and the compiler's cache, measured at 7 GB.
SPACE = 10_000_000_000
_PYTHON = (3, 11)
_APT = "apt-get install "
_UDEV = Path("/run/udev")
# Programs that a board may need beside what every machine has, by what names them in board and lab files, and Debian's
# packages that have them.
_FLASH_TOOLS = {"rkdeveloptool": "rkdeveloptool", "fastboot": "fastboot", "uuu": "uuu", "dfu-util": "dfu-util"}
_POWER_TOOLS = {"uhubctl": "uhubctl", "snmp": "snmpset", "labgrid": "labgrid-client"}
_MENDS = {"snmpset": "apt-get install snmp", "labgrid-client": "pip install flexkit[labgrid]"}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. ``mend`` is a command, empty when all is well."""

    name: str
    found: str
    mend: str = ""

    @property
    def well(self) -> bool:
        """Whether nothing has to be done."""
        return not self.mend


def examine(deadline: Deadline, wanted: Sequence[Instance] = ()) -> list[Finding]:
    """Look at the machine: packages, Python, room on the disk, folders that must be writable, rights on boards; for
    each of the boards that are ``wanted`` the tools that flash and switch it."""
    tools = [finding for instance in wanted for finding in tools_of(instance)]
    return [_python(), *_packages(deadline), _space(), *_folders(), _rights(), *tools]


def fix(deadline: Deadline, wanted: Sequence[Instance] = ()) -> None:
    """Install what is missing (packages, those of the boards' tools too, udev's rules), as root or by sudo; MissingTool
    if neither may be used."""
    mends = [finding.mend for instance in wanted for finding in tools_of(instance)]
    packages = {mend.removeprefix(_APT) for mend in mends if mend.startswith(_APT)}
    run(["bash", SETUP, "--packages", *sorted(packages)], deadline, error=MissingTool)
    if not _rights().well:
        rules.install(_types(), deadline)


def tools_of(instance: Instance) -> list[Finding]:
    """A finding for each program that this board's media can be written with, and that its lab entry needs. Of what
    the site does not say (a type that nobody has here yet) every way of the type counts."""
    found = []
    for program, what in _programs(instance).items():
        at = shutil.which(program)
        mend = "" if at else _MENDS.get(program, f"{_APT}{program}")
        found.append(Finding(f"{instance.name}: {program}", f"{at or 'missing'} ({what})", mend))
    return found


def _programs(instance: Instance) -> dict[str, str]:
    """Programs by name, and what each is for."""
    settings, media = instance.settings, instance.type.media
    programs = {}
    for medium in media:
        for way in medium.ways:
            if way.tool in _FLASH_TOOLS:
                programs[_FLASH_TOOLS[way.tool]] = f"flashes {medium.name}{' at ' + way.at if way.at else ''}"
    if settings.sd_mux:
        programs["usbsdmux"] = "switches the card"
    driver = settings.power.driver if settings.power else "labgrid" if settings.labgrid else ""
    if driver in _POWER_TOOLS:
        programs[_POWER_TOOLS[driver]] = "switches power"
    return programs


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
