"""A board under measurement: what is resident on it, what is switched on, and every answer checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flexkit.bench.board import (
    BenchBoard,
    BesideResult,
    BoardFacts,
    Flavour,
    Mode,
    RecallResult,
    RunRequest,
    RunResult,
    Spent,
    Stats,
    StepKind,
)
from flexkit.bench.oracle import Expected
from flexkit.bench.record import Recorder, cell
from flexkit.bench.suites import ModelSpec, Program, Variant
from flexkit.boards.schema import PAGE
from flexkit.deadline import Deadline
from flexkit.errors import FlashError, FlexError
from flexkit.events import Bus
from flexkit.report.schema import Cache, Key


@dataclass(frozen=True)
class Limits:
    """Seconds for single steps, within the deadline of the whole."""

    boot: float = 240.0  # with flashing and verification before it
    transfer: float = 120.0
    run: float = 120.0
    program: float = 120.0
    command: float = 30.0


@dataclass(frozen=True)
class ModelFile:
    """A model on the host. ``label`` is its name and the first 12 digits of its SHA-256."""

    spec: ModelSpec
    path: Path
    label: str


@dataclass(frozen=True)
class Setting:
    """What all rows of a boot have in common: the board file's words until the board has answered, then its own."""

    threads: int
    clock: str
    evidence: str
    via: str | None
    profile: str


@dataclass(frozen=True)
class Question:
    """A prompt for a model, with its right answer."""

    model: ModelFile
    tokens: int
    prompt: str
    n_predict: int
    context: int
    expected: Expected


@dataclass
class Session:
    """The board, and what this run knows of its state. Modes are prepared from that: whoever measures a mode finds
    nothing secure that it did not ask for, and protection as the mode has it."""

    board: BenchBoard
    recorder: Recorder
    setting: Setting
    deadline: Deadline
    bus: Bus
    limits: Limits = Limits()
    built: Mapping[Flavour, Mapping[str, str]] = field(default_factory=dict)
    """Identity of each part of the build that the report will name; a board that reports another is not measured."""
    facts: dict[Flavour, BoardFacts] = field(default_factory=dict)
    flavour: Flavour = "flex"
    boots: int = 0
    up: bool = False
    _remote: dict[tuple[Path, Mode], str] = field(default_factory=dict)
    _resident: dict[Path, None] = field(default_factory=dict)
    _protected: bool | None = None

    def within(self, seconds: float, what: str) -> Deadline:
        """A step's deadline; TimedOut when the whole has none left."""
        self.deadline.check()
        return self.deadline.within(seconds, what)

    @property
    def counter_hz(self) -> int:
        """Of the board's counter, in this boot."""
        return self.facts[self.flavour].counter_hz

    def stage(self, models: Iterable[ModelFile]) -> None:
        """Tell the board which models will come; on record. What it cannot take now is sent when it is needed."""
        paths = [model.path for model in models]
        with suppress(FlexError), self.bus.step("stage models"), self.recorder.attempt("model"):
            self.board.stage(paths, self.within(self.limits.transfer, "stage models"))

    def boot(self, flavour: Flavour) -> None:
        """Boot, on record; what the board says of itself becomes the setting of the rows."""
        self.flavour, self.up = flavour, False
        with self.bus.step("boot", flavour), self.recorder.attempt("boot", flavour=flavour):
            facts = self.board.boot(flavour, self.within(self.limits.boot, f"boot into {flavour}"))
            _same_build(self.built.get(flavour, {}), facts.identities)
        self.boots, self.up = self.boots + 1, True
        self.facts[flavour] = facts
        self.setting = replace(
            self.setting,
            clock=facts.clock,
            evidence=facts.evidence,
            via=facts.via,
            profile="debug" if facts.debug else self.setting.profile,
        )
        self._remote.clear()
        self._resident.clear()
        self._protected = None

    def cell(self, suite: str, **what: Any) -> Key:
        """A cell with this setting."""
        common = self.setting
        shared: Mapping[str, Any] = {
            "threads": common.threads,
            "via": common.via,
            "clock": common.clock,
            "evidence": common.evidence,
            "profile": common.profile,
        }
        return cell(suite, **(dict(shared) | what))

    def where(self, question: Question | None = None, variant: Variant | None = None, **more: Any) -> dict[str, Any]:
        """The fields of an attempt that say what was tried."""
        where: dict[str, Any] = {"flavour": self.flavour}
        if question:
            where |= {"model": question.model.label, "prompt_tokens": question.tokens}
        if variant:
            where |= {"mode": variant.mode, "cache": variant.cache, "page_cache": variant.page_cache}
        return where | more

    def remote(self, model: ModelFile, mode: Mode) -> str:
        """The model's name on the board in the form that the mode reads; the board gets it first if it does not have
        it in this boot."""
        form = (model.path, mode)
        if form not in self._remote:
            with self.bus.step("model", model.label), self.recorder.attempt("model", **self._of(model)):
                deadline = self.within(self.limits.transfer, f"send {model.label}")
                self._remote[form] = self.board.put_model(model.path, mode, deadline)
        return self._remote[form]

    def prepare(self, variant: Variant, question: Question | None) -> None:
        """Bring the board into the state in which this variant is measured."""
        if question:
            self.remote(question.model, variant.mode)
        if variant.mode == "stock":
            return
        warm = question.model.path if question and variant.cache not in (None, "cold") else None
        for path in [path for path in self._resident if path != warm]:
            self.board.forget(self._remote[path, "flexserve"], self.within(self.limits.command, "drop cached weights"))
            del self._resident[path]
        if warm is None:
            self._protect(variant.mode == "normal")
        elif warm not in self._resident and question:
            self.warm_up(question, replace(variant, cache="warm"))
        if question and isinstance(variant.cache, float):
            self._leave(question.model, variant.cache)

    def steps(self, kind: StepKind, count: int, batch: int) -> Spent:
        """Steps that the driver makes and times; protection goes on for them and lingers."""
        self._protected = None
        return self.board.measure(kind, count, batch, self.within(self.limits.program, f"time {count} steps ({kind})"))

    def recall(self, model: ModelFile, pages: int) -> RecallResult:
        """Take so many pages of a resident model's weights back, and nobody else's: working memory that waits for the
        next prompt would go first, and cost nothing to lose. FlexError when others came than were asked for."""
        path = self.remote(model, "flexserve")
        taken = self.board.recall(path, pages, self.within(self.limits.command, "recall weights"))
        if taken.pages != pages:
            raise FlexError(f"{taken.pages} pages of {model.label} came back, not {pages}")
        return taken

    def stats(self) -> Stats:
        """The driver's and the monitor's counters now."""
        return self.board.stats(self.within(self.limits.command, "read counters"))

    def warm_up(self, question: Question, variant: Variant) -> None:
        """An answer that is checked and not measured."""
        with self.recorder.attempt("warm-up", **self.where(question, variant)):
            question.expected.check(self.ask(question, variant))

    def ask(self, question: Question, variant: Variant) -> RunResult:
        """One prompt, unchecked."""
        request = self._request(question, variant)
        return self.board.run(request, self.within(self.limits.run, f"{variant.mode} run of {question.model.label}"))

    def beside(
        self, question: Question, variant: Variant, program: Program, period_seconds: float, phase_seconds: float
    ) -> BesideResult:
        """A program beside the same prompt again and again, its answers unchecked."""
        request, deadline = self._request(question, variant), self.within(self.limits.program, program.subject)
        return self.board.beside(request, program.argv, period_seconds, phase_seconds, deadline)

    def _request(self, question: Question, variant: Variant) -> RunRequest:
        """A prompt that is run now."""
        request = request_of(question, variant, self.remote(question.model, variant.mode), self.setting.threads)
        if variant.mode == "flexserve":
            self._resident[question.model.path] = None
            self._protected = None  # the first donation switches it on, the last release may switch it off
        elif variant.mode in ("strawman", "strawman-opt"):
            self._protected = None
        return request

    def _leave(self, model: ModelFile, share: float) -> None:
        """Take back so much of a resident model that only this share of it is left."""
        self.recall(model, round((1 - share) * model.path.stat().st_size / PAGE))

    def _protect(self, on: bool) -> None:
        if self._protected is not on:
            self.board.protect(on, self.within(self.limits.command, "switch protection"))
            self._protected = on

    def _of(self, model: ModelFile) -> dict[str, Any]:
        return {"flavour": self.flavour, "model": model.label}


def request_of(question: Question, variant: Variant, model: str, threads: int) -> RunRequest:
    """The prompt as a variant has it run; ``model``: its name on the board."""
    return RunRequest(
        mode=variant.mode,
        model=model,
        prompt=question.prompt,
        n_predict=question.n_predict,
        context=question.context,
        threads=threads,
        drop_page_cache=variant.page_cache == "dropped" and variant.pressure != "pagecache",
    )


def _same_build(built: Mapping[str, str], reported: Mapping[str, str]) -> None:
    for part, identity in reported.items():
        if built.get(part, identity) != identity:
            raise FlashError(f"the board runs {part} {identity[:12]}, the build has {built[part][:12]}")


def ms(ticks: int, counter_hz: int) -> float:
    """Ticks of the board's counter in milliseconds."""
    return ticks * 1000.0 / counter_hz


def share_left(model_bytes: int, taken_bytes: int) -> Cache:
    """The cached share of a model after so much of it was taken, to two places: a row's ``cache``."""
    if taken_bytes >= model_bytes:
        raise FlexError(f"{taken_bytes} bytes cannot be taken from a model of {model_bytes}")
    return round(1 - taken_bytes / model_bytes, 2)
