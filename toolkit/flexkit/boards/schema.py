"""What a board file says, as types. Field by field the TOML of ``boards/*.toml``; nothing here reads files.

Sizes, addresses and offsets are bytes, times are seconds. Each key's meaning stands at its field and nowhere else;
``boards/README.md`` is generated from here (``python -m flexkit.boards.reference``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from flexkit.boards.entry import entry
from flexkit.boards.medium import Medium
from flexkit.boards.recipe import Build

Support = Literal["silicon", "emulated", "built only"]
Backend = Literal["stage2", "gpt", "none"]
Gate = Literal["smmu", "firewall", "none"]
Reach = Literal["nw", "hidden", "shared", "secure"]
Feature = Literal["fp", "asimd", "aes", "atomics", "dotprod", "i8mm"]
PAGE = 4096
"""Bytes of what is donated, protected and taken back."""
FLASH_BLOCKS = 2
"""Erase blocks of a secure flash: RT_FLASH_BLOCKS."""
Place = Literal["spi", "emmc", "sd", "usb", "network", "flash"]


@dataclass(frozen=True)
class Cpu:
    """Cores, and what code for them may use."""

    cores: int = entry("cores that Linux and the secure threads run on")
    model: str = entry("cores by name; of an emulated board QEMU's -cpu")
    features: tuple[Feature, ...] = entry("what the build may use; the monitor asserts it at boot")
    counter_hz: int = entry("CNTFRQ_EL0")


@dataclass(frozen=True)
class Region:
    """A range of memory with a purpose."""

    name: str = entry("firmware relies on: tables, shared, payload, pages, slots")
    base: int = entry("first address; whole 4K pages")
    size: int = entry("bytes; whole 4K pages")
    to: Reach = entry("who may reach it: nw (the normal world), hidden (EL3 alone), shared (both worlds), secure")

    @property
    def end(self) -> int:
        """First address behind it."""
        return self.base + self.size


@dataclass(frozen=True)
class Bank:
    """DRAM of the normal world of which no page can be donated: outside the range that the monitor keeps entries of."""

    name: str = entry("for people")
    base: int = entry("first address")
    size: int = entry("bytes")

    @property
    def end(self) -> int:
        """First address behind it."""
        return self.base + self.size


@dataclass(frozen=True)
class Device:
    """MMIO that the normal world may reach; whatever is not listed is unmapped in stage 2."""

    name: str = entry("for people")
    base: int = entry("first address")
    size: int = entry("bytes")

    @property
    def end(self) -> int:
        """First address behind it."""
        return self.base + self.size


@dataclass(frozen=True)
class Memory:
    """The physical address space as stage 2 sees it."""

    dram_base: int = entry("first address of the DRAM whose pages can be donated; 2 MiB aligned")
    dram_size: int = entry("its size; a multiple of 2 MiB")
    ipa_bits: int = entry("address bits of stage 2: 32 to 48")
    cma_bytes: int = entry("the strawman's contiguous region; cmdline says the same as cma=")
    regions: tuple[Region, ...] = entry("what is set apart", key="region", default=())
    devices: tuple[Device, ...] = entry("what the normal world may reach beside DRAM", key="device", default=())
    banks: tuple[Bank, ...] = entry("further DRAM of the normal world", key="bank", default=())

    @property
    def dram_end(self) -> int:
        """First address behind DRAM."""
        return self.dram_base + self.dram_size

    def region(self, name: str) -> Region:
        """The region of that name; KeyError if the board has none (validation has checked the needed ones)."""
        for region in self.regions:
            if region.name == name:
                return region
        raise KeyError(name)


@dataclass(frozen=True)
class Smmu:
    """The SMMU that the monitor programs."""

    base: int = entry("its registers")
    kind: Literal["smmuv3"] = entry("its architecture")
    stream_bits: int = entry("width of a stream identifier")


@dataclass(frozen=True)
class Gic:
    """The interrupt controller, as far as it masters memory."""

    kind: Literal["gicv2", "gicv3"] = entry("its architecture", default="gicv3")
    redistributors: int = entry(
        "registers of the first redistributor of a GICv3; the others follow, 128 KiB each", default=0
    )


@dataclass(frozen=True)
class SecureFlash:
    """Flash that no part of the normal world can reach, where the payload keeps minimum versions of models: two erase
    blocks. Without it a model that was rolled back is not refused."""

    kind: Literal["cfi-intel"] = entry("two 16-bit NOR chips side by side, with the CFI's Intel command set")
    base: int = entry("address of the first block")
    block: int = entry("bytes of an erase block, of both chips together")

    @property
    def end(self) -> int:
        """First address behind its blocks."""
        return self.base + FLASH_BLOCKS * self.block


@dataclass(frozen=True)
class DmaMaster:
    """A device that reads or writes memory by itself. Any gate ``none``, and the board is called "DMA open"."""

    name: str = entry("the master")
    gate: Gate = entry("what stands between it and a secure page: smmu, firewall, none")
    why: str = entry("how that is known")


@dataclass(frozen=True)
class Npu:
    """What an NPU is worth on this kind of board: the emulator paces its NPU to it."""

    prefill: float = entry("prefill with it, over prefill on the CPU")
    decode: float = entry("decode with it, over decode on the CPU")
    source: str = entry("where the two figures were published")


@dataclass(frozen=True)
class Monitor:
    """Sizes of Flex-Monitor."""

    slots: int = entry("secure pages at the most")
    pin_quota: int = entry("pages that the payload may hold pinned")
    mailboxes: int = entry("calls with lists that can be under way at once")
    scrub_chunk: int = entry("pages between two polls for pending interrupts")
    protection: Literal["on demand", "always"] = entry(
        "always: no firewall closes the secure regions, so stage 2 stays on from boot to power-off", default="on demand"
    )


@dataclass(frozen=True)
class Payload:
    """Sizes of the S-EL1 payload."""

    threads: int = entry("secure threads")
    comm_bytes: int = entry("its communication area, behind the mailboxes in the region shared")


@dataclass(frozen=True)
class Console:
    """The serial port on which the board speaks."""

    device: str = entry("Linux's name of it; cmdline says console= so")
    baud: int = entry("bits a second")


@dataclass(frozen=True)
class UBoot:
    """U-Boot's console, where the board has one."""

    stop: str = entry("what it prints while a key stops it from booting (a regular expression)")
    key: str = entry("that key")
    prompt: str = entry("the end of its prompt, literally")
    buffer: int = entry("an address in DRAM where a chunk can be received, far from U-Boot itself")
    boot: str = entry("what makes it go on booting")


@dataclass(frozen=True)
class Stage:
    """A step of booting, and how it shows."""

    name: str = entry("for people and reports")
    pattern: str = entry("console text that shows that it was reached (a regular expression)")
    hint: str = entry("what to try when nothing follows it", default="")


@dataclass(frozen=True)
class Boot:
    """How the board comes up."""

    cmdline: str = entry("the kernel's command line")
    rom: tuple[Place, ...] = entry("where the boot ROM looks, in its order: what is earlier defeats what is later")
    stages: tuple[Stage, ...] = entry("in their order; the last one seen is what a silent board is diagnosed by")


@dataclass(frozen=True)
class Usb:
    """How the board shows on USB in one of its modes."""

    id: str = entry("vendor:product, four hexadecimal digits each, as lsusb prints them")
    mode: Literal["maskrom", "loader", "mass-storage", "fastboot", "dfu", "sdp"] = entry("what it takes in that mode")
    hands: str = entry("what a person does to bring it there, or out of it", default="")
    version: str = entry("its USB version in this mode, as sysfs has it, where two modes share an id: 2.01", default="")


@dataclass(frozen=True)
class Timeouts:
    """Limits of single actions, in seconds."""

    boot: float = entry("from power to the last boot stage")
    flash: float = entry("a whole medium")
    shell: float = entry("until SSH answers")
    power: float = entry("switching it")
    enumerate: float = entry("until it shows on USB again after a reset", default=30.0)
    tool: float = entry("one call of an external tool that moves at most a chunk", default=60.0)


@dataclass(frozen=True)
class Emulator:
    """How QEMU plays this board."""

    machine: str = entry("QEMU's -machine")
    storage_read_bytes_per_second: int = entry("to which the disk is throttled: a real medium's speed")


@dataclass(frozen=True)
class Board:
    """A board type: everything that is true of each board of that type."""

    schema: int = entry("version of this format")
    name: str = entry("the file's own name")
    title: str = entry("one line for people")
    soc: str = entry("system on a chip")
    support: Support = entry("silicon (measured on it), emulated (runs in QEMU), built only (was never run)")
    backend: Backend = entry("isolation: stage2, gpt, none (then build.monitor_missing says why)")
    cpu: Cpu = entry("cores")
    memory: Memory = entry("address space")
    dma: tuple[DmaMaster, ...] = entry("every DMA master and its gate")
    media: tuple[Medium, ...] = entry("flash media from sector 0", key="medium")
    console: Console = entry("serial console")
    boot: Boot = entry("boot order and stages")
    timeouts: Timeouts = entry("limits of single actions")
    build: Build = entry("how its images are made")
    extends: str = entry(
        "a file beside it with what boards of one SoC share; a key stands in one of the two", default=""
    )
    replaces: tuple[str, ...] = entry(
        "keys of a whole board that it extends which it says anew, as memory.region; name and schema always", default=()
    )
    monitor: Monitor | None = entry("sizes of the monitor; absent exactly when backend is none", default=None)
    payload: Payload | None = entry("sizes of the payload; absent exactly when backend is none", default=None)
    gic: Gic | None = entry("the interrupt controller that the monitor guards", default=None)
    smmu: Smmu | None = entry("the SMMU that the monitor programs", default=None)
    secure_flash: SecureFlash | None = entry(
        "where minimum versions are kept; absent: a model that was rolled back is not refused", default=None
    )
    npu: Npu | None = entry("what its NPU is worth", default=None)
    uboot: UBoot | None = entry("U-Boot's console", default=None)
    usb: tuple[Usb, ...] = entry("how it shows on USB", default=())
    emulator: Emulator | None = entry("present exactly when support is emulated", default=None)

    @property
    def emulated(self) -> bool:
        """Whether QEMU plays it."""
        return self.emulator is not None

    @property
    def open_masters(self) -> tuple[str, ...]:
        """DMA masters with nothing between them and a secure page: any, and the board is "DMA open"."""
        return tuple(master.name for master in self.dma if master.gate == "none")

    @property
    def refuses_rollback(self) -> bool:
        """Whether a model older than one that the board has seen is refused."""
        return self.secure_flash is not None

    def medium(self, name: str) -> Medium:
        """By name. Raises KeyError."""
        for medium in self.media:
            if medium.name == name:
                return medium
        raise KeyError(name)
