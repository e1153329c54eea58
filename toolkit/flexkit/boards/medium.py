"""Flash media in a board file: what lies where from sector 0, and what can write it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from flexkit.boards.entry import entry

Tool = Literal["file", "block", "rkdeveloptool", "fastboot", "uuu", "dfu-util", "uboot", "ssh"]


@dataclass(frozen=True)
class MediumRegion:
    """A range of a medium."""

    name: str = entry("unique on its medium; the partition's name where it is one")
    offset: int = entry("first byte; a multiple of 512")
    size: int = entry("bytes; a multiple of 512")
    image: str | None = entry("the built piece that belongs here; absent: the board makes it itself", default=None)
    protected: bool = entry("a write that touches it is refused unless the region is named", default=False)
    destructive: bool = entry("holds what no build can make again: also backed up before it is written", default=False)
    partition: Literal["none", "linux", "fat"] = entry("its kind in the medium's partition table", default="none")
    bootable: bool = entry(
        "marked so in the table: U-Boot looks on such a partition, or else on the first", default=False
    )
    slot: Literal["", "a", "b", "state"] = entry(
        "of an A/B pair, which of the two; state: the sector by which U-Boot chooses (boards/slots.py)", default=""
    )

    @property
    def end(self) -> int:
        """First byte behind it."""
        return self.offset + self.size


@dataclass(frozen=True)
class Way:
    """One tool that can write a medium, in the order in which they are to be tried."""

    tool: Tool = entry("the flash driver; block is an SD card in a reader or behind a mux")
    at: Literal["", "sd", "emmc", "spi"] = entry("which of the board's slots it writes, where that matters", default="")
    device: str = entry("the medium's name to that tool: `mmc 1` (uboot), an alternate setting (dfu-util)", default="")
    loader: str = entry("image that has to be sent first, by its name in the build", default="")
    bytes_per_second: int = entry("what it is known to move at the least: deadlines are computed from it", default=0)
    hands: str = entry("what a person has to do first", default="")


@dataclass(frozen=True)
class Medium:
    """A flash medium from its first byte."""

    name: str = entry("unique on the board")
    kind: Literal["file", "card", "spi-nor"] = entry("file: the emulator's; card: an SD card or eMMC alike")
    size: int = entry("of the smallest one accepted; what lies behind is not used")
    chunk: int = entry("bytes in one write and read-back")
    regions: tuple[MediumRegion, ...] = entry("what lies on it", key="region")
    table: Literal["none", "gpt", "mbr"] = entry("its partition table", default="none")
    bus: Literal["", "pflash", "virtio-blk"] = entry("how the emulator attaches it", default="")
    ways: tuple[Way, ...] = entry("what can write it", key="way", default=())

    def region(self, name: str) -> MediumRegion:
        """By name. Raises KeyError."""
        for region in self.regions:
            if region.name == name:
                return region
        raise KeyError(name)

    @property
    def partitions(self) -> tuple[MediumRegion, ...]:
        """Partition 1, 2, …: in the order of the board file."""
        return tuple(region for region in self.regions if region.partition != "none")
