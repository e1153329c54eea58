"""The single measurements. Each is a Job: the rows it is for, and the action that fills one round of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flexkit.bench import record
from flexkit.bench.board import FaultResult, RunResult
from flexkit.bench.pressure import DROP_PAGE_CACHE, ended_well, pressed, shell
from flexkit.bench.record import Metric, put_generation
from flexkit.bench.session import ModelFile, Question, Session, ms, share_left
from flexkit.bench.suites import IDLE, Reclaim, Variant
from flexkit.boards.schema import PAGE
from flexkit.errors import FlexError
from flexkit.report.schema import Key

MB = 1_000_000
FAULT_LIMIT = 4
"""A process takes memory until as much as asked for has come out of secure pages, at most so many times that: what is
free goes first, before the clock. If secure pages do not come by then, it was no reclaim."""
PRESSED_ROOM = 128 << 20
"""Left free beside a model's size where processes hold the rest: Linux's reserves, and a session's working memory."""


@dataclass(frozen=True)
class Job:
    """One thing to do once. ``cells`` maps the rows that it is for to their metrics."""

    stage: str
    where: Mapping[str, Any]
    cells: Mapping[Key, tuple[Metric, ...]]
    action: Callable[[], None] = field(repr=False)


# Warm-up ------------------------------------------------------------------------------------------------------------


def warm_up(session: Session, question: Question, variant: Variant) -> Job:
    """An answer that is in no row; what it meets for the first time is not measured."""

    def action() -> None:
        cold = Variant(variant.mode, "cold" if variant.cache is not None else None, variant.page_cache)
        session.prepare(cold, question)
        session.warm_up(question, cold)

    return Job("warm-up", session.where(question, variant), {}, action)


# Answers ------------------------------------------------------------------------------------------------------------


def generation(session: Session, suite: str, question: Question, variant: Variant, round_: int) -> Job:
    """One answer: tokens checked, then time to first token with its parts, per token and end to end."""
    cell = generation_cell(session, suite, question, variant)
    where = session.where(question, variant, round=round_)

    def action() -> None:
        with session.recorder.attempt("measure", cell, **where):
            session.prepare(variant, question)
            size = question.model.path.stat().st_size
            with pressed(session, variant.pressure, size, PRESSED_ROOM):
                result = session.ask(question, variant)
            question.expected.check(result)
            put_generation(session.recorder, cell, round_, result, session.counter_hz)
        session.bus.note("measure", _told(question, variant, round_, result, session.counter_hz))

    return Job("measure", where, {cell: record.GENERATION}, action)


def generation_cell(session: Session, suite: str, question: Question, variant: Variant, **more: Any) -> Key:
    """The rows that answers of this variant go into."""
    what: dict[str, Any] = {
        "mode": variant.mode,
        "model": question.model.label,
        "prompt_tokens": question.tokens,
        "cache": variant.cache,
        "page_cache": variant.page_cache,
        "pressure": variant.pressure,
        "reference": question.expected.reference,
    }
    return session.cell(suite, **(what | more))


def _told(question: Question, variant: Variant, round_: int, result: RunResult, counter_hz: int) -> str:
    ttft = ms(result.first_token - result.submitted, counter_hz)
    how = " ".join(str(word) for word in (variant.mode, variant.cache) if word)
    return f"round {round_ + 1}: {how}, {question.model.spec.name}, {question.tokens} tokens: first after {ttft:.0f} ms"


# Reclaim ------------------------------------------------------------------------------------------------------------


def reclaim(session: Session, suite: str, spec: Reclaim, question: Question, round_: int) -> Job:
    """Memory is taken from a resident model twice: by a process that needs it, and by asking the driver for it; each
    time the next answer must be right."""
    warm = Variant("flexserve", "warm")
    common = {
        "mode": "flexserve",
        "model": question.model.label,
        "prompt_tokens": question.tokens,
        "size_bytes": spec.size_bytes,
        "reference": question.expected.reference,
    }
    demand = session.cell(suite, **common, cache="warm", pressure="anon")
    asked = session.cell(suite, **common, cache="warm", pressure="idle")
    baseline = session.cell(suite, mode="normal-idle", size_bytes=spec.size_bytes, pressure="anon")
    dropped = session.cell(suite, mode="normal-idle", size_bytes=spec.size_bytes, pressure="idle")
    share = share_left(question.model.path.stat().st_size, spec.size_bytes)
    partly = generation_cell(session, suite, question, warm, cache=share)
    where = session.where(question, warm, round=round_)

    def action() -> None:
        _measure_baseline(session, spec, baseline, round_)
        if spec.page_cache:
            _measure_drop(session, spec, question, dropped, round_)
        with session.recorder.attempt("reclaim", demand, asked, partly, **where, subject="model made resident"):
            session.prepare(warm, question)
        with session.recorder.attempt("reclaim", demand, **where, subject="memory taken by a process"):
            _measure_demand(session, spec, demand, round_)
        with session.recorder.attempt("reclaim", demand, **where, subject="next answer"):
            question.expected.check(session.ask(question, warm))
        with session.recorder.attempt("reclaim", asked, partly, **where, subject="memory asked of the driver"):
            _measure_asked(session, spec, question.model, asked, round_)
        with session.recorder.attempt("reclaim", asked, partly, **where, subject="next answer"):
            result = session.ask(question, warm)
            question.expected.check(result)
            put_generation(session.recorder, partly, round_, result, session.counter_hz)
        if spec.page_cache:
            _measure_page_cache(session, spec, question, baseline, round_)

    cells: dict[Key, tuple[Metric, ...]] = {
        demand: record.RECLAIM,
        asked: (*record.RECLAIM, record.RECLAIM_COST, record.RECLAIM_COST_ALONE),
        baseline: (record.RECLAIM_BASELINE, *([record.RECLAIM_PAGE_CACHE] if spec.page_cache else [])),
        partly: record.GENERATION,
    }
    if spec.page_cache:
        cells[dropped] = (record.RECLAIM_DROP,)
    return Job("reclaim", where, cells, action)


def _measure_baseline(session: Session, spec: Reclaim, cell: Key, round_: int) -> None:
    """The same process with free memory and nothing secure: what it costs without anybody's recall."""
    where = session.where(variant=IDLE, round=round_, subject="the same from free memory")
    with session.recorder.attempt("reclaim", cell, **where):
        session.prepare(IDLE, None)
        fault = session.board.fault_in(spec.size_bytes, session.within(session.limits.program, "fault memory in"))
        _took_it_all(fault.bytes, spec.size_bytes)
        session.recorder.put(cell, record.RECLAIM_BASELINE, round_, ms(fault.ticks, session.counter_hz))


def _measure_drop(session: Session, spec: Reclaim, question: Question, cell: Key, round_: int) -> None:
    """Page cache of the same size, given up when it is asked for."""
    where = session.where(variant=IDLE, round=round_, subject="page cache given up")
    with session.recorder.attempt("reclaim", cell, **where):
        session.prepare(IDLE, None)
        path = session.remote(question.model, "flexserve")
        ticks = session.board.drop_cached(path, spec.size_bytes, session.within(session.limits.program, "drop a file"))
        session.recorder.put(cell, record.RECLAIM_DROP, round_, ms(ticks, session.counter_hz))


def _measure_page_cache(session: Session, spec: Reclaim, question: Question, cell: Key, round_: int) -> None:
    """The same process where page cache has to give the memory up: the model's own file, read as often as a program
    would. What reclaim of secure memory is to be compared with."""
    board = session.board
    where = session.where(variant=IDLE, round=round_, subject="the same from page cache")
    with session.recorder.attempt("reclaim", cell, **where):
        session.prepare(IDLE, None)
        read = ("sh", "-c", 'cat "$0" > /dev/null', session.remote(question.model, "flexserve"))
        shell(session, DROP_PAGE_CACHE, "drop the page cache")
        # Other memory first: whoever takes it last would take the page cache too.
        leave = question.model.path.stat().st_size + spec.leave_bytes
        board.hold(leave, session.within(session.limits.program, "fill memory up"))
        try:
            ended_well(board.execute(read, session.within(session.limits.program, "fill the page cache")))
            deadline = session.within(session.limits.program, "fault memory in")
            fault = board.fault_in(
                FAULT_LIMIT * spec.size_bytes, deadline, until_recalled=spec.size_bytes // PAGE, page_cache=True
            )
        finally:
            board.let_go(session.within(session.limits.command, "free memory"))
        _gave_it_all(fault, spec.size_bytes, "page cache")
        session.recorder.put(cell, record.RECLAIM_PAGE_CACHE, round_, ms(fault.ticks, session.counter_hz))


def _measure_demand(session: Session, spec: Reclaim, cell: Key, round_: int) -> None:
    """Page cache goes and other memory is filled up first, so that what the process takes has to come out of secure
    pages. It goes on until ``size_bytes`` have."""
    board = session.board
    limit = FAULT_LIMIT * spec.size_bytes
    shell(session, DROP_PAGE_CACHE, "drop the page cache")
    board.hold(spec.leave_bytes, session.within(session.limits.program, "fill memory up"))
    try:
        deadline = session.within(session.limits.program, "fault memory in")
        fault = board.fault_in(limit, deadline, until_recalled=spec.size_bytes // PAGE)
    finally:
        board.let_go(session.within(session.limits.command, "free memory"))
    _gave_it_all(fault, spec.size_bytes, "secure memory")
    _put_reclaim(session, cell, round_, fault.ticks, fault.recalled_pages * PAGE)


def _measure_asked(session: Session, spec: Reclaim, model: ModelFile, cell: Key, round_: int) -> None:
    before = session.stats().monitor("scrub_ticks")
    taken = session.recall(model, spec.size_bytes // PAGE)
    scrub = session.stats().monitor("scrub_ticks") - before
    _put_reclaim(session, cell, round_, taken.ticks, taken.pages * PAGE)
    session.recorder.put(cell, record.RECLAIM_COST, round_, ms(taken.whole, session.counter_hz))
    session.recorder.put(cell, record.RECLAIM_COST_ALONE, round_, ms(taken.whole - scrub, session.counter_hz))


def _put_reclaim(session: Session, cell: Key, round_: int, ticks: int, recalled: int) -> None:
    if ticks <= 0:
        raise FlexError("the board's counter did not advance")
    session.recorder.put(cell, record.RECLAIM_LATENCY, round_, ms(ticks, session.counter_hz))
    session.recorder.put(cell, record.RECLAIM_THROUGHPUT, round_, recalled / MB * session.counter_hz / ticks)


def _gave_it_all(fault: FaultResult, wanted: int, giver: str) -> None:
    given = fault.recalled_pages * PAGE
    if given < wanted:
        raise FlexError(
            f"only {given / MB:.1f} MB of {wanted / MB:.1f} came out of {giver} "
            f"when a process had taken {fault.bytes / MB:.1f}"
        )


def _took_it_all(got: int, wanted: int) -> None:
    if got != wanted:
        raise FlexError(f"the process got {got} bytes of memory, not {wanted}")


def cells_of(jobs: Iterable[Job]) -> dict[Key, tuple[Metric, ...]]:
    """Every row that these jobs are for."""
    cells: dict[Key, tuple[Metric, ...]] = {}
    for job in jobs:
        for cell, metrics in job.cells.items():
            cells[cell] = tuple(dict.fromkeys((*cells.get(cell, ()), *metrics)))
    return cells
