"""Probes as jobs: memory brought under its pressure, the steps timed by the driver, the rows filled."""

from __future__ import annotations

from flexkit.bench.board import Spent
from flexkit.bench.pressure import pressed
from flexkit.bench.probes import Figure, Probe
from flexkit.bench.record import Metric
from flexkit.bench.session import Session
from flexkit.bench.suites import IDLE
from flexkit.bench.tasks import Job
from flexkit.report.schema import Key


def probe(session: Session, suite: str, spec: Probe, round_: int) -> Job:
    """One probe, once, with protection on."""
    cells = cells_of(session, suite, spec)
    where = session.where(variant=IDLE, round=round_, subject=told(spec))

    def action() -> None:
        with session.recorder.attempt("measure", *cells, **where):
            session.prepare(IDLE, None)
            with pressed(session, spec.pressure, spec.size_bytes or 0, spec.room_bytes):
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
