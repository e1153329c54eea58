"""Figures that others have published, to stand beside ours where both mean the same thing. Theirs are from silicon;
ours carry their own clock and evidence, and nothing is computed from the two together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flexkit.report.schema import Key, Ratio


@dataclass(frozen=True)
class Published:
    """One claim. ``ours`` picks the ratios of a report that mean the same, ``by`` is the suite that measures them."""

    what: str
    figure: str
    source: str
    where: str
    by: str
    ours: Callable[[Ratio], bool]


def _between(
    metric: str, above: tuple[str, str | None], below: tuple[str, str | None], page_cache: str | None = None
) -> Callable[[Ratio], bool]:
    def is_one(ratio: Ratio) -> bool:
        top, bottom = ratio.numerator, ratio.denominator
        same = ratio.metric == metric and _side(top) == above and _side(bottom) == below
        return same and (page_cache is None or bottom.page_cache == page_cache)

    return is_one


def _side(key: Key) -> tuple[str | None, str | None]:
    return key.mode, key.cache if isinstance(key.cache, str) else None


_LARGE_ALLOCATION = 192 << 20
_FLEXSERVE = "FlexServe"
_TZ = "TZ-LLM"
_ONE_SOC = "silicon, one SoC with its NPU"
_ORANGE = "silicon, Orange Pi 5 Plus with its NPU, 1.1B to 8B models"


def _allocation(ratio: Ratio) -> bool:
    """Under pressure, and the largest that the board's CMA area holds."""
    top, bottom = ratio.numerator, ratio.denominator
    wanted = ratio.metric == "alloc.latency" and (top.subject, bottom.subject) == ("cma", "flexmem")
    return wanted and top.pressure not in (None, "idle") and (top.size_bytes or 0) >= _LARGE_ALLOCATION


PUBLISHED: tuple[Published, ...] = (
    Published(
        "Time to first token: strawman ÷ FlexServe, weights cached",
        "10.05 on average",
        _FLEXSERVE,
        _ONE_SOC,
        "ttft",
        _between("ttft", ("strawman", None), ("flexserve", "warm")),
    ),
    Published(
        "Time to first token: optimized strawman ÷ FlexServe, weights cached",
        "2.44 on average",
        _FLEXSERVE,
        _ONE_SOC,
        "ttft",
        _between("ttft", ("strawman-opt", None), ("flexserve", "warm")),
    ),
    Published(
        "Time to first token: strawman ÷ protected, weights loaded",
        "4.2 to 11.0 (76.1 to 90.9 % below)",
        _TZ,
        _ORANGE,
        "ttft",
        _between("ttft", ("strawman", None), ("flexserve", "cold")),
    ),
    Published(
        "Time to first token: protected ÷ unprotected, weights loaded",
        "1.05 to 1.28",
        _TZ,
        _ORANGE,
        "ttft",
        _between("ttft", ("flexserve", "cold"), ("normal", None), "dropped"),
    ),
    Published(
        "Time per output token: protected ÷ unprotected",
        "1.01 to 1.05",
        _TZ,
        _ORANGE,
        "ttft",
        _between("tpot", ("flexserve", "warm"), ("normal", None), "kept"),
    ),
    Published(
        "Allocation under memory pressure: CMA ÷ Flex-Mem",
        "11.3 (8 GB: 6,441 ms against 568 ms)",
        _FLEXSERVE,
        "silicon, one SoC",
        "alloc",
        _allocation,
    ),
)


def same(ratio: Ratio) -> Published | None:
    """The claim that means the same as this ratio, if there is one."""
    return next((claim for claim in PUBLISHED if claim.ours(ratio)), None)
