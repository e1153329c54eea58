"""Single steps that the driver times: world switches, donation and recall, allocation. What is measured, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from flexkit.bench.board import Mode, Spent, StepKind
from flexkit.boards.schema import PAGE

MIB = 1 << 20
Pressure = Literal["idle", "pagecache", "anon", "half", "fragmented"]
"""``half``: half of what is asked for lies in one piece, the rest is single pages."""
Per = Literal["step", "batch", "all"]


@dataclass(frozen=True)
class Figure:
    """One row's value out of what was timed: ``part`` of struct Spent without ``apart``, for each step, each batch, or
    all of it."""

    metric: str
    unit: Literal["ns", "ms"]
    part: Literal["whole", "allocate", "secure", "recall", "free", "smmu", "scrub"]
    per: Per
    subject: str | None = None
    mode: Mode | None = None
    apart: Literal["smmu", "scrub"] | None = None


@dataclass(frozen=True)
class Probe:
    """Steps of one kind. ``size_bytes`` of its rows: a batch, or everything that was taken."""

    kind: StepKind
    count: int
    figures: tuple[Figure, ...]
    batch: int = 1
    size_bytes: int | None = None
    pressure: Pressure | None = None
    room_bytes: int = 0
    """Under pressure ``anon``: what is left free beside ``size_bytes``."""

    def value(self, figure: Figure, spent: Spent, counter_hz: int) -> float:
        """The figure, in its unit."""
        ticks: int = getattr(spent, figure.part) - (getattr(spent, figure.apart) if figure.apart else 0)
        steps = {"step": self.count, "batch": -(-self.count // self.batch), "all": 1}[figure.per]
        return ticks * {"ns": 1e9, "ms": 1e3}[figure.unit] / counter_hz / steps


def _pages(batch: int, batches: int) -> Probe:
    figures = (
        Figure("switch.donate", "ns", "secure", "step", mode="flexserve"),
        Figure("switch.donate.batch", "ns", "secure", "batch", mode="flexserve"),
        Figure("switch.donate.smmu", "ns", "smmu", "step", mode="flexserve"),
        Figure("switch.donate.own", "ns", "secure", "step", mode="flexserve", apart="smmu"),
        Figure("switch.recall", "ns", "recall", "step", mode="flexserve"),
        Figure("switch.recall.scrub", "ns", "scrub", "step", mode="flexserve"),
        Figure("switch.recall.own", "ns", "recall", "step", mode="flexserve", apart="scrub"),
        Figure("switch.recall.batch", "ns", "recall", "batch", mode="flexserve"),
    )
    return Probe("pages", batch * batches, figures, batch, batch * PAGE)


def _region(size: int) -> Probe:
    figures = (
        Figure("switch.secure", "ns", "secure", "all", mode="strawman"),
        Figure("switch.release", "ns", "recall", "step", mode="strawman"),
        Figure("switch.release.scrub", "ns", "scrub", "step", mode="strawman"),
    )
    return Probe("region", size // PAGE, figures, size_bytes=size)


SWITCH: tuple[Probe, ...] = (
    Probe("call", 4096, (Figure("switch.smc", "ns", "whole", "step"),)),
    Probe("switch", 1024, (Figure("switch.world", "ns", "whole", "step", mode="flexserve"),)),
    Probe("clear", 4096, (Figure("switch.clear", "ns", "whole", "step"),), batch=512, size_bytes=PAGE),
    _pages(1, 256),
    _pages(64, 16),
    _pages(512, 8),
    _region(32 * MIB),
)
"""World switch, donation and recall by batch, a strawman's region; beside them a null call and a cleared page."""


_RESERVES = 128 * MIB
"""Linux keeps that to itself."""
_CMA_OTHERS = 64 * MIB
"""Of the CMA area; others have pages there that stay."""
_SYSTEM = 256 * MIB
"""Of DRAM: the kernel, programs, what is set apart, and its reserves."""


def _flexmem(size: int, pressure: Pressure) -> Probe:
    figures = (
        Figure("alloc.latency", "ms", "whole", "all", "flexmem", "flexserve"),
        Figure("alloc.take", "ms", "allocate", "all", "flexmem", "flexserve"),
        Figure("alloc.donate", "ms", "secure", "all", "flexmem", "flexserve"),
    )
    return Probe("pages", size // PAGE, figures, 512, size, pressure, _RESERVES)


def _cma(size: int, pressure: Pressure) -> Probe:
    figures = (
        Figure("alloc.latency", "ms", "whole", "all", "cma", "strawman"),
        Figure("alloc.latency", "ms", "secure", "all", "static", "strawman"),
    )
    return Probe("region", size // PAGE, figures, size_bytes=size, pressure=pressure, room_bytes=_RESERVES)


_PRESSURES: tuple[Pressure, ...] = ("idle", "pagecache", "anon", "half", "fragmented")
_SIZES = tuple(size * MIB for size in (16, 64, 192, 512, 1024))

ALLOC: tuple[Probe, ...] = tuple(
    make(size, pressure) for make in (_flexmem, _cma) for pressure in _PRESSURES for size in _SIZES
)
"""Latency until memory of a size is secure, by allocator and memory pressure. A static region is there from the start:
its latency is that of securing it."""


def fits(probe: Probe, dram_bytes: int, cma_bytes: int) -> bool:
    """Whether a board has the memory for it: a region lies in the CMA area, pages in what is left of DRAM, and of
    fragmented memory the half is free."""
    if probe.pressure is None or probe.size_bytes is None:
        return True
    if probe.kind == "region":
        return probe.size_bytes <= cma_bytes - _CMA_OTHERS
    free = dram_bytes - cma_bytes - _SYSTEM
    least: dict[Pressure, int] = {"fragmented": free // 2, "half": free * 2 // 3}
    return probe.size_bytes <= least.get(probe.pressure, free)
