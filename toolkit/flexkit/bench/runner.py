"""Measures a board: boots it once a flavour, runs every configuration in seeded, interleaved rounds, checks every
token, and never repeats a try that failed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from flexkit.bench import probing, tasks
from flexkit.bench.board import BoardFacts, Flavour, Stats
from flexkit.bench.counters import counters
from flexkit.bench.lateness import lateness
from flexkit.bench.oracle import Oracle
from flexkit.bench.presence import Presence
from flexkit.bench.record import one_line
from flexkit.bench.session import ModelFile, Question, Session
from flexkit.bench.slowdown import Alone, slowdown
from flexkit.bench.suites import FLAVOUR_OF, Lateness, ModelSpec, Reclaim, Slowdown, Suite, Variant
from flexkit.bench.tasks import Job
from flexkit.errors import BoardLost, FlexError, TimedOut
from flexkit.report.schema import Attempt, Row

LOSSES = 2
"""Times that the board may be lost in one flavour before the rest of it is given up."""
_INTERRUPTED = "interrupted"
FLAVOURS: tuple[Flavour, ...] = ("flex", "stock")
"""flex first: its figures are the ones that people wait for."""


@dataclass(frozen=True)
class Measured:
    """All that came out of a run."""

    rows: tuple[Row, ...]
    attempts: tuple[Attempt, ...]
    facts: Mapping[Flavour, BoardFacts]
    stats: Stats | None
    """The driver's counters at the end of the flex boot."""
    first_figure: float | None = None
    """Seconds from the start of the run to the first value, host clock."""
    lost: FlexError | None = None
    """Why the board was lost for the last time, if it was."""
    stopped: KeyboardInterrupt | SystemExit | None = None
    """Ctrl-C or a signal that ended the run before its time: to be raised again when what there is has been kept."""


@dataclass
class Runner:
    """One run of one suite. ``prompt_of`` makes text that a model encodes to exactly so many tokens."""

    suite: Suite
    session: Session
    models: Mapping[ModelSpec, ModelFile]
    oracle: Oracle
    prompt_of: Callable[[Path, int], str]
    seed: int
    _questions: dict[tuple[ModelSpec, int, int], Question] = field(init=False, default_factory=dict)
    _stats: Stats | None = field(init=False, default=None)
    _lost: FlexError | None = field(init=False, default=None)
    _stopped: KeyboardInterrupt | SystemExit | None = field(init=False, default=None)

    def run(self) -> Measured:
        """Measure everything. What the board fails at ends up in rows and attempts; raised is only what makes the
        whole run meaningless (no reference engine, a broken model)."""
        self._ask_reference()
        self.session.stage(self.models.values())
        for flavour in self._flavours(self.suite):
            self._block(flavour, partial(self._jobs, flavour))
        self._blocks()
        recorder = self.session.recorder
        if self.session.setting.profile == "debug":
            recorder.fault_all("a debug build")
        return Measured(
            recorder.rows(),
            tuple(recorder.attempts),
            self.session.facts,
            self._stats,
            recorder.first_figure,
            self._lost,
            self._stopped,
        )

    # Before the board is touched

    def _ask_reference(self) -> None:
        """Cut the prompts and compute their right answers on the host."""
        wanted = list(dict.fromkeys(self._wanted()))
        with self.session.bus.step("reference answers") as progress:
            for done, (spec, tokens, n, context) in enumerate(wanted):
                self.session.deadline.check()
                model = self.models[spec]
                prompt = self.prompt_of(model.path, tokens)
                expected = self.oracle.expect(model.path, prompt, n, context)
                if len(expected.prompt_ids) != tokens:
                    raise FlexError(f"{model.label}: a prompt of {len(expected.prompt_ids)} tokens, not {tokens}")
                self._questions[spec, tokens, n] = Question(model, tokens, prompt, n, context, expected)
                progress(done + 1, len(wanted))

    def _wanted(self) -> Iterator[tuple[ModelSpec, int, int, int]]:
        """(model, prompt tokens, tokens to generate, context) of every question of the suite."""
        generation = self.suite.generation
        if generation:
            for model in generation.models:
                for prompt in generation.prompts:
                    yield model, prompt, generation.n_predict, generation.context
        parts: list[Reclaim | Slowdown | Lateness] = [*self.suite.reclaim, *self.suite.slowdown]
        parts += [self.suite.lateness] if self.suite.lateness else []
        for part in parts:
            yield part.model, part.prompt, part.n_predict, part.context

    # One flavour

    def _blocks(self) -> None:
        """Presence: a boot of each flavour in each round."""
        suite = self.suite
        if not suite.presence:
            return
        presence = Presence(self.session, suite.name, suite.presence, suite.presence_modes)
        needed = [flavour for flavour in FLAVOURS if flavour in {FLAVOUR_OF[mode] for mode in suite.presence_modes}]
        order = random.Random(f"{self.seed}/presence")
        for round_ in range(suite.rounds):
            order.shuffle(needed)
            for flavour in needed:
                self._block(flavour, partial(self._presence_jobs, presence, flavour, round_, order))
            presence.settle(round_)

    def _presence_jobs(self, presence: Presence, flavour: Flavour, round_: int, order: random.Random) -> Iterator[Job]:
        yield from presence.block(flavour, round_, order)
        if self.suite.counters and flavour == "flex" and not self.suite.probes:
            yield counters(self.session, self.suite.name, round_)

    @staticmethod
    def _flavours(suite: Suite) -> list[Flavour]:
        """Those in which something is measured in rounds of one boot."""
        needed = {FLAVOUR_OF[mode] for mode in replace(suite, presence=()).modes}
        return [flavour for flavour in FLAVOURS if flavour in needed]

    def _block(self, flavour: Flavour, jobs_of: Callable[[], Iterator[Job]]) -> None:
        """One boot, or two when the board was lost once; what cannot be done is on record."""
        why = self._late() or self._boot(flavour)
        jobs = list(jobs_of())
        for cell, metrics in tasks.cells_of(jobs).items():
            self.session.recorder.declare(cell, *metrics)
        losses = 0
        for number, job in enumerate(jobs):
            why = why or self._late()
            if why is None and losses and not self.session.up:
                why = "the board was lost twice" if losses >= LOSSES else self._boot(flavour)
            if why is not None:
                self._abandon(jobs[number:], why)
                return
            try:
                job.action()
            except FlexError as error:
                if isinstance(error, BoardLost | TimedOut):
                    losses, self.session.up, self._lost = losses + 1, False, error
                self._note_failure(job, error)
            except (KeyboardInterrupt, SystemExit) as stop:
                self._stopped = stop
                self._abandon(jobs[number:], _INTERRUPTED)
                return
        if self.session.up and flavour == "flex":
            self._stats = self.session.board.stats(self.session.within(self.session.limits.command, "read counters"))

    def _late(self) -> str | None:
        """That there is no time left, or that the run was interrupted, if so."""
        if self._stopped:
            return _INTERRUPTED
        deadline = self.session.deadline
        return f"no time left of {deadline.seconds:g} s" if deadline.expired else None

    def _boot(self, flavour: Flavour) -> str | None:
        """Why the board is not up, if so."""
        try:
            self.session.boot(flavour)
        except FlexError as error:
            self.session.bus.note("boot", error.message)
            self._lost = error
            return one_line(error.message)
        except (KeyboardInterrupt, SystemExit) as stop:
            self._stopped = stop
            return _INTERRUPTED
        return None

    def _note_failure(self, job: Job, error: FlexError) -> None:
        """What the job has not measured by now it never will; the attempt that failed has its own record."""
        for cell, metrics in job.cells.items():
            self.session.recorder.fault_missing(cell, metrics, job.where.get("round"), one_line(error.message))
        self.session.bus.note(job.stage, f"failed: {error.message}")

    def _abandon(self, jobs: Sequence[Job], why: str) -> None:
        for job in jobs:
            self.session.recorder.not_run(job.stage, why, *job.cells, **job.where)

    def _jobs(self, flavour: Flavour) -> Iterator[Job]:
        """Everything to be done in this flavour, in its seeded order: warm-up, then rounds."""
        order = random.Random(f"{self.seed}/{flavour}")
        alone = Alone()
        yield from self._warm_ups(flavour)
        for round_ in range(self.suite.rounds):
            groups = [*self._answers(flavour, round_), *self._beside(flavour, round_, alone, order)]
            order.shuffle(groups)
            for group in groups:
                yield from group
            if flavour == "flex":
                probes = [probing.probe(self.session, self.suite.name, spec, round_) for spec in self.suite.probes]
                probes += self._lateness(round_)
                if self.suite.counters and self.suite.probes:
                    probes.append(counters(self.session, self.suite.name, round_))
                order.shuffle(probes)
                yield from probes
        for round_ in range(self.suite.rounds if flavour == "flex" else 0):
            for spec in self.suite.reclaim:
                question = self._questions[spec.model, spec.prompt, spec.n_predict]
                yield tasks.reclaim(self.session, self.suite.name, spec, question, round_)

    def _warm_ups(self, flavour: Flavour) -> Iterator[Job]:
        """Each mode once, with the first model and the shortest prompt: what is met for the first time (translated
        code under emulation, the kernel's own caches) is met there."""
        spec = self.suite.generation
        if not spec:
            return
        firsts = [group[0] for group in reversed(spec.groups) if FLAVOUR_OF[group[0].mode] == flavour]
        variants = reversed({variant.mode: variant for variant in firsts}.values())
        question = self._questions[spec.models[0], min(spec.prompts), spec.n_predict]
        for variant in variants:
            yield tasks.warm_up(self.session, question, variant)

    def _answers(self, flavour: Flavour, round_: int) -> Iterator[list[Job]]:
        spec = self.suite.generation
        if not spec:
            return
        for model in spec.models:
            for prompt in spec.prompts:
                question = self._questions[model, prompt, spec.n_predict]
                for group in spec.asked(prompt):
                    jobs = [self._answer(question, variant, round_) for variant in _of(group, flavour)]
                    if jobs:
                        yield jobs

    def _answer(self, question: Question, variant: Variant, round_: int) -> Job:
        return tasks.generation(self.session, self.suite.name, question, variant, round_)

    def _lateness(self, round_: int) -> list[Job]:
        spec = self.suite.lateness
        if not spec:
            return []
        question = self._questions[spec.model, spec.prompt, spec.n_predict]
        name = self.suite.name
        return [lateness(self.session, name, spec, question, variant, round_) for variant in spec.variants]

    def _beside(self, flavour: Flavour, round_: int, alone: Alone, order: random.Random) -> Iterator[list[Job]]:
        """A program's modes one after the other, in any order: what they are compared for should not be minutes
        apart."""
        name = self.suite.name
        for spec in self.suite.slowdown:
            question = self._questions[spec.model, spec.prompt, spec.n_predict]
            variants = _of(spec.variants, flavour)
            order.shuffle(variants)
            yield [
                slowdown(self.session, name, spec, question, variant, round_=round_, alone=alone)
                for variant in variants
            ]


def _of(variants: Sequence[Variant], flavour: Flavour) -> list[Variant]:
    return [variant for variant in variants if FLAVOUR_OF[variant.mode] == flavour]
