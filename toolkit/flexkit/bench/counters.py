"""What the monitor counts by itself: how long protection takes to go on and off, and the longest stay in EL3."""

from __future__ import annotations

from flexkit.bench.board import Stats
from flexkit.bench.record import Metric
from flexkit.bench.session import Session, ms
from flexkit.bench.suites import Variant
from flexkit.bench.tasks import Job
from flexkit.errors import FlexError
from flexkit.report.schema import Key

PROTECT_ON = Metric("protect.on", "ms")
PROTECT_OFF = Metric("protect.off", "ms")
LONGEST_STAY = Metric("el3.longest", "us")
"""Of any call since the boot; turning protection on and off apart."""
METRICS = (PROTECT_ON, PROTECT_OFF, LONGEST_STAY)
SWITCHES = (True, False, True)
"""Protection on, off, on: the last of each is a real switch, whatever was before."""


def counters(session: Session, suite: str, round_: int) -> Job:
    """Protection switched on and off, then what the monitor says."""
    cell = cell_of(session, suite)
    where = session.where(round=round_, subject="the monitor's counters")

    def action() -> None:
        with session.recorder.attempt("measure", cell, **where):
            for on in SWITCHES:
                session.prepare(Variant("normal" if on else "normal-idle"), None)
            put(session, cell, round_, session.stats())

    return Job("measure", where, {cell: METRICS}, action)


def cell_of(session: Session, suite: str) -> Key:
    """The cell of what the monitor itself has counted."""
    return session.cell(suite, threads=1)


def put(session: Session, cell: Key, round_: int, stats: Stats) -> None:
    """Fill the rows; FlexError when the monitor has counted nothing."""
    for metric, name in ((PROTECT_ON, "protect_on_ticks"), (PROTECT_OFF, "protect_off_ticks")):
        session.recorder.put(cell, metric, round_, _counted(stats.monitor(name), session))
    session.recorder.put(cell, LONGEST_STAY, round_, 1000 * _counted(stats.el3_max_ticks, session))


def _counted(ticks: int, session: Session) -> float:
    if ticks <= 0:
        raise FlexError("the monitor's counters have not moved")
    return ms(ticks, session.counter_hz)
