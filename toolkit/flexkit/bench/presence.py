"""What FlexKit's presence costs Linux: programs with nothing secure, protection off (``normal-idle``) and on
(``normal``), over the same programs on the same kernel without our patches. That is another boot, so it is measured in
blocks: a round is a boot of each flavour in a seeded order, and a ratio is taken within a round."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from flexkit.bench.board import Flavour, Mode
from flexkit.bench.pressure import ended_well
from flexkit.bench.record import Metric
from flexkit.bench.session import Session, ms
from flexkit.bench.suites import FLAVOUR_OF, Program, Variant
from flexkit.bench.tasks import Job

ALONE = Metric("presence.alone", "ms")
PRESENCE = Metric("presence", "ratio")
_BASE: Mode = "stock"
_MODES: tuple[Mode, ...] = ("normal-idle", "normal")


@dataclass
class Presence:
    """The programs of one run, and what they took: ticks by (program, mode, round)."""

    session: Session
    suite: str
    programs: tuple[Program, ...]
    modes: tuple[Mode, ...]
    _ms: dict[tuple[str, Mode, int], float] = field(init=False, default_factory=dict)

    def block(self, flavour: Flavour, round_: int, order: Random) -> Iterator[Job]:
        """Each program once to warm up, then once in each mode of this flavour."""
        yield from (self._warm_up(program) for program in self.programs)
        modes = [mode for mode in self.modes if FLAVOUR_OF[mode] == flavour]
        jobs = [self._job(program, mode, round_) for program in self.programs for mode in modes]
        order.shuffle(jobs)
        yield from jobs

    def settle(self, round_: int) -> None:
        """Both flavours have had their turn: the round's ratios, where both sides are there."""
        for program in self.programs:
            base = self._ms.get((program.subject, _BASE, round_))
            for mode in (mode for mode in self.modes if mode in _MODES):
                took = self._ms.get((program.subject, mode, round_))
                cell = self.session.cell(self.suite, mode=mode, subject=program.subject)
                self.session.recorder.declare(cell, PRESENCE)
                if took is not None and base is not None:
                    self.session.recorder.put(cell, PRESENCE, round_, took / base)

    def _warm_up(self, program: Program) -> Job:
        where = self.session.where(subject=program.subject)

        def action() -> None:
            with self.session.recorder.attempt("warm-up", **where):
                self._run(program)

        return Job("warm-up", where, {}, action)

    def _job(self, program: Program, mode: Mode, round_: int) -> Job:
        cell = self.session.cell(self.suite, mode=mode, subject=program.subject)
        where = self.session.where(variant=Variant(mode), round=round_, subject=program.subject)

        def action() -> None:
            with self.session.recorder.attempt("measure", cell, **where):
                self.session.prepare(Variant(mode), None)
                took = self._run(program)
                self._ms[program.subject, mode, round_] = took
                self.session.recorder.put(cell, ALONE, round_, took)

        return Job("measure", where, {cell: (ALONE,)}, action)

    def _run(self, program: Program) -> float:
        deadline = self.session.within(self.session.limits.program, program.subject)
        return ms(ended_well(self.session.board.execute(program.argv, deadline)).ticks, self.session.counter_hz)
