"""The site's boards: ``lab.toml``, and which board a command is to use."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from flexkit import paths
from flexkit.boards import toml
from flexkit.boards.entry import entry
from flexkit.boards.load import known, load, unknown
from flexkit.boards.schema import Board
from flexkit.boards.wiring import BootModeWiring, PowerWiring, ResetWiring
from flexkit.errors import BadInput

DEFAULT = "qemu-virt"
FILE_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
"""What a board may be called: it names files."""


@dataclass(frozen=True)
class LabBoard:
    """What a site says about one board of its own (``[board.NAME]``)."""

    type: str = entry("its board type: a file of boards/")
    serial: str | None = entry("the console: a device, socket://HOST:PORT or rfc2217://HOST:PORT", default=None)
    baud: int | None = entry("the console's speed, where it is not the type's", default=None)
    ssh: str | None = entry("host, or host:port", default=None)
    power: PowerWiring | None = entry("what switches it", default=None)
    reset: ResetWiring | None = entry("what resets it", default=None)
    boot_mode: BootModeWiring | None = entry("what chooses where its boot ROM looks", default=None)
    labgrid: str | None = entry("its labgrid place: power and console, where they are not said here", default=None)
    usb: str | None = entry("the USB port that it hangs on while it is flashed: 1-1.4", default=None)
    sd: str | None = entry("the block device of its SD card's reader: /dev/disk/by-id/...", default=None)
    sd_mux: str | None = entry("its SD mux", default=None)
    tftp: str | None = entry("folder of the TFTP server that it loads from", default=None)
    server: str | None = entry("that server's address, as the board sees it", default=None)
    identity: str | None = entry("what ledger and lock know it by, where that is not its name", default=None)


@dataclass(frozen=True)
class Instance:
    """One board that can be used: its name, its type, and the site's settings."""

    name: str
    type: Board
    settings: LabBoard

    @property
    def baud(self) -> int:
        """Speed of its console."""
        return self.settings.baud or self.type.console.baud

    @property
    def identity(self) -> str:
        """What ledger and lock know this board by: the same however often it is renamed."""
        return self.settings.identity or self.name

    @property
    def wired(self) -> bool:
        """Whether it is reached through drivers of the site's own, rather than emulated by this tool."""
        settings = self.settings
        return not self.type.emulated or any((settings.serial, settings.power, settings.labgrid))


@dataclass(frozen=True)
class Lab:
    """A site's boards. ``path`` is None when the site has no lab file."""

    path: Path | None
    default: str | None
    boards: dict[str, LabBoard]


def lab_file(named: Path | None = None) -> Path | None:
    """The lab file in use: ``--lab``, ``$FLEXKIT_LAB``, ``./lab.toml``, ``~/.config/flexkit/lab.toml``."""
    if named is None and os.environ.get("FLEXKIT_LAB"):
        named = Path(os.environ["FLEXKIT_LAB"])
    if named is not None:
        return named
    candidates = (Path("lab.toml"), paths.config() / "lab.toml")
    return next((path for path in candidates if path.is_file()), None)


def load_lab(named: Path | None = None) -> Lab:
    """The site's lab, empty if it has none. A file that was named must exist."""
    path = lab_file(named)
    if path is None:
        return Lab(None, None, {})
    document = toml.read(path)
    for key in document.data:
        if key not in ("default", "board"):
            raise document.error((key,), f"unknown key {key!r}; known: default, board")
    tables = document.data.get("board", {})
    if not isinstance(tables, dict):
        raise document.error(("board",), "board must be a table: [board.NAME]")
    boards = {name: toml.decode(document, LabBoard, table, ("board", name)) for name, table in tables.items()}
    types = known()
    for name, settings in boards.items():
        _check(document, name, settings, types)
    default = document.data.get("default")
    if default is not None and (not isinstance(default, str) or default not in {*boards, *types}):
        raise document.error(("default",), f"default is {default!r}, which is no board of this lab")
    return Lab(path, default, boards)


def _check(document: toml.Document, name: str, settings: LabBoard, types: Collection[str]) -> None:
    """What one board's table may not say beside the others: files are named after boards, and -b takes a type too."""
    where = ("board", name)
    if settings.type not in types:
        raise document.error((*where, "type"), f"board {name!r} has the unknown type {settings.type!r}")
    if name in types and name != settings.type:
        raise document.error(where, f"board {name!r} is of type {settings.type!r}, and called like another type")
    for key, word in (("", name), ("identity", settings.identity or name)):
        if not FILE_NAME.match(word):
            place = (*where, key) if key else where
            raise document.error(place, f"{word!r} cannot be a board's {key or 'name'}: letters, digits, . _ and -")


def resolve(name: str | None = None, lab: Path | None = None) -> Instance:
    """The board that a command is to use.

    ``name`` is an instance of the lab or an emulated type. Without one: ``$FLEXKIT_BOARD``, the lab file's default,
    qemu-virt.
    """
    site = load_lab(lab)
    name = name or os.environ.get("FLEXKIT_BOARD") or site.default or DEFAULT
    if name in site.boards:
        settings = site.boards[name]
        return Instance(name, load(settings.type), settings)
    types = known()
    if name not in types:
        raise unknown(name, [*site.boards, *types])
    board = load(name)
    if not board.emulated:
        raise BadInput(
            f"{name} is a type of board, not a board that can be reached",
            mend=f"add one to the lab file: flexkit boards discover --add NAME, or [board.NAME] type = {name!r}",
        )
    return Instance(name, board, LabBoard(name))
