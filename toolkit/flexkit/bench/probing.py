"""Probes as jobs: memory brought under its pressure, the steps timed by the driver, the rows filled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flexkit.bench.board import Spent
from flexkit.bench.probes import MIB, Figure, Probe
from flexkit.bench.record import Metric
from flexkit.bench.session import Session
from flexkit.bench.suites import Variant
from flexkit.bench.tasks import DROP_PAGE_CACHE, Job, ended_well
from flexkit.report.schema import Key

_FRAGMENTS_LEAVE = 64 * MIB
"""Free memory that is not taken before every second page of the rest becomes free."""
_FILL_PAGE_CACHE = ("sh", "-c", "cat $(awk '$2 == \"/data\" { print $1 }' /proc/mounts) > /dev/null")
"""Reads the data partition, which is nearly as large as memory."""
_IDLE = Variant("normal-idle")


def probe(session: Session, suite: str, spec: Probe, round_: int) -> Job:
    """One probe, once, with protection on."""
    cells = cells_of(session, suite, spec)
    where = session.where(variant=_IDLE, round=round_, subject=told(spec))

    def action() -> None:
        with session.recorder.attempt("measure", *cells, **where):
            session.prepare(_IDLE, None)
            with _pressure(session, spec):
                spent = session.steps(spec.kind, spec.count, spec.batch)
            put(session, suite, spec, round_, spent)
        session.bus.note("measure", f"round {round_ + 1}: {told(spec)}")

    return Job("measure", where, cells, action)


def put(session: Session, suite: str, spec: Probe, round_: int, spent: Spent) -> None:
    """Fill the rows of a probe."""
    for figure in spec.figures:
        value = spec.value(figure, spent, session.counter_hz)
        session.recorder.put(_cell(session, suite, spec, figure), _metric(figure), round_, value)


def cells_of(session: Session, suite: str, spec: Probe) -> dict[Key, tuple[Metric, ...]]:
    """The rows that a probe is for."""
    cells: dict[Key, tuple[Metric, ...]] = {}
    for figure in spec.figures:
        cell = _cell(session, suite, spec, figure)
        cells[cell] = (*cells.get(cell, ()), _metric(figure))
    return cells


def told(spec: Probe) -> str:
    """A probe in words."""
    size = f", {spec.size_bytes // 1024} KB" if spec.size_bytes else ""
    return f"{spec.count} × {spec.kind}{size}{', ' + spec.pressure if spec.pressure else ''}"


def _cell(session: Session, suite: str, spec: Probe, figure: Figure) -> Key:
    return session.cell(
        suite, mode=figure.mode, subject=figure.subject, size_bytes=spec.size_bytes, pressure=spec.pressure, threads=1
    )


def _metric(figure: Figure) -> Metric:
    return Metric(figure.metric, figure.unit)


@contextmanager
def _pressure(session: Session, spec: Probe) -> Iterator[None]:
    """Memory as the probe wants to find it; none: as it is."""
    board = session.board
    if spec.pressure is None:
        yield
        return
    ended_well(board.execute(DROP_PAGE_CACHE, session.within(session.limits.command, "drop the page cache")))
    if spec.pressure == "pagecache":
        ended_well(board.execute(_FILL_PAGE_CACHE, session.within(session.limits.program, "fill the page cache")))
    taken = spec.pressure in ("anon", "fragmented")
    if spec.pressure == "anon":
        board.hold((spec.size_bytes or 0) + spec.room_bytes, session.within(session.limits.program, "fill memory up"))
    elif spec.pressure == "fragmented":
        board.fragment(_FRAGMENTS_LEAVE, session.within(session.limits.program, "fragment memory"))
    try:
        yield
    finally:
        if taken:
            board.let_go(session.within(session.limits.command, "free memory"))
