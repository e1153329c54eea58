"""Which modes are divided by which, as data, and the ratios that the rows allow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flexkit.report import stats
from flexkit.report.schema import Key, Ratio, Result, Row


@dataclass(frozen=True)
class Side:
    """The fields in which numerator and denominator differ; everything else has to be equal."""

    mode: str
    cache: str | None = None
    page_cache: str | None = None


@dataclass(frozen=True)
class Comparison:
    """``metrics`` of one side over the other. Not paired: the sides are measured in different boots."""

    metrics: tuple[str, ...]
    numerator: Side
    denominator: Side
    paired: bool = True


_STRAWMAN = Side("strawman", page_cache="dropped")
_OPTIMIZED = Side("strawman-opt", page_cache="dropped")
_NORMAL_COLD = Side("normal", page_cache="dropped")
_NORMAL_WARM = Side("normal", page_cache="kept")
_IDLE = Side("normal-idle", page_cache="dropped")
_COLD = Side("flexserve", "cold", "dropped")
_WARM = Side("flexserve", "warm", "dropped")
_TIMES = ("ttft", "tpot", "e2e")
_OTHER = ("ttft.other",)

COMPARISONS: tuple[Comparison, ...] = (
    Comparison(_TIMES, _STRAWMAN, _WARM),
    Comparison(_TIMES, _STRAWMAN, _COLD),
    Comparison(_TIMES, _OPTIMIZED, _WARM),
    Comparison(_TIMES, _OPTIMIZED, _COLD),
    Comparison(_TIMES, _STRAWMAN, _OPTIMIZED),
    Comparison(_OTHER, _STRAWMAN, _WARM),
    Comparison(_OTHER, _STRAWMAN, _COLD),
    Comparison(_OTHER, _OPTIMIZED, _WARM),
    Comparison(_OTHER, _OPTIMIZED, _COLD),
    Comparison(_TIMES, _WARM, _NORMAL_WARM),
    Comparison(_TIMES, _COLD, _NORMAL_COLD),
    Comparison(_TIMES, _NORMAL_COLD, _IDLE),
    Comparison(_TIMES, _IDLE, Side("stock", page_cache="dropped"), paired=False),
    Comparison(("slowdown",), Side("flexserve", "warm", "kept"), Side("normal", page_cache="kept")),
    Comparison(("slowdown",), Side("strawman", page_cache="kept"), Side("flexserve", "warm", "kept")),
    Comparison(("slowdown",), Side("strawman-opt", page_cache="kept"), Side("flexserve", "warm", "kept")),
)
SUMS: tuple[Comparison, ...] = (Comparison(_OTHER, _STRAWMAN, _WARM), Comparison(_OTHER, _OPTIMIZED, _WARM))
"""Also summed over models and prompts before they are divided: metric ``METRIC.sum``, no model and no prompt."""


def ratios(rows: Sequence[Row]) -> tuple[Ratio, ...]:
    """Every comparison that two valid rows allow."""
    by_key = {row.key: row for row in rows if row.result.valid}
    modes = [ratio for comparison in COMPARISONS for ratio in _of(comparison, by_key)]
    sums = [ratio for comparison in SUMS for ratio in _summed(comparison, by_key)]
    return (*modes, *sums, *_steps(by_key), *_given_up(by_key), *_allocators(by_key))


_GIVEN_UP = (
    ("reclaim.latency", "anon", "reclaim.pagecache"),
    ("reclaim.cost", "idle", "reclaim.drop"),
    ("reclaim.cost.alone", "idle", "reclaim.drop"),
)
"""What secure memory costs to give up over what page cache of the same size does: metric and pressure above, below."""

_STEPS = (
    ("switch.world", "switch.smc"),
    ("switch.donate", "switch.smc"),
    ("switch.donate", "switch.clear"),
    ("switch.recall", "switch.smc"),
    ("switch.recall", "switch.clear"),
    ("switch.recall.scrub", "switch.clear"),
)
"""A step over a null call, and over a cleared page: what they mean where time itself means little."""


def _steps(rows: dict[Key, Row]) -> Iterator[Ratio]:
    for above, below in _STEPS:
        beneath = next((row for key, row in rows.items() if key.metric == below), None)
        for key, row in rows.items():
            ratio = _ratio(True, row, beneath) if beneath and key.metric == above else None
            if ratio:
                yield ratio


def _given_up(rows: dict[Key, Row]) -> Iterator[Ratio]:
    for metric, pressure, beneath in _GIVEN_UP:
        for key, row in rows.items():
            if (key.metric, key.pressure) != (metric, pressure):
                continue
            for other, below in rows.items():
                if other.metric == beneath and _place(other) == _place(key):
                    yield from _some(_ratio(True, row, below))


def _place(key: Key) -> tuple[str, int | None, str]:
    return key.suite, key.size_bytes, key.clock


def _allocators(rows: dict[Key, Row]) -> Iterator[Ratio]:
    """CMA over Flex-Mem, and each of them under pressure over itself where memory is free."""
    for key, row in rows.items():
        if key.metric != "alloc.latency":
            continue
        flexmem = rows.get(replace(key, subject="flexmem", mode="flexserve"))
        if flexmem and key.subject == "cma":
            yield from _some(_ratio(True, row, flexmem))
        idle = rows.get(replace(key, pressure="idle"))
        if idle and key.pressure != "idle" and key.subject != "static":
            yield from _some(_ratio(True, row, idle))


def _some(ratio: Ratio | None) -> Iterator[Ratio]:
    if ratio:
        yield ratio


def _summed(comparison: Comparison, rows: dict[Key, Row]) -> Iterator[Ratio]:
    """The sums over all models and prompts of a suite that both sides have, under each pressure apart."""
    sums: dict[tuple[Key, Key], tuple[list[Row], list[Row]]] = {}
    for key, row in rows.items():
        if key.metric not in comparison.metrics or not _is(key, comparison.numerator):
            continue
        other = rows.get(replace(key, **_fields(comparison.denominator)))
        if other:
            above, below = sums.setdefault((_everywhere(key), _everywhere(other.key)), ([], []))
            above.append(row)
            below.append(other)
    for (top, bottom), (above, below) in sums.items():
        yield from _some(_ratio(True, Row(top, _sum(above)), Row(bottom, _sum(below))))


def _everywhere(key: Key) -> Key:
    return replace(key, metric=f"{key.metric}.sum", model=None, prompt_tokens=None, reference=None)


def _sum(rows: Sequence[Row]) -> Result:
    """Round by round; a round that one of them lacks is missing."""
    rounds = zip(*(row.result.values for row in rows), strict=True)
    return Result(tuple(None if None in values else sum(v for v in values if v is not None) for values in rounds), True)


def _of(comparison: Comparison, rows: dict[Key, Row]) -> Iterator[Ratio]:
    for key, row in rows.items():
        if key.metric in comparison.metrics and _is(key, comparison.numerator):
            other = rows.get(replace(key, **_fields(comparison.denominator)))
            ratio = other and _ratio(comparison.paired, row, other)
            if ratio:
                yield ratio


def _is(key: Key, side: Side) -> bool:
    return (key.mode, key.cache, key.page_cache) == (side.mode, side.cache, side.page_cache)


def _fields(side: Side) -> dict[str, Any]:
    return {"mode": side.mode, "cache": side.cache, "page_cache": side.page_cache}


def _ratio(paired: bool, above: Row, below: Row) -> Ratio | None:
    """Paired: the median of the rounds' ratios, with an interval where there are enough. Otherwise the ratio of the
    medians, whose interval is not given."""
    metric, top, bottom = above.key.metric, above.key, below.key
    if paired:
        values = stats.paired_ratios(above.result.values, below.result.values)
        middle = stats.median(values)
        return None if middle is None else Ratio(metric, top, bottom, True, len(values), middle, stats.ci95(values))
    over, under = stats.median(above.result.present), stats.median(below.result.present)
    if over is None or not under:
        return None
    n = min(len(above.result.present), len(below.result.present))
    return Ratio(metric, top, bottom, False, n, over / under)
