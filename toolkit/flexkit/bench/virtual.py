"""Measures under the virtual clock: everything is asked in one batch before the board's first instruction, and read
when it has ended. Two runs of one build give the same values to the digit.

It counts instructions over all cores, so it shows work and never parallel speed-up. Storage and network do not exist
in it: models lie in memory, and what a mode reads from a medium cannot be measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from flexkit.bench import counters, probing, record, tasks
from flexkit.bench.asking import measure_on, run_on, stats_on
from flexkit.bench.board import BoardFacts, RunRequest, RunResult, Spent, Stats
from flexkit.bench.probes import Probe
from flexkit.bench.record import Metric, one_line, put_generation
from flexkit.bench.runner import Measured, Runner
from flexkit.bench.session import Question
from flexkit.bench.suites import Generation, Suite, Variant
from flexkit.errors import BadInput, FlexError
from flexkit.link import batch as link_batch
from flexkit.link.client import Client
from flexkit.models import atrest
from flexkit.report.schema import Key

T = TypeVar("T")
ROUNDS = 2
_VARIANTS = (
    Variant("normal-idle", page_cache="kept"),
    Variant("normal", page_cache="kept"),
    Variant("flexserve", "warm", "kept"),
)
_SECONDS = 600.0


class BatchBoard(Protocol):
    """A board that works off a batch by itself."""

    def work_off(self, batch: link_batch.Batch, models: Mapping[str, Path], seconds: float) -> BoardFacts:
        """Boot with these requests and files (path on the board -> file) in memory, and take the answers in."""


def virtual(suite: Suite) -> Suite:
    """What of a suite exists under the virtual clock; BadInput when nothing does."""
    generation = suite.generation
    if generation:
        kept = tuple((variant,) for variant in _VARIANTS if variant.mode in suite.modes)
        generation = replace(generation, groups=kept) if kept else None
    probes = tuple(probe for probe in suite.probes if probe.pressure in (None, "idle"))
    if not generation and not probes:
        raise BadInput(f"suite {suite.name} measures nothing that exists under the virtual clock")
    return replace(
        suite,
        rounds=ROUNDS,
        generation=generation,
        probes=probes,
        reclaim=(),
        slowdown=(),
        lateness=None,
        presence=(),
        counters=suite.counters and bool(probes),
    )


@dataclass(frozen=True)
class _Step:
    """A request of the batch, and what is done with its answer."""

    cells: Mapping[Key, tuple[Metric, ...]]
    where: Mapping[str, Any]
    take: Callable[[], None]


@dataclass
class VirtualRunner(Runner):
    """One run of one suite, as ``virtual`` gives it."""

    _batch: link_batch.Batch = field(init=False, default_factory=link_batch.Batch)
    _steps: list[_Step] = field(init=False, default_factory=list)

    def run_batch(self, board: BatchBoard) -> Measured:
        """Measure everything. As with ``run``, what the board fails at ends up in rows and attempts."""
        self._ask_reference()
        self._plan_probes()
        if self.suite.generation:
            self._plan_generation(self.suite.generation)
        recorder = self.session.recorder
        modes = [variant.mode for group in spec.groups for variant in group] if (spec := self.suite.generation) else []
        forms = {self._form(question, mode) for question in self._questions.values() for mode in modes}
        files = {self._name(path): path for path in forms}
        why = self._boot_batch(board, files)
        for step in self._steps:
            for cell, metrics in step.cells.items():
                recorder.declare(cell, *metrics)
            if why is not None:
                recorder.not_run("measure", why, *step.cells, **step.where)
            else:
                self._take(step)
        return Measured(
            recorder.rows(), tuple(recorder.attempts), self.session.facts, None, recorder.first_figure, self._lost
        )

    def _boot_batch(self, board: BatchBoard, files: Mapping[str, Path]) -> str | None:
        """Why there are no answers, if so."""
        try:
            with self.session.bus.step("batch"), self.session.recorder.attempt("boot", flavour="flex"):
                seconds = min(_SECONDS, self.session.deadline.check())
                self.session.facts["flex"] = board.work_off(self._batch, files, seconds)
        except FlexError as error:
            self._lost = error
            return one_line(error.message)
        return None

    def _take(self, step: _Step) -> None:
        try:
            with self.session.recorder.attempt("measure", *step.cells, **step.where):
                step.take()
        except FlexError as error:
            self.session.bus.note("measure", f"failed: {error.message}")

    def _ask(self, call: Callable[[Client], T]) -> Callable[[], T]:
        """Put a call into the batch; what is returned gives its answer."""
        number = self._batch.plan(call)
        return lambda: self._batch.answer(number, call)

    def _command(self, call: Callable[[Client], object]) -> None:
        """A call whose answer only has to be right."""
        answer = self._ask(call)
        self._steps.append(_Step({}, {"flavour": "flex"}, _then(answer, lambda _: None)))

    def _protect(self, *, on: bool) -> None:
        self._command(lambda client: client.protect(on, self.session.deadline))

    def _forget(self, model: str) -> None:
        self._command(lambda client: client.forget(model, self.session.deadline))

    # What is asked

    def _plan_probes(self) -> None:
        if self.suite.probes:
            self._protect(on=True)
        for round_ in range(self.suite.rounds):
            for spec in self.suite.probes:
                self._plan_probe(spec, round_)
            if self.suite.counters:
                self._plan_counters(round_)

    def _plan_probe(self, spec: Probe, round_: int) -> None:
        limit, session, suite = self.session.deadline, self.session, self.suite.name

        def call(client: Client) -> Spent:
            return measure_on(client, spec.kind, spec.count, spec.batch, limit)

        answer = self._ask(call)
        where = session.where(round=round_, subject=probing.told(spec))
        cells = probing.cells_of(session, suite, spec)
        take = _then(answer, lambda spent: probing.put(session, suite, spec, round_, spent))
        self._steps.append(_Step(cells, where, take))

    def _plan_counters(self, round_: int) -> None:
        session, cell = self.session, counters.cell_of(self.session, self.suite.name)
        for on in counters.SWITCHES:
            self._protect(on=on)
        answer = self._ask(self._read)
        where = session.where(round=round_, subject="the monitor's counters")
        take = _then(answer, lambda stats: counters.put(session, cell, round_, stats))
        self._steps.append(_Step({cell: counters.METRICS}, where, take))

    def _read(self, client: Client) -> Stats:
        return stats_on(client, self.session.deadline)

    def _plan_generation(self, spec: Generation) -> None:
        """Modes one after the other, as protection has to be switched between them; the first answer of each warms
        up."""
        for (variant,) in spec.groups:
            self._protect(on=variant.mode != "normal-idle")
            for question in self._questions.values():
                for round_ in range(-1, self.suite.rounds):
                    self._plan_answer(question, variant, round_)
            if variant.mode == "flexserve":
                for path in dict.fromkeys(self._form(question, variant.mode) for question in self._questions.values()):
                    self._forget(f"/{self._name(path)}")

    def _plan_answer(self, question: Question, variant: Variant, round_: int) -> None:
        limit, session = self.session.deadline, self.session
        request = RunRequest(
            mode=variant.mode,
            model=f"/{self._name(self._form(question, variant.mode))}",
            prompt=question.prompt,
            n_predict=question.n_predict,
            context=question.context,
            threads=session.setting.threads,
            drop_page_cache=False,
        )
        answer = self._ask(lambda client: run_on(client, request, limit))
        where = session.where(question, variant, round=max(round_, 0))
        if round_ < 0:
            take = _then(answer, question.expected.check)
            self._steps.append(_Step({}, where | {"subject": "warm-up"}, take))
            return
        cell = tasks.generation_cell(session, self.suite.name, question, variant)

        def put(result: RunResult) -> None:
            question.expected.check(result)
            put_generation(session.recorder, cell, round_, result, session.counter_hz)

        self._steps.append(_Step({cell: record.GENERATION}, where, _then(answer, put)))

    def _form(self, question: Question, mode: str) -> Path:
        return atrest.for_mode(question.model.path, mode, self.session.deadline)

    @staticmethod
    def _name(path: Path) -> str:
        """Where a model lies on the board, without the leading slash."""
        return f"models/{path.name}"


def _then(answer: Callable[[], T], use: Callable[[T], None]) -> Callable[[], None]:
    return lambda: use(answer())
