"""Charts as geometry: positions in per cent of a track, which the template draws as SVG.

Drawn here and not by a plotting library: per cent positions keep text its size on a phone, CSS variables give the
dark and the printed page their colours from one document, and a missing value can be a word instead of a bar.
Nothing is guessed: a bar ends at the median, dots are the rounds, an interval is there only where the row has one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flexkit.report import stats
from flexkit.report.schema import Row
from flexkit.report.words import figure, plain, unit_name

_STEPS = (1, 2, 2.5, 5, 10)
_TICKS = 4
_HEADROOM = 1.06


@dataclass(frozen=True)
class Tick:
    x: float
    text: str


@dataclass(frozen=True)
class Bar:
    """One row of a chart. ``missing``: why there is nothing to draw."""

    label: str
    note: str
    look: str
    """CSS class that gives the colour."""
    value: str
    width: float = 0.0
    dots: tuple[float, ...] = ()
    interval: tuple[float, float] | None = None
    title: str = ""
    missing: str = ""
    invalid: str = ""


@dataclass(frozen=True)
class Chart:
    title: str
    unit: str
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    line: float | None = None
    """A reference line, in per cent."""


@dataclass(frozen=True)
class Segment:
    part: str
    x: float
    width: float
    title: str


@dataclass(frozen=True)
class Stack:
    label: str
    note: str
    value: str
    segments: tuple[Segment, ...]
    missing: str = ""


@dataclass(frozen=True)
class StackChart:
    title: str
    unit: str
    stacks: tuple[Stack, ...]
    ticks: tuple[Tick, ...]


@dataclass(frozen=True)
class Named:
    """A row with what to call it."""

    label: str
    note: str
    look: str
    row: Row


def chart(title: str, rows: Sequence[Named], line: float | None = None) -> Chart:
    """Bars from zero, one for each row."""
    unit = rows[0].row.key.unit
    axis = _Axis.of([_greatest(named.row) for named in rows] + ([line] if line else []))
    bars = tuple(_bar(named, axis) for named in rows)
    return Chart(title, unit_name(unit), bars, axis.ticks(), None if line is None else axis.at(line))


def stack_chart(title: str, rows: Sequence[tuple[Named, Mapping[str, Row]]]) -> StackChart:
    """Parts that sum to a row's figure, in the order given; each part by its median, scaled so that the parts end
    where the row's own median is (medians of parts need not sum to the median of sums)."""
    totals = [stats.median(named.row.result.present) for named, _ in rows]
    axis = _Axis.of([total for total in totals if total is not None])
    unit = rows[0][0].row.key.unit
    stacks = tuple(_stack(named, parts, total, axis) for (named, parts), total in zip(rows, totals, strict=True))
    return StackChart(title, unit_name(unit), stacks, axis.ticks())


@dataclass(frozen=True)
class _Axis:
    """From zero to a round number."""

    end: float
    step: float

    @staticmethod
    def of(values: Sequence[float]) -> _Axis:
        greatest = max(values, default=0.0) * _HEADROOM
        if greatest <= 0:
            return _Axis(1.0, 0.5)
        rough = greatest / _TICKS
        power = 10 ** math.floor(math.log10(rough))
        step = next(s * power for s in _STEPS if s * power >= rough * (1 - 1e-9))
        return _Axis(max(greatest, math.floor(greatest / step) * step), step)

    def at(self, value: float) -> float:
        return round(100 * value / self.end, 3)

    def ticks(self) -> tuple[Tick, ...]:
        count = math.floor(self.end / self.step + 1e-9)
        return tuple(Tick(self.at(i * self.step), plain(i * self.step)) for i in range(count + 1))


def _greatest(row: Row) -> float:
    ends = [*row.result.present, *(stats.ci95(row.result.present) or ())]
    return max(ends, default=0.0)


def _bar(named: Named, axis: _Axis) -> Bar:
    result, unit = named.row.result, named.row.key.unit
    middle = stats.median(result.present)
    if middle is None:
        return Bar(named.label, named.note, named.look, "missing", missing=result.why or "nothing was measured")
    interval = stats.ci95(result.present)
    rounds = ", ".join("missing" if value is None else plain(value) for value in result.values)
    return Bar(
        label=named.label,
        note=named.note,
        look=named.look,
        value=figure(middle, unit),
        width=axis.at(middle),
        dots=tuple(axis.at(value) for value in result.present),
        interval=None if interval is None else (axis.at(interval[0]), axis.at(interval[1])),
        title=f"{named.label} {named.note}: median {figure(middle, unit)}, n = {len(result.present)}, rounds {rounds}",
        invalid="" if result.valid else result.why or "not valid",
    )


def _stack(named: Named, parts: Mapping[str, Row], total: float | None, axis: _Axis) -> Stack:
    unit = named.row.key.unit
    medians = {part: stats.median(row.result.present) for part, row in parts.items()}
    known = {part: value for part, value in medians.items() if value is not None}
    whole = sum(known.values())
    if total is None or whole <= 0:
        why = named.row.result.why or "this mode has no breakdown"
        return Stack(named.label, named.note, "missing" if total is None else figure(total, unit), (), why)
    segments, start = [], 0.0
    for part, value in known.items():
        width = axis.at(total * value / whole)
        share = f"{100 * value / whole:.0f} %"
        segments.append(Segment(part, round(start, 3), width, f"{part}: {figure(value, unit)}, {share}"))
        start += width
    return Stack(named.label, named.note, figure(total, unit), tuple(segments))
