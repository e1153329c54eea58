"""Packaged programs beside inference, divided by the same program alone in the same boot."""

from __future__ import annotations

from dataclasses import dataclass, field

from flexkit.bench import record
from flexkit.bench.board import BesideResult, Mode
from flexkit.bench.pressure import ended_well
from flexkit.bench.session import Question, Session, ms
from flexkit.bench.suites import IDLE, STOCK, Slowdown, Variant
from flexkit.bench.tasks import Job, generation_cell
from flexkit.errors import FlexError
from flexkit.report.schema import Key

_GOLDEN = (5**0.5 - 1) / 2


@dataclass
class Alone:
    """Ticks that a program took by itself, by program, boot and round; None where it failed, which is not tried
    again."""

    ticks: dict[tuple[str, int, int], int | None] = field(default_factory=dict)


def alone_of(mode: Mode) -> Variant:
    """What runs beside nothing in the boot of a mode."""
    return STOCK if mode == "stock" else IDLE


def alone_cell(session: Session, suite: str, spec: Slowdown, base: Variant) -> Key:
    return session.cell(suite, mode=base.mode, subject=spec.program.subject)


def beside_cell(session: Session, suite: str, spec: Slowdown, question: Question, variant: Variant) -> Key:
    return generation_cell(session, suite, question, variant, subject=spec.program.subject)


def phase(spec: Slowdown, round_: int) -> float:
    """When the first request of a round comes due, in seconds from the program's start: spread evenly over a period,
    however many rounds there are, and the same in every mode."""
    return spec.period_seconds * (round_ * _GOLDEN % 1)


def put(session: Session, question: Question, cell: Key, round_: int, found: BesideResult, alone: int) -> None:
    """One round's figures, all answers checked first. ``alone``: ticks of the program by itself."""
    program = ended_well(found.program)
    for tokens in found.answers:
        question.expected.check_tokens(tokens)
    session.recorder.put(cell, record.SLOWDOWN, round_, program.ticks / alone)
    session.recorder.put(cell, record.ACHIEVED_RATE, round_, len(found.answers) * session.counter_hz / found.ticks)


def slowdown(
    session: Session, suite: str, spec: Slowdown, question: Question, variant: Variant, *, round_: int, alone: Alone
) -> Job:
    """The program beside inference, divided by the program alone in the same boot and round."""
    base = alone_of(variant.mode)
    cell = beside_cell(session, suite, spec, question, variant)
    by_itself = alone_cell(session, suite, spec, base)
    where = session.where(question, variant, round=round_, subject=spec.program.subject)

    def action() -> None:
        once = (spec.program.subject, session.boots, round_)
        if once not in alone.ticks:
            alone.ticks[once] = None
            alone_where = session.where(variant=base, round=round_, subject=f"{spec.program.subject} alone")
            with session.recorder.attempt("slowdown", by_itself, cell, **alone_where):
                alone.ticks[once] = _alone(session, spec, base, by_itself, round_)
        divisor = alone.ticks[once]
        if divisor is None:
            why = f"{spec.program.subject} alone has failed in this round"
            session.recorder.not_run("slowdown", why, cell, **where)
            raise FlexError(why)
        with session.recorder.attempt("slowdown", cell, **where):
            session.prepare(variant, question)
            question.expected.check(session.ask(question, variant))
            found = session.beside(question, variant, spec.program, spec.period_seconds, phase(spec, round_))
            put(session, question, cell, round_, found, divisor)

    cells = {cell: (record.SLOWDOWN, record.ACHIEVED_RATE), by_itself: (record.SLOWDOWN_ALONE,)}
    return Job("slowdown", where, cells, action)


def _alone(session: Session, spec: Slowdown, base: Variant, cell: Key, round_: int) -> int:
    session.prepare(base, None)
    deadline = session.within(session.limits.program, spec.program.subject)
    done = ended_well(session.board.execute(spec.program.argv, deadline))
    session.recorder.put(cell, record.SLOWDOWN_ALONE, round_, ms(done.ticks, session.counter_hz))
    return done.ticks
