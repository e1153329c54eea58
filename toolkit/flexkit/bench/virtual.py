"""Measures under the virtual clock: everything is asked in one batch before the board's first instruction, and read
when it has ended. Two runs of one build give the same values to the digit.

It counts instructions over all cores, so it shows work and never parallel speed-up. Storage and network do not exist
in it: models lie in memory, and what a mode reads from a medium cannot be measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from flexkit.bench import counters, probing, record, slowdown, tasks
from flexkit.bench.asking import beside_on, execute_on, measure_on, run_on, stats_on
from flexkit.bench.board import BesideResult, BoardFacts, RunRequest, RunResult, Spent, Stats
from flexkit.bench.pressure import ended_well
from flexkit.bench.probes import Probe
from flexkit.bench.record import Metric, one_line, put_generation
from flexkit.bench.runner import Measured, Runner
from flexkit.bench.session import Question, ms, request_of
from flexkit.bench.suites import DEMO, Generation, Slowdown, Suite, Variant
from flexkit.errors import BadInput, FlexError
from flexkit.link import batch as link_batch
from flexkit.link.client import Client
from flexkit.models import atrest
from flexkit.report.schema import Key

T = TypeVar("T")
ROUNDS = 2
PHASES = 5
"""Rounds of programs beside inference: they differ in when its requests come."""
_PERIOD_SECONDS = 0.06
"""Of them: the demo model answers in a fraction of it, and a program of half a second meets many of its answers, so
that what it loses to the last one, which it may not see the end of, is little."""
_VARIANTS = (
    Variant("normal-idle", page_cache="kept"),
    Variant("normal", page_cache="kept"),
    Variant("flexserve", "warm", "kept"),
)
_SECONDS = 1200.0


_THREADS = 1
_ONE_CORE = ("sh", "-c", "for core in /sys/devices/system/cpu/cpu[1-9]*; do echo 0 > $core/online; done")
"""For programs beside inference. Several cores take turns at instructions, some milliseconds each, and whoever waits
for something on another core waits for its turn. On one core a program loses to inference what that executes."""


class BatchBoard(Protocol):
    """A board that works off a batch by itself."""

    def work_off(
        self, batch: link_batch.Batch, models: Mapping[str, Path], seconds: float, *, programs: bool
    ) -> BoardFacts:
        """Boot with these requests and files (path on the board -> file) in memory, with ``programs`` the board's own
        too, and take the answers in."""


def virtual(suite: Suite) -> Suite:
    """What of a suite exists under the virtual clock; BadInput when nothing does."""
    generation = suite.generation
    if generation:
        kept = tuple((variant,) for variant in _VARIANTS if variant.mode in suite.modes)
        generation = replace(generation, groups=kept) if kept else None
    probes = tuple(probe for probe in suite.probes if probe.pressure in (None, "idle"))
    beside = () if generation or probes else tuple(_counted(suite.slowdown))
    if not generation and not probes and not beside:
        raise BadInput(f"suite {suite.name} measures nothing that exists under the virtual clock")
    return replace(
        suite,
        rounds=PHASES if beside else ROUNDS,
        generation=generation,
        probes=probes,
        reclaim=(),
        slowdown=beside,
        threads=_THREADS if beside else None,
        lateness=None,
        presence=(),
        counters=suite.counters and bool(probes),
    )


def _counted(slowdowns: Iterable[Slowdown]) -> Iterator[Slowdown]:
    """Programs that need no medium, beside the modes that need none either."""
    for spec in slowdowns:
        variants = tuple(variant for variant in _VARIANTS if variant in spec.variants)
        if spec.program.counted and variants:
            program = replace(spec.program, argv=spec.program.counted)
            yield replace(spec, program=program, model=DEMO, period_seconds=_PERIOD_SECONDS, variants=variants)


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
        if self.suite.slowdown:
            self._plan_slowdown(self.suite.slowdown)
        recorder = self.session.recorder
        forms = {self._form(question, mode) for question in self._questions.values() for mode in self.suite.modes}
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
                programs = bool(self.suite.slowdown)
                self.session.facts["flex"] = board.work_off(self._batch, files, seconds, programs=programs)
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

    def _execute(self, argv: Sequence[str], what: str) -> None:
        """A program that has to end well."""
        answer = self._ask(lambda client: execute_on(client, argv, self.session.deadline))
        self._steps.append(_Step({}, {"flavour": "flex", "subject": what}, _then(answer, ended_well)))

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
        questions = [self._questions[model, prompt, spec.n_predict] for model in spec.models for prompt in spec.prompts]
        for (variant,) in spec.groups:
            self._protect(on=variant.mode != "normal-idle")
            for question in questions:
                for round_ in range(-1, self.suite.rounds):
                    self._plan_answer(question, variant, round_)
            if variant.mode == "flexserve":
                self._forget_all()

    def _forget_all(self) -> None:
        for path in dict.fromkeys(self._form(question, "flexserve") for question in self._questions.values()):
            self._forget(f"/{self._name(path)}")

    def _plan_answer(self, question: Question, variant: Variant, round_: int) -> None:
        limit, session = self.session.deadline, self.session
        request = self._request(question, variant)
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

    def _plan_slowdown(self, specs: Sequence[Slowdown]) -> None:
        """On one core: every program alone, then modes one after the other."""
        self._execute(_ONE_CORE, "switch cores off")
        self._protect(on=False)
        rounds = range(self.suite.rounds)
        alone = {(spec.program.subject, round_): self._plan_alone(spec, round_) for spec in specs for round_ in rounds}
        for variant in dict.fromkeys(variant for spec in specs for variant in spec.variants):
            self._protect(on=variant.mode != "normal-idle")
            for spec in specs:
                question = self._questions[spec.model, spec.prompt, spec.n_predict]
                self._plan_answer(question, variant, -1)
                for round_ in rounds:
                    self._plan_beside(spec, question, variant, round_, alone[spec.program.subject, round_])
            if variant.mode == "flexserve":
                self._forget_all()

    def _plan_alone(self, spec: Slowdown, round_: int) -> Callable[[], int]:
        """What gives its ticks; FlexError when it has failed."""
        limit, session, base = self.session.deadline, self.session, slowdown.alone_of("normal-idle")
        answer = self._ask(lambda client: execute_on(client, spec.program.argv, limit))
        cell = slowdown.alone_cell(session, self.suite.name, spec, base)
        where = session.where(variant=base, round=round_, subject=f"{spec.program.subject} alone")

        def ticks() -> int:
            return ended_well(answer()).ticks

        def take() -> None:
            session.recorder.put(cell, record.SLOWDOWN_ALONE, round_, ms(ticks(), session.counter_hz))

        self._steps.append(_Step({cell: (record.SLOWDOWN_ALONE,)}, where, take))
        return ticks

    def _plan_beside(
        self, spec: Slowdown, question: Question, variant: Variant, round_: int, alone: Callable[[], int]
    ) -> None:
        limit, session, request = self.session.deadline, self.session, self._request(question, variant)
        phase, argv = slowdown.phase(spec, round_), spec.program.argv

        def call(client: Client) -> BesideResult:
            return beside_on(client, request, argv, spec.period_seconds, phase, limit)

        answer = self._ask(call)
        cell = slowdown.beside_cell(session, self.suite.name, spec, question, variant)
        where = session.where(question, variant, round=round_, subject=spec.program.subject)
        take = _then(answer, lambda found: slowdown.put(session, question, cell, round_, found, alone()))
        self._steps.append(_Step({cell: (record.SLOWDOWN, record.ACHIEVED_RATE)}, where, take))

    def _request(self, question: Question, variant: Variant) -> RunRequest:
        model = f"/{self._name(self._form(question, variant.mode))}"
        return request_of(question, variant, model, self.session.setting.threads)

    def _form(self, question: Question, mode: str) -> Path:
        return atrest.for_mode(question.model.path, mode, self.session.deadline)

    @staticmethod
    def _name(path: Path) -> str:
        """Where a model lies on the board, without the leading slash."""
        return f"models/{path.name}"


def _then(answer: Callable[[], T], use: Callable[[T], object]) -> Callable[[], None]:
    def take() -> None:
        use(answer())

    return take
