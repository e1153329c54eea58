"""What the project set itself to reach on the emulated board, each beside what a report has measured of it. The limits
stand here once; every figure, verdict and share comes out of the report's rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from flexkit.report import stats, words
from flexkit.report.schema import Key, Ratio, Report, Row

State = Literal["met", "not met", "too few rounds", "reported", "not measured"]
_MIB = 1 << 20
_BATCH = 2 * _MIB
"""512 pages."""
_GIGABYTE = 1024 * _MIB
_LONG_PROMPT = 128


@dataclass(frozen=True)
class Figure:
    """A measured value. ``bound``: the end of its interval that a limit has to hold for, or the value itself."""

    value: float
    bound: float
    unit: str
    place: str
    clock: str
    n: int
    why: str = ""
    """Of what it is made, where that says what bounds it."""

    @property
    def interval(self) -> str:
        """The end of the interval that counts, in words; empty where it is the value itself."""
        if self.bound == self.value:
            return ""
        return f"{'to' if self.bound > self.value else 'from'} {words.figure(self.bound, self.unit)}"


@dataclass(frozen=True)
class Goal:
    """``limit`` None: to be reported, whatever it is. ``where``: suite and clock that measure it."""

    what: str
    limit: float | None
    sense: Literal["at most", "at least"]
    unit: str
    where: str
    figures: Callable[[Report], Iterator[Figure]]
    note: str = ""
    by_interval: bool = False
    """The limit is one of an interval's end: fewer rounds than an interval needs say nothing."""

    def holds(self, figure: Figure) -> bool:
        """Whether a figure's bound keeps the limit."""
        if self.limit is None:
            return True
        return figure.bound <= self.limit if self.sense == "at most" else figure.bound >= self.limit


@dataclass(frozen=True)
class Standing:
    """A goal, what of it was measured, and how it stands: it is met when every figure holds, and undecided while one
    that has to hold by its interval has none."""

    goal: Goal
    state: State
    figures: tuple[Figure, ...]

    @property
    def limit(self) -> str:
        """In words."""
        goal = self.goal
        return "reported" if goal.limit is None else f"{goal.sense} {words.figure(goal.limit, goal.unit)}"

    @property
    def missed(self) -> tuple[Figure, ...]:
        """Figures that do not hold."""
        return tuple(figure for figure in self.figures if not self.goal.holds(figure))


def standings(report: Report) -> list[Standing]:
    """Every goal, in the order of GOALS."""
    return [_standing(goal, tuple(goal.figures(report))) for goal in GOALS]


def _standing(goal: Goal, figures: tuple[Figure, ...]) -> Standing:
    if not figures:
        return Standing(goal, "not measured", ())
    if goal.limit is None:
        return Standing(goal, "reported", figures)
    if goal.by_interval and any(figure.n < stats.CI95_MIN for figure in figures):
        return Standing(goal, "too few rounds", figures)
    return Standing(goal, "met" if all(goal.holds(figure) for figure in figures) else "not met", figures)


# Figures out of rows ------------------------------------------------------------------------------------------------


def _valid(report: Report, metric: str, **where: object) -> Iterator[Row]:
    """Valid rows of a metric with these key fields."""
    for row in report.rows:
        same = row.key.metric == metric and all(getattr(row.key, name) == value for name, value in where.items())
        if same and row.result.valid and row.result.present:
            yield row


def _of_row(row: Row, place: str = "", why: str = "") -> Figure:
    value = _middle(row)
    shown = place or words.place(row.key)
    return Figure(value, value, row.key.unit, shown, row.key.clock, len(row.result.present), why)


def _rows(metric: str, place: str = "", **where: object) -> Callable[[Report], Iterator[Figure]]:
    def figures(report: Report) -> Iterator[Figure]:
        return (_of_row(row, place) for row in _valid(report, metric, **where))

    return figures


def _of_ratio(ratio: Ratio, place: str, end: int | None = None) -> Figure:
    """``end``: 0 or 1, the end of the interval that counts, where there is one."""
    bound = ratio.median if end is None or ratio.ci95 is None else ratio.ci95[end]
    return Figure(ratio.median, bound, "ratio", place, ratio.denominator.clock, ratio.n)


def _ratios(
    metric: str, chosen: Callable[[Key, Key], bool], end: int | None = None
) -> Callable[[Report], Iterator[Figure]]:
    def figures(report: Report) -> Iterator[Figure]:
        for ratio in report.ratios:
            if ratio.metric == metric and chosen(ratio.numerator, ratio.denominator):
                yield _of_ratio(ratio, words.place(replace(ratio.numerator, subject=_program(ratio.numerator))), end)

    return figures


def _program(key: Key) -> str | None:
    """A subject that is no allocator."""
    return None if key.metric == "alloc.latency" else key.subject


def _is_batch(metric: str) -> Callable[[Report], Iterator[Figure]]:
    return _rows(metric, "512 pages a call", clock="virtual", size_bytes=_BATCH)


def _over(metric: str, pressure: str) -> Callable[[Key, Key], bool]:
    return lambda above, _below: above.metric == metric and above.pressure == pressure


def _beside(*, wall: bool) -> Callable[[Report], Iterator[Figure]]:
    """Programs beside FlexServe over beside normal, by the wall clock of an emulator or by one that means something. By
    the upper end of the interval; with the answers that came beside the program, which have to be as many."""

    def figures(report: Report) -> Iterator[Figure]:
        rows = _by_key(report)
        for ratio in report.ratios:
            above, below = ratio.numerator, ratio.denominator
            modes = (above.mode, below.mode) == ("flexserve", "normal")
            if ratio.metric == "slowdown" and modes and (below.clock == "wall") is wall:
                keys = (replace(key, metric="achieved_rate", unit="1/s", better="higher") for key in (above, below))
                told = [words.figure(_middle(row), "1/s") for key in keys if (row := rows.get(key))]
                why = f"answers {' beside FlexServe, '.join(told)} without protection" if len(told) == 2 else ""
                yield replace(_of_ratio(ratio, words.place(above), end=1), why=why)

    return figures


_ALLOCATION = (("alloc.take", "taking pages from Linux"), ("alloc.donate", "donating them"))


def _cma_over_flexmem(report: Report) -> Iterator[Figure]:
    rows = _by_key(report)
    for ratio in report.ratios:
        above, below = ratio.numerator, ratio.denominator
        large = (above.size_bytes or 0) >= _GIGABYTE and above.pressure not in (None, "idle")
        if ratio.metric == "alloc.latency" and (above.subject, below.subject) == ("cma", "flexmem") and large:
            parts = [(rows.get(replace(below, metric=metric)), told) for metric, told in _ALLOCATION]
            why = ", ".join(f"{told} {words.figure(_middle(row), 'ms')}" for row, told in parts if row)
            yield replace(_of_ratio(ratio, words.place(replace(above, subject=None))), why=f"Flex-Mem: {why}")


def _middle(row: Row) -> float:
    return stats.median(row.result.present) or 0.0


def _fragmented_over_idle(above: Key, below: Key) -> bool:
    large = (above.size_bytes or 0) >= _GIGABYTE
    grown = above.pressure in ("half", "fragmented") and below.pressure == "idle"
    return (above.subject, below.subject) == ("flexmem", "flexmem") and grown and large


# Time to first token ------------------------------------------------------------------------------------------------

_OTHERS = ("allocate", "read", "donate", "decrypt", "switch")


def _by_key(report: Report) -> dict[Key, Row]:
    return {row.key: row for row in report.rows}


def _part(rows: dict[Key, Row], key: Key, part: str) -> float:
    row = rows.get(replace(key, metric=f"ttft.{part}", unit="ms"))
    return (stats.median(row.result.present) if row else None) or 0.0


def _values(rows: dict[Key, Row], key: Key, part: str) -> tuple[float | None, ...]:
    row = rows.get(replace(key, metric=f"ttft.{part}", unit="ms"))
    return row.result.values if row else ()


def _largest(rows: dict[Key, Row], key: Key) -> str:
    """The parts beside the compute that are most of it."""
    return _largest_of({part: _part(rows, key, part) for part in _OTHERS})


def _largest_of(parts: Mapping[str, float]) -> str:
    found = sorted(((value, part) for part, value in parts.items()), reverse=True)
    said = ", ".join(f"{part} {words.figure(value, 'ms')}" for value, part in found[:2] if value > 0)
    return f"most of it {said}" if said else ""


def _sums(mode: str) -> Callable[[Report], Iterator[Figure]]:
    """Of a mode over FlexServe with its weights cached, under each memory pressure; with what FlexServe's is of."""

    def figures(report: Report) -> Iterator[Figure]:
        for ratio in report.ratios:
            above, below = ratio.numerator, ratio.denominator
            sides = (above.mode, below.mode) == (mode, "flexserve") and below.pressure is not None
            if ratio.metric == "ttft.other.sum" and sides:
                yield replace(_of_ratio(ratio, words.place(above)), why=_largest_of(_summed(report, below)))

    return figures


def _summed(report: Report, key: Key) -> dict[str, float]:
    """The parts beside the compute, over the models and prompts that a sum was made of."""
    rows = _by_key(report)
    keys = [row.key for row in _valid(report, "ttft.other", mode=key.mode, cache=key.cache, pressure=key.pressure)]
    return {part: sum(_part(rows, each, part) for each in keys) for part in _OTHERS}


def _warm(report: Report) -> Iterator[Row]:
    return _valid(report, "ttft.other", mode="flexserve", cache="warm", page_cache="dropped", pressure=None)


def _other_share(report: Report) -> Iterator[Figure]:
    rows = _by_key(report)
    for row in _warm(report):
        compute = _part(rows, row.key, "prefill")
        if compute and (row.key.prompt_tokens or 0) >= _LONG_PROMPT:
            share = 100 * _middle(row) / compute
            figure = _of_row(row, why=_largest(rows, row.key))
            yield replace(figure, value=share, bound=share, unit="%")


def _other_of_demo(report: Report) -> Iterator[Figure]:
    rows = _by_key(report)
    for row in _warm(report):
        if words.model_name(row.key.model) == "demo":
            yield _of_row(row, why=_largest(rows, row.key))


def _half_cached(report: Report) -> Iterator[Figure]:
    """Round by round, over what compute and decryption exposed of the same answer: all else of it has to be hidden."""
    rows = _by_key(report)
    for row in _valid(report, "ttft", mode="flexserve", cache=0.5, pressure=None):
        compute, decrypt = (_values(rows, row.key, part) for part in ("prefill", "decrypt"))
        rounds = zip(row.result.values, compute, decrypt, strict=False)
        ratio = stats.median([whole / (c + d) for whole, c, d in rounds if whole and c and d is not None])
        if ratio is not None:
            yield replace(_of_row(row, why=_largest(rows, row.key)), value=ratio, bound=ratio, unit="ratio")


def _presence(mode: str, end: int) -> Callable[[Report], Iterator[Figure]]:
    """Of each program, with the end of its interval that counts."""

    def figures(report: Report) -> Iterator[Figure]:
        for row in _valid(report, "presence", mode=mode):
            interval = stats.ci95(row.result.present)
            figure = _of_row(row)
            yield replace(figure, bound=interval[end]) if interval else figure

    return figures


# The goals ----------------------------------------------------------------------------------------------------------

_MEETING = "all cores meet in EL3"
GOALS: Sequence[Goal] = (
    Goal("Donate a page, in batches of 512, the SMMU apart", 150, "at most", "ns", "switch --clock virtual",
         _is_batch("switch.donate.own")),
    Goal("Recall a page, in batches of 512, scrubbing apart", 250, "at most", "ns", "switch --clock virtual",
         _is_batch("switch.recall.own")),
    Goal("Longest stay in EL3, turning protection on and off apart", 100, "at most", "us", "switch --clock virtual",
         _rows("el3.longest", "any call since the boot", clock="virtual")),
    Goal("Turn protection on", None, "at most", "ms", "switch, presence", _rows("protect.on", _MEETING)),
    Goal("Turn protection off", None, "at most", "ms", "switch, presence", _rows("protect.off", _MEETING)),
    Goal("Recall ÷ giving up as much page cache, scrubbing apart", 1.2, "at most", "ratio", "reclaim",
         _ratios("reclaim.cost.alone", _over("reclaim.cost.alone", "idle"))),
    Goal("Recall ÷ giving up as much page cache", 2, "at most", "ratio", "reclaim",
         _ratios("reclaim.cost", _over("reclaim.cost", "idle"))),
    Goal("A process's memory out of secure pages ÷ out of page cache", 2, "at most", "ratio", "reclaim",
         _ratios("reclaim.latency", _over("reclaim.latency", "anon"))),
    Goal("Time to first token beside its compute, weights cached, prompts of 128 tokens and more", 2, "at most", "%",
         "ttft", _other_share),
    Goal("Time to first token beside its compute, weights cached, demo model", 1, "at most", "ms", "ttft",
         _other_of_demo),
    Goal("Time to first token beside its compute, under memory pressure: sum of strawman ÷ sum of FlexServe", 10,
         "at least", "ratio", "ttft", _sums("strawman")),
    Goal("Time to first token beside its compute, under memory pressure: sum of the optimized strawman ÷ sum of "
         "FlexServe", 4, "at least", "ratio", "ttft", _sums("strawman-opt")),
    Goal("Time to first token, half of the weights cached ÷ compute and decryption", 1.1, "at most", "ratio", "ttft",
         _half_cached, "both as far as nothing else covers them: reading, allocation and donation have to be hidden"),
    Goal("Programs beside FlexServe ÷ beside the same inference without protection", 1.03, "at most", "ratio",
         "slowdown --clock virtual", _beside(wall=False),
         "the upper end of the interval; the virtual clock has all of it on one core",
         by_interval=True),
    Goal("The same by an emulator's wall clock", None, "at most", "ratio", "slowdown",
         _beside(wall=True), "its own noise is wider than the limit"),
    Goal("Programs with nothing secure, protection off ÷ stock Linux", 1, "at most", "ratio", "presence",
         _presence("normal-idle", 0), "within the noise: the interval begins below 1",
         by_interval=True),
    Goal("Programs, protection on ÷ stock Linux", None, "at most", "ratio", "presence", _presence("normal", 1)),
    Goal("1 GB under memory pressure: CMA ÷ Flex-Mem", 11.3, "at least", "ratio", "alloc -b qemu-virt-4g",
         _cma_over_flexmem),
    Goal("1 GB of Flex-Mem, free memory fragmented ÷ in one piece", 1.5, "at most", "ratio", "alloc -b qemu-virt-4g",
         _ratios("alloc.latency", _fragmented_over_idle), "how flat is flat enough is this project's own choice"),
    Goal("Interrupts beside inference are late, 99.9 %", None, "at most", "us", "switch",
         _rows("interrupt.p999", mode="flexserve")),
    Goal("Interrupts beside inference are late, the latest", None, "at most", "us", "switch",
         _rows("interrupt.max", mode="flexserve")),
)  # fmt: skip
"""The limits are the project's, for the emulated board; 11.3 is FlexServe's published figure of 8 GB on silicon."""
