"""What a board file says, as types. Field by field the TOML of ``boards/*.toml``; nothing here reads files.

Sizes and addresses are bytes, times are seconds. A field whose TOML key differs from its name says so in its metadata.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Support = Literal["silicon", "emulated", "built only"]
Backend = Literal["stage2", "gpt"]
Gate = Literal["smmu", "firewall", "none"]
Reach = Literal["nw", "hidden", "shared", "secure"]


@dataclass(frozen=True)
class Cpu:
    """Cores and what code for them may use. ``counter_hz`` is CNTFRQ_EL0."""

    cores: int
    model: str
    features: tuple[str, ...]
    counter_hz: int


@dataclass(frozen=True)
class Region:
    """A range of memory with a purpose; ``to`` says who may reach it."""

    name: str
    base: int
    size: int
    to: Reach

    @property
    def end(self) -> int:
        return self.base + self.size


@dataclass(frozen=True)
class Device:
    """MMIO that the normal world may reach."""

    name: str
    base: int
    size: int

    @property
    def end(self) -> int:
        return self.base + self.size


@dataclass(frozen=True)
class Memory:
    dram_base: int
    dram_size: int
    ipa_bits: int
    cma_bytes: int
    regions: tuple[Region, ...] = field(metadata={"key": "region"})
    devices: tuple[Device, ...] = field(metadata={"key": "device"})

    @property
    def dram_end(self) -> int:
        return self.dram_base + self.dram_size

    def region(self, name: str) -> Region:
        """The region of that name; KeyError if the board has none (validation has checked the needed ones)."""
        for region in self.regions:
            if region.name == name:
                return region
        raise KeyError(name)


@dataclass(frozen=True)
class Smmu:
    base: int
    kind: Literal["smmuv3"]
    stream_bits: int


@dataclass(frozen=True)
class DmaMaster:
    """A device that reads or writes memory by itself, and what stands between it and a secure page."""

    name: str
    gate: Gate
    why: str


@dataclass(frozen=True)
class Monitor:
    slots: int
    pin_quota: int
    mailboxes: int
    scrub_chunk: int


@dataclass(frozen=True)
class Payload:
    threads: int
    comm_bytes: int


@dataclass(frozen=True)
class MediumRegion:
    """A range of a medium. ``image`` names the built piece; None: the board makes it itself (first boot)."""

    name: str
    offset: int
    size: int
    image: str | None = None
    protected: bool = False

    @property
    def end(self) -> int:
        return self.offset + self.size


@dataclass(frozen=True)
class Medium:
    """A flash medium from its first byte; writes and read-backs go by ``chunk`` bytes."""

    name: str
    kind: Literal["file"]
    size: int
    chunk: int
    regions: tuple[MediumRegion, ...] = field(metadata={"key": "region"})

    def region(self, name: str) -> MediumRegion:
        for region in self.regions:
            if region.name == name:
                return region
        raise KeyError(name)


@dataclass(frozen=True)
class Stage:
    """A step of booting and the console text (a regular expression) that shows it was reached."""

    name: str
    pattern: str


@dataclass(frozen=True)
class Boot:
    cmdline: str
    stages: tuple[Stage, ...]


@dataclass(frozen=True)
class Timeouts:
    boot: float
    flash: float
    shell: float
    power: float


@dataclass(frozen=True)
class Emulator:
    """How QEMU plays this board. ``storage_read_bytes_per_second`` throttles the disk to a real medium's speed."""

    machine: str
    storage_read_bytes_per_second: int


@dataclass(frozen=True)
class Board:
    """A board type: everything that is true of each board of that type."""

    schema: int
    name: str
    title: str
    support: Support
    backend: Backend
    cpu: Cpu
    memory: Memory
    dma: tuple[DmaMaster, ...]
    monitor: Monitor
    payload: Payload
    media: tuple[Medium, ...] = field(metadata={"key": "medium"})
    boot: Boot
    timeouts: Timeouts
    smmu: Smmu | None = None
    emulator: Emulator | None = None

    @property
    def emulated(self) -> bool:
        return self.emulator is not None

    @property
    def open_masters(self) -> tuple[str, ...]:
        """DMA masters with nothing between them and a secure page: any, and the board is "DMA open"."""
        return tuple(master.name for master in self.dma if master.gate == "none")

    def medium(self, name: str) -> Medium:
        for medium in self.media:
            if medium.name == name:
                return medium
        raise KeyError(name)


@dataclass(frozen=True)
class LabBoard:
    """What a site says about one board of its own (``[board.NAME]`` of lab.toml)."""

    type: str
    serial: str | None = None
    baud: int = 115200
    power: str | None = None
    ssh: str | None = None
    sd_mux: str | None = None
    labgrid: str | None = None


@dataclass(frozen=True)
class Instance:
    """One board that can be used: its name, its type, and the site's settings."""

    name: str
    type: Board
    settings: LabBoard
