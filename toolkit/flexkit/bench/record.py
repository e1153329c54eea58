"""What a run has given so far: attempts as they happen, values by round, faults by cell; rows at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from flexkit.bench.board import PARTS, RunResult
from flexkit.errors import FlexError
from flexkit.report.schema import Attempt, Better, Key, Result, Row


class WrongTokens(FlexError):
    """The board's tokens, or the prompt's, are not the reference's: a failed run, never a data point."""


@dataclass(frozen=True)
class Metric:
    """A row's metric, its unit, and which way is better."""

    name: str
    unit: str
    better: Better = "lower"


TTFT = Metric("ttft", "ms")
TPOT = Metric("tpot", "ms")
TTFT_OTHER = Metric("ttft.other", "ms")
"""All of it but the compute: what a design adds."""
E2E = Metric("e2e", "ms")
GENERATION = (TTFT, TPOT, E2E)
RECLAIM_LATENCY = Metric("reclaim.latency", "ms")
RECLAIM_THROUGHPUT = Metric("reclaim.throughput", "MB/s", "higher")
RECLAIM = (RECLAIM_LATENCY, RECLAIM_THROUGHPUT)
RECLAIM_BASELINE = Metric("reclaim.baseline", "ms")
RECLAIM_PAGE_CACHE = Metric("reclaim.pagecache", "ms")
RECLAIM_COST = Metric("reclaim.cost", "ms")
"""All that Linux and the monitor do to take pages back, asked for in one call."""
RECLAIM_COST_ALONE = Metric("reclaim.cost.alone", "ms")
"""Without the scrubbing."""
RECLAIM_DROP = Metric("reclaim.drop", "ms")
"""What page cache of the same size costs to give up, asked for in one call."""
SLOWDOWN = Metric("slowdown", "ratio")
SLOWDOWN_ALONE = Metric("slowdown.alone", "ms")
ACHIEVED_RATE = Metric("achieved_rate", "1/s", "higher")

PARTS_TOLERANCE = 0.01
"""By how much of the time to first token its parts may miss it: the cost of reading the counter between them."""


@dataclass
class _Cell:
    """One configuration: the metrics it gave, by round, and why it is not valid, if so."""

    values: dict[Metric, list[float | None]] = field(default_factory=dict)
    faults: dict[str, list[int]] = field(default_factory=dict)
    """Reason to the rounds that it spoiled (from 1); none: all of it."""


@dataclass
class Recorder:
    """Collects; a value is put once. A cell is a Key without its metric."""

    rounds: int
    clock: Callable[[], float] = time.monotonic
    attempts: list[Attempt] = field(default_factory=list)
    first_figure: float | None = field(init=False, default=None)
    """Seconds from the recorder's making, which begins the run, to the first value of all."""
    _cells: dict[Key, _Cell] = field(default_factory=dict)
    _start: float = field(init=False)

    def __post_init__(self) -> None:
        self._start = self.clock()

    def declare(self, cell: Key, *metrics: Metric) -> None:
        """These metrics will be rows, whatever happens."""
        known = self._cells.setdefault(cell, _Cell())
        for metric in metrics:
            known.values.setdefault(metric, [None] * self.rounds)

    def put(self, cell: Key, metric: Metric, round_: int, value: float) -> None:
        """Round ``round_`` (from 0) of a metric, in the metric's unit."""
        self.declare(cell, metric)
        self._cells[cell].values[metric][round_] = value
        if self.first_figure is None:
            self.first_figure = self.clock() - self._start

    def fault(self, cell: Key, why: str, round_: int | None = None) -> None:
        """Everything in this cell is invalid, because of this round."""
        rounds = self._cells.setdefault(cell, _Cell()).faults.setdefault(why, [])
        if round_ is not None and round_ + 1 not in rounds:
            rounds.append(round_ + 1)

    def fault_missing(self, cell: Key, metrics: tuple[Metric, ...], round_: int | None, why: str) -> None:
        """The cell is invalid if it lacks one of these metrics in this round."""
        if round_ is not None and any(self._cells[cell].values[metric][round_] is None for metric in metrics):
            self.fault(cell, why, round_)

    def fault_all(self, why: str) -> None:
        """Nothing of this run is valid."""
        for cell in self._cells:
            self.fault(cell, why)

    @contextmanager
    def attempt(self, stage: str, *cells: Key, **where: Any) -> Iterator[None]:
        """Record one try with its outcome. A FlexError is recorded, makes ``cells`` invalid and is raised again."""
        begin = self.clock()
        try:
            yield
        except FlexError as error:
            outcome = "wrong tokens" if isinstance(error, WrongTokens) else "failed"
            why = one_line(error.message)
            self._note(stage, begin, outcome, why, where)
            for cell in cells:
                self.fault(cell, why, where.get("round"))
            raise
        self._note(stage, begin, "ok", None, where)

    def not_run(self, stage: str, why: str, *cells: Key, **where: Any) -> None:
        """A try that was planned and could not be made."""
        self._note(stage, self.clock(), "not run", why, where)
        for cell in cells:
            self.fault(cell, f"not run: {why}", where.get("round"))

    def rows(self) -> tuple[Row, ...]:
        """One row for each metric of each cell; a cell without a single value says so with ``values: []``."""
        return tuple(
            Row(_with(cell, metric), _result(values, known.faults))
            for cell, known in self._cells.items()
            for metric, values in known.values.items()
        )

    def _note(self, stage: str, begin: float, outcome: str, why: str | None, where: Mapping[str, Any]) -> None:
        self.attempts.append(
            Attempt(
                at=round(begin - self._start, 3),
                seconds=round(self.clock() - begin, 3),
                stage=stage,
                outcome=outcome,
                why=why,
                **where,
            )
        )


def cell(suite: str, **what: Any) -> Key:
    """A Key whose metric is still open."""
    return Key(suite=suite, metric="", unit="", better="lower", **what)


def put_generation(recorder: Recorder, cell: Key, round_: int, result: RunResult, counter_hz: int) -> None:
    """Time to first token, its parts, time per output token and end to end, in ms. A part that the mode does not have
    gives no row. FlexError when the parts do not add up."""
    ms = 1000.0 / counter_hz
    ttft = result.first_token - result.submitted
    check_parts(result)
    recorder.put(cell, TTFT, round_, ttft * ms)
    recorder.put(cell, E2E, round_, (result.finished - result.submitted) * ms)
    gaps = len(result.tokens) - 1
    if gaps > 0:
        recorder.put(cell, TPOT, round_, (result.token_ticks[-1] - result.token_ticks[0]) * ms / gaps)
    if "prefill" in result.exposed:
        recorder.put(cell, TTFT_OTHER, round_, (ttft - result.exposed["prefill"]) * ms)
    for part in PARTS:
        if part in result.exposed:
            recorder.put(cell, Metric(f"ttft.{part}", "ms"), round_, result.exposed[part] * ms)
        if part in result.busy:
            recorder.put(cell, Metric(f"ttft.{part}.busy", "ms"), round_, result.busy[part] * ms)


def check_parts(result: RunResult) -> None:
    """The exposed parts, where a mode has any, sum to the time to first token; the ticks are in order."""
    ticks = result.token_ticks
    ordered = all(a <= b for a, b in pairwise(ticks))
    if len(ticks) != len(result.tokens) or not ordered or not ticks or ticks[0] != result.first_token:
        raise FlexError("the board's token times are not those of its tokens")
    ttft = result.first_token - result.submitted
    if ttft <= 0 or result.finished < ticks[-1]:
        raise FlexError("the board's times are out of order")
    unknown = (result.exposed.keys() | result.busy.keys()) - set(PARTS)
    if unknown:
        raise FlexError(f"the board reports unknown parts of the time to first token: {', '.join(sorted(unknown))}")
    total = sum(result.exposed.values())
    if result.exposed and abs(total - ttft) > PARTS_TOLERANCE * ttft:
        raise FlexError(f"the parts of the time to first token are {total} ticks together, not {ttft}")


def one_line(text: str) -> str:
    """A reason as a table has room for it."""
    return " ".join(text.split())


def _with(cell: Key, metric: Metric) -> Key:
    return replace(cell, metric=metric.name, unit=metric.unit, better=metric.better)


def _result(values: list[float | None], faults: Mapping[str, list[int]]) -> Result:
    said = [_fault(why, rounds) for why, rounds in faults.items()]
    missing = [i + 1 for i, value in enumerate(values) if value is None]
    if missing and not said:
        said = [_fault("no value", missing)]
    kept = () if len(missing) == len(values) else tuple(values)
    return Result(kept, not said, "; ".join(said) or None)


def _fault(why: str, rounds: Sequence[int]) -> str:
    if not rounds:
        return why
    return f"{why} (round{'s' if len(rounds) > 1 else ''} {', '.join(str(number) for number in rounds)})"
