"""Board files and lab files: found, read strictly, checked for sense."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from flexkit import paths
from flexkit.boards import toml
from flexkit.boards.schema import Board, Instance, LabBoard
from flexkit.errors import BadInput

SCHEMA = 1
DEFAULT = "qemu-virt"
PAGE = 4096
_NAME = re.compile(r"^[a-z0-9][a-z0-9-]*$")
_NEEDED_REGIONS = {"tables": "hidden", "shared": "shared", "payload": "secure", "pages": "secure", "slots": "secure"}


_Range = tuple[str, int, int]  # name, start, end


def known() -> dict[str, Path]:
    """Board types that the project has, by name."""
    return {path.stem: path for path in sorted((paths.project() / "boards").glob("*.toml"))}


def load(name: str) -> Board:
    """A board type by name. BadInput if there is none, or its file is wrong (with file and line)."""
    files = known()
    if name not in files:
        raise _unknown(name, list(files))
    return load_file(files[name])


def load_file(path: Path) -> Board:
    """A board type from a file, checked."""
    document = toml.read(path)
    schema = document.data.get("schema")
    if schema != SCHEMA:
        raise document.error(("schema",), f"schema is {schema!r}; this flexkit reads schema {SCHEMA}")
    board = toml.decode(document, Board)
    for check in _CHECKS:
        check(document, board)
    return board


def _unknown(name: str, names: Sequence[str]) -> BadInput:
    near = get_close_matches(name, names, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return BadInput(f"no board is called {name!r}{hint}", mend=f"known: {', '.join(names)} (flexkit boards list)")


# ---- sense of a board file ----------------------------------------------------------------------------------------


def _check_name(document: toml.Document, board: Board) -> None:
    if not _NAME.match(board.name):
        raise document.error(("name",), f"name {board.name!r} must be lower-case letters, digits and dashes")
    if board.name != document.path.stem:
        raise document.error(("name",), f"name is {board.name!r} but the file is called {document.path.name}")


def _check_emulation(document: toml.Document, board: Board) -> None:
    if (board.support == "emulated") != board.emulated:
        raise document.error(("support",), "support must be 'emulated' exactly when there is an [emulator] table")


def _check_apart(document: toml.Document, key: toml.KeyPath, ranges: Sequence[_Range], limit: int) -> None:
    """Names differ, nothing is empty, nothing overlaps, nothing ends beyond ``limit``."""
    for index, (name, start, end) in enumerate(ranges):
        where = (*key, index)
        if start == end:
            raise document.error(where, f"{name!r} is empty")
        if end > limit:
            raise document.error(where, f"{name!r} ends at {end:#x}, beyond {limit:#x}")
        for other_name, other_start, other_end in ranges[:index]:
            if name == other_name:
                raise document.error(where, f"the name {name!r} is used twice")
            if start < other_end and other_start < end:
                raise document.error(where, f"{name!r} overlaps {other_name!r}")


def _check_memory(document: toml.Document, board: Board) -> None:
    memory = board.memory
    if not 32 <= memory.ipa_bits <= 48:
        raise document.error(("memory", "ipa_bits"), f"ipa_bits is {memory.ipa_bits}; it must be 32 to 48")
    limit = 1 << memory.ipa_bits
    for key, value in (("dram_base", memory.dram_base), ("dram_size", memory.dram_size)):
        if value % (1 << 21):
            raise document.error(("memory", key), f"{key} must be a multiple of 2 MiB")
    if memory.dram_end > limit:
        raise document.error(("memory", "dram_size"), "DRAM ends beyond the address space of ipa_bits")
    regions, devices = memory.regions, memory.devices
    _check_apart(document, ("memory", "region"), [(each.name, each.base, each.end) for each in regions], limit)
    _check_apart(document, ("memory", "device"), [(each.name, each.base, each.end) for each in devices], limit)
    for index, region in enumerate(regions):
        if region.base % PAGE or region.size % PAGE:
            raise document.error(("memory", "region", index), f"{region.name!r} is not made of whole 4K pages")
        inside = memory.dram_base <= region.base and region.end <= memory.dram_end
        if region.to in ("hidden", "shared", "nw") and not inside:
            raise document.error(("memory", "region", index), f"{region.name!r} must lie in DRAM")
        for other, device in enumerate(devices):
            if region.base < device.end and device.base < region.end:
                where = ("memory", "device", other)
                raise document.error(where, f"device {device.name!r} overlaps the region {region.name!r}")


def _check_regions(document: toml.Document, board: Board) -> None:
    """The regions that firmware relies on are there and hold what goes into them."""
    for name, reach in _NEEDED_REGIONS.items():
        index = next((i for i, region in enumerate(board.memory.regions) if region.name == name), None)
        if index is None:
            raise document.error(("memory",), f"the memory region {name!r} is missing")
        if board.memory.regions[index].to != reach:
            raise document.error(("memory", "region", index, "to"), f"region {name!r} must be {reach!r}")
    pages = board.memory.dram_size // PAGE
    needed = {
        "pages": 4 * pages + 4 * (board.memory.dram_size >> 21),
        "slots": 8 * board.monitor.slots,
        "shared": board.monitor.mailboxes * mailbox_bytes() + board.payload.comm_bytes,
    }
    for name, size in needed.items():
        if board.memory.region(name).size < size:
            index = next(i for i, region in enumerate(board.memory.regions) if region.name == name)
            where = ("memory", "region", index, "size")
            has = board.memory.region(name).size
            raise document.error(where, f"region {name!r} holds {has:#x} bytes, needs {size:#x}")
    if board.monitor.pin_quota > board.monitor.slots:
        raise document.error(("monitor", "pin_quota"), "pin_quota is larger than the number of slots")


def _check_media(document: toml.Document, board: Board) -> None:
    names = [medium.name for medium in board.media]
    for index, medium in enumerate(board.media):
        if names.index(medium.name) != index:
            raise document.error(("medium", index), f"the name {medium.name!r} is used twice")
        ranges = [(each.name, each.offset, each.end) for each in medium.regions]
        _check_apart(document, ("medium", index, "region"), ranges, medium.size)
        for at, region in enumerate(medium.regions):
            if region.offset % 512 or region.size % 512:
                raise document.error(("medium", index, "region", at), f"{region.name!r} is not made of whole sectors")


def _check_boot(document: toml.Document, board: Board) -> None:
    if not board.boot.stages:
        raise document.error(("boot", "stages"), "a board needs at least one boot stage")
    for stage in board.boot.stages:
        try:
            re.compile(stage.pattern)
        except re.error as error:
            message = f"the pattern of stage {stage.name!r} is not a regular expression: {error}"
            raise document.error(("boot", "stages"), message) from None
    cma = f"cma={board.memory.cma_bytes >> 20}M"
    if cma not in board.boot.cmdline.split():
        raise document.error(("boot", "cmdline"), f"cmdline must say {cma}, as memory.cma_bytes does")


_CHECKS = (_check_name, _check_emulation, _check_memory, _check_regions, _check_media, _check_boot)


def mailbox_bytes() -> int:
    """FLEX_MAILBOX_SIZE, from the header that defines it."""
    header = paths.project() / "firmware/abi/flexkit/mailbox.h"
    found = re.search(r"^#define FLEX_MAILBOX_SIZE (\d+)", header.read_text(), re.MULTILINE)
    if found is None:
        raise BadInput(f"{header}: FLEX_MAILBOX_SIZE is not defined")
    return int(found.group(1))


# ---- labs ----------------------------------------------------------------------------------------------------------


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
        if settings.type not in types:
            raise document.error(("board", name, "type"), f"board {name!r} has the unknown type {settings.type!r}")
    default = document.data.get("default")
    if default is not None and (not isinstance(default, str) or default not in {*boards, *types}):
        raise document.error(("default",), f"default is {default!r}, which is no board of this lab")
    return Lab(path, default, boards)


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
        raise _unknown(name, [*site.boards, *types])
    board = load(name)
    if not board.emulated:
        raise BadInput(
            f"{name} is a type of board, not a board that can be reached",
            mend=f"add one to the lab file: flexkit boards discover --add NAME, or [board.NAME] type = {name!r}",
        )
    return Instance(name, board, LabBoard(name))
