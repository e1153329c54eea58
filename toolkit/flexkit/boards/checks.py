"""Sense of a board file: what types alone cannot say. Each check refuses with file and line."""

from __future__ import annotations

import re
from collections.abc import Sequence

from flexkit import paths
from flexkit.boards import toml
from flexkit.boards.medium import Medium, MediumRegion
from flexkit.boards.schema import PAGE, Board
from flexkit.errors import BadInput

SECTOR = 512
MBR_PARTITIONS = 4
# Regions that a partition table lives in.
TABLE_REGIONS = {"none": (), "gpt": ("gpt", "gpt-backup"), "mbr": ("mbr",)}
VERSIONS_REGION = "versions"
_NAME = re.compile(r"^[a-z0-9][a-z0-9-]*$")
_USB = re.compile(r"^[0-9a-f]{4}:[0-9a-f]{4}$")
_NEEDED_REGIONS = {"tables": "hidden", "shared": "shared", "payload": "secure", "pages": "secure", "slots": "secure"}

_Range = tuple[str, int, int]  # name, start, end


def _check_name(document: toml.Document, board: Board) -> None:
    if not _NAME.match(board.name):
        raise document.error(("name",), f"name {board.name!r} must be lower-case letters, digits and dashes")
    if board.name != document.path.stem:
        raise document.error(("name",), f"name is {board.name!r} but the file is called {document.path.name}")


def _check_emulation(document: toml.Document, board: Board) -> None:
    if (board.support == "emulated") != board.emulated:
        raise document.error(("support",), "support must be 'emulated' exactly when there is an [emulator] table")
    for index, medium in enumerate(board.media):
        if (medium.kind == "file") != board.emulated or (medium.kind == "file") != bool(medium.bus):
            message = f"medium {medium.name!r}: an emulated board's media, and no others, are of kind 'file' with a bus"
            raise document.error(("medium", index), message)


def _check_isolation(document: toml.Document, board: Board) -> None:
    """A board has a monitor, whole, or says why it has none."""
    isolated = board.backend != "none"
    for key, part in (("monitor", board.monitor), ("payload", board.payload)):
        if (part is not None) != isolated:
            raise document.error((key,), f"[{key}] must be there exactly when backend is not 'none'")
    if bool(board.build.monitor_missing) == isolated:
        where = ("build", "monitor_missing")
        raise document.error(where, "build.monitor_missing must give the reason exactly when backend is 'none'")
    if isolated and board.gic is None:
        raise document.error((), "[gic] is missing: the monitor watches the redistributors")
    if board.gic is not None and (board.gic.kind == "gicv3") != bool(board.gic.redistributors):
        raise document.error(("gic", "redistributors"), "gic.redistributors must be there exactly when kind is 'gicv3'")
    if board.smmu is None and any(master.gate == "smmu" for master in board.dma):
        index = next(i for i, master in enumerate(board.dma) if master.gate == "smmu")
        raise document.error(
            ("dma", index, "gate"), "a gate is 'smmu' but there is no [smmu] that the monitor programs"
        )


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


def _check_beside(document: toml.Document, where: toml.KeyPath, one: _Range, others: Sequence[_Range]) -> None:
    """``one`` overlaps none of ``others``."""
    for name, start, end in others:
        if one[1] < end and start < one[2]:
            raise document.error(where, f"{one[0]!r} overlaps {name!r}")


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
    regions = memory.regions
    dram = ("dram", memory.dram_base, memory.dram_end)
    held = [(each.name, each.base, each.end) for each in regions]
    mmio = [(each.name, each.base, each.end) for each in memory.devices]
    banks = [(each.name, each.base, each.end) for each in memory.banks]
    for key, ranges, others in (("region", held, []), ("device", mmio, [dram, *held]), ("bank", banks, [dram, *held])):
        _check_apart(document, ("memory", key), ranges, limit)
        for index, one in enumerate(ranges):
            _check_beside(document, ("memory", key, index), one, others)
    for index, bank in enumerate(banks):
        _check_beside(document, ("memory", "bank", index), bank, mmio)
    for index, region in enumerate(regions):
        if region.base % PAGE or region.size % PAGE:
            raise document.error(("memory", "region", index), f"{region.name!r} is not made of whole 4K pages")
        inside = memory.dram_base <= region.base and region.end <= memory.dram_end
        if region.to in ("hidden", "shared", "nw") and not inside:
            raise document.error(("memory", "region", index), f"{region.name!r} must lie in DRAM")


def _check_regions(document: toml.Document, board: Board) -> None:
    """The regions that firmware relies on are there and hold what goes into them."""
    if board.monitor is None or board.payload is None:
        return
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


def _check_secure_flash(document: toml.Document, board: Board) -> None:
    """Whole pages, out of the normal world's reach, and set apart on the medium that it is a part of."""
    flash, memory = board.secure_flash, board.memory
    if flash is None:
        return
    where = ("secure_flash",)
    if flash.base % PAGE or flash.block % PAGE or not flash.block:
        raise document.error(where, "secure_flash is not made of whole 4K pages")
    others = [(each.name, each.base, each.end) for each in memory.regions]
    others += [(each.name, each.base, each.end) for each in memory.devices]
    others += [(each.name, each.base, each.end) for each in memory.banks]
    others.append(("dram", memory.dram_base, memory.dram_end))
    _check_beside(document, where, ("secure_flash", flash.base, flash.end), others)
    kept = [region for medium in board.media for region in medium.regions if region.name == VERSIONS_REGION]
    if not kept or not kept[0].destructive or kept[0].image or kept[0].size != flash.end - flash.base:
        needs = f"secure_flash needs a medium's region {VERSIONS_REGION!r} of its size, destructive, without an image"
        raise document.error(where, needs)


def _check_media(document: toml.Document, board: Board) -> None:
    names = [medium.name for medium in board.media]
    for index, medium in enumerate(board.media):
        if names.index(medium.name) != index:
            raise document.error(("medium", index), f"the name {medium.name!r} is used twice")
        ranges = [(each.name, each.offset, each.end) for each in medium.regions]
        _check_apart(document, ("medium", index, "region"), ranges, medium.size)
        for at, region in enumerate(medium.regions):
            _check_medium_region(document, ("medium", index, "region", at), medium, region)
        if not medium.chunk or medium.chunk % SECTOR:
            raise document.error(("medium", index, "chunk"), "chunk is not made of whole sectors")
        _check_slots(document, index, medium)


def _check_slots(document: toml.Document, index: int, medium: Medium) -> None:
    """A pair is two alike and the sector that chooses, or nothing."""
    slots = {region.slot: region for region in medium.regions if region.slot}
    if not slots:
        return
    where = ("medium", index)
    if sorted(region.slot for region in medium.regions if region.slot) != ["a", "b", "state"]:
        raise document.error(where, f"slots of {medium.name!r} must be one a, one b and one state")
    if (slots["a"].size, slots["a"].image) != (slots["b"].size, slots["b"].image):
        raise document.error(where, f"slots a and b of {medium.name!r} differ in size or image")
    if "none" in (slots["a"].partition, slots["b"].partition):
        raise document.error(where, f"slots a and b of {medium.name!r} must be partitions: U-Boot loads from them")


def _check_medium_region(document: toml.Document, where: toml.KeyPath, medium: Medium, region: MediumRegion) -> None:
    if region.offset % SECTOR or region.size % SECTOR:
        raise document.error(where, f"{region.name!r} is not made of whole sectors")
    if region.destructive and not region.protected:
        raise document.error(where, f"{region.name!r} is destructive, so it must be protected too")
    if region.partition != "none" and medium.table == "none":
        raise document.error(where, f"{region.name!r} is a partition, but medium {medium.name!r} has no table")


def _check_tables(document: toml.Document, board: Board) -> None:
    """A medium with a partition table has the regions that hold it, where the table's format wants them."""
    for index, medium in enumerate(board.media):
        for name in TABLE_REGIONS[medium.table]:
            if name not in [region.name for region in medium.regions]:
                raise document.error(("medium", index), f"table {medium.table!r} needs a region {name!r}")
        if medium.table != "none" and medium.region(medium.table).offset:
            raise document.error(("medium", index), f"the region {medium.table!r} must begin at 0")
        if medium.table == "gpt" and medium.region("gpt-backup").end != medium.size:
            raise document.error(("medium", index), "the region 'gpt-backup' must end where the medium does")
        if medium.table == "mbr" and len(medium.partitions) > MBR_PARTITIONS:
            raise document.error(("medium", index), f"an MBR holds {MBR_PARTITIONS} partitions")


def _check_boot(document: toml.Document, board: Board) -> None:
    if not board.boot.stages:
        raise document.error(("boot", "stages"), "a board needs at least one boot stage")
    patterns = [(("boot", "stages"), f"stage {stage.name!r}", stage.pattern) for stage in board.boot.stages]
    if board.uboot is not None:
        patterns.append((("uboot", "stop"), "uboot.stop", board.uboot.stop))
    for where, what, pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise document.error(where, f"the pattern of {what} is not a regular expression: {error}") from None
    _check_cmdline(document, board)


def _check_cmdline(document: toml.Document, board: Board) -> None:
    words = board.boot.cmdline.split()
    cma = f"cma={board.memory.cma_bytes >> 20}M"
    if cma not in words:
        raise document.error(("boot", "cmdline"), f"cmdline must say {cma}, as memory.cma_bytes does")
    console = f"console={board.console.device}"
    speeds = (console, f"{console},{board.console.baud}", f"{console},{board.console.baud}n8")
    if not any(word in speeds for word in words):
        raise document.error(("boot", "cmdline"), f"cmdline must say {speeds[-1]}, as [console] does")


def _check_images(document: toml.Document, board: Board) -> None:
    """Blobs hold up images that the board has; one image is of one size wherever it goes."""
    images = {region.image for medium in board.media for region in medium.regions if region.image}
    for index, blob in enumerate(board.build.blobs):
        for image in blob.images:
            if image not in images:
                raise document.error(("build", "blob", index, "images"), f"no region holds the image {image!r}")


def _check_usb(document: toml.Document, board: Board) -> None:
    for index, usb in enumerate(board.usb):
        if not _USB.match(usb.id):
            raise document.error(("usb", index, "id"), f"id is {usb.id!r}; it must be like '2207:350b'")


CHECKS = (
    _check_name,
    _check_emulation,
    _check_isolation,
    _check_memory,
    _check_regions,
    _check_secure_flash,
    _check_media,
    _check_tables,
    _check_boot,
    _check_images,
    _check_usb,
)


def mailbox_bytes() -> int:
    """FLEX_MAILBOX_SIZE, from the header that defines it."""
    header = paths.project() / "firmware/abi/flexkit/mailbox.h"
    found = re.search(r"^#define FLEX_MAILBOX_SIZE (\d+)", header.read_text(), re.MULTILINE)
    if found is None:
        raise BadInput(f"{header}: FLEX_MAILBOX_SIZE is not defined")
    return int(found.group(1))
