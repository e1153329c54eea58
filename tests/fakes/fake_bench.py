"""A board for the benchmark's tests: it answers by a rule instead of by computing, keeps its own time, obeys the
protocol strictly (misuse raises AssertionError) and fails where a test tells it to."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flexkit.bench.board import (
    BesideResult,
    BoardFacts,
    ExecResult,
    FaultResult,
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
from flexkit.deadline import Deadline
from flexkit.errors import FlexError

HZ = 62_500_000
LATENESS = "".join(
    f"cpu{core}_{who}_{name}: {value + core}\n"
    for core in (0, 1)
    for who in ("all", "secure")
    for name, value in (("samples", 100), ("p50", 20_000), ("p999", 180_000), ("max", 240_000))
)
PAGE = 4096


def answer(model: str, prompt: str, n: int) -> tuple[int, ...]:
    """The rule: what a model says to a prompt."""
    digest = hashlib.sha256(f"{model}|{prompt}".encode()).digest()
    return tuple(digest[i % 32] for i in range(n))


def ids(prompt: str) -> tuple[int, ...]:
    """One token a word."""
    return tuple(len(word) for word in prompt.split())


def prompt_of(model: Path, tokens: int) -> str:
    return " ".join("once" for _ in range(tokens))


class FakeOracle:
    def expect(self, model: Path, prompt: str, n: int, context: int) -> Expected:
        assert len(ids(prompt)) + n <= context
        return Expected(ids(prompt), answer(model.name, prompt, n), "host-scalar")


@dataclass
class FakeBoard:
    """``spoil`` may change a result or raise instead; ``refuse_boot`` names flavours that do not come up."""

    spoil: Callable[[RunRequest, RunResult, int], RunResult] = lambda request, result, number: result
    refuse_boot: tuple[Flavour, ...] = ()
    refuse_program: bool = False
    refuse_steps: bool = False
    debug: bool = False
    recalled_share: float = 1.0
    now: float = 1000.0
    log: list[str] = field(default_factory=list)
    boots: int = 0
    runs: int = 0
    flavour: Flavour | None = None
    files: dict[str, int] = field(default_factory=dict)
    resident: dict[str, int] = field(default_factory=dict)
    protected: bool = False
    held: int = 0
    closed: bool = False
    scrubbed: int = 0
    _random: random.Random = field(default_factory=lambda: random.Random(7))

    # time

    def clock(self) -> float:
        return self.now

    def _spend(self, seconds: float) -> int:
        self.now += seconds
        return round(seconds * HZ)

    # BenchBoard

    def stage(self, models: Sequence[Path], deadline: Deadline) -> None:
        assert self.flavour is None
        self.log.append("stage")

    def boot(self, flavour: Flavour, deadline: Deadline) -> BoardFacts:
        deadline.check()
        self.log.append(f"boot {flavour}")
        self._spend(4.0)
        if flavour in self.refuse_boot:
            raise FlexError(f"{flavour}: silent after BL31")
        self.boots, self.flavour, self.protected, self.held = self.boots + 1, flavour, False, 0
        self.resident.clear()
        return BoardFacts(
            name="qemu-virt",
            type="qemu-virt",
            evidence="emulated-wall",
            clock="wall",
            via="ssh",
            counter_hz=HZ,
            cores=2,
            dma_open=False,
            identities={"monitor": "5f" * 16, "payload": "a7" * 16} if flavour == "flex" else {},
            debug=self.debug,
            kernel="Linux flexkit 6.12.117 aarch64",
            emulator="QEMU emulator version 10.0.2 (Debian 1:10.0.2)",
            boot_seconds=4.0,
        )

    def put_model(self, path: Path, mode: Mode, deadline: Deadline) -> str:
        del mode
        self.files[path.name] = path.stat().st_size
        self._spend(0.5)
        return path.name

    def run(self, request: RunRequest, deadline: Deadline) -> RunResult:
        deadline.check()
        assert (request.mode == "stock") == (self.flavour == "stock")
        assert request.mode != "normal-idle" or not (self.protected or self.resident)
        assert request.mode != "normal" or self.protected
        self.runs += 1
        self.log.append(f"run {request.mode} {request.model} {len(ids(request.prompt))}")
        result = self._answered(request)
        return self.spoil(request, result, self.runs)

    def _answered(self, request: RunRequest) -> RunResult:
        size = self.files[request.model]
        exposed = {part: round(s * HZ) for part, s in self._parts(request, size).items()}
        tokens = answer(request.model, request.prompt, request.n_predict)
        begin = round(self.now * HZ)
        first = begin + sum(exposed.values())
        gap = round(size / 600e6 * self._noise() * HZ)
        ticks = tuple(first + i * gap for i in range(len(tokens)))
        self.now = ticks[-1] / HZ
        busy = {part: round(1.1 * value) for part, value in exposed.items()}
        return RunResult(
            ids(request.prompt), tokens, "length", begin, first, ticks[-1], ticks, exposed, busy, 40, size // PAGE
        )

    def _parts(self, request: RunRequest, size: int) -> dict[str, float]:
        prefill = len(ids(request.prompt)) * size / 1.1e9 * self._noise()
        read = size / 200e6 * self._noise()
        if request.mode == "flexserve":
            missing = max(0, size - self.resident.get(request.model, 0))
            self.resident[request.model] = size
            self.protected = True
            share = missing / size
            return {"allocate": 0.004 * share, "read": read * share, "donate": 0.02 * share, "decrypt": 0.03 * share,
                    "prefill": prefill * 1.03, "switch": 0.003}  # fmt: skip
        if request.mode == "strawman":
            allocate = 0.12 * size / 27e6
            return {"allocate": allocate, "read": read, "donate": 0.006, "prefill": prefill * 1.02, "switch": 0.004}
        return {"read": read if request.drop_page_cache else 0.01, "prefill": prefill}

    def _noise(self) -> float:
        return self._random.uniform(0.96, 1.06)

    def forget(self, model: str, deadline: Deadline) -> None:
        assert model in self.resident
        del self.resident[model]

    def protect(self, on: bool, deadline: Deadline) -> None:
        assert on or not self.resident
        self.protected = on

    def recall(self, model: str, pages: int, deadline: Deadline) -> RecallResult:
        self.resident[model] -= pages * PAGE
        self.scrubbed += round(pages * 0.4e-6 * HZ)
        return RecallResult(pages, self._spend(pages * 0.9e-6), round(pages * 1.1e-6 * HZ))

    def drop_cached(self, path: str, size_bytes: int, deadline: Deadline) -> int:
        assert size_bytes <= self.files[path]
        return self._spend(size_bytes / PAGE * 0.5e-6)

    def hold(self, leave_bytes: int, deadline: Deadline) -> int:
        assert not self.held
        self.held = 1 << 30
        self._spend(1.0)
        return self.held

    def fault_in(
        self, size_bytes: int, deadline: Deadline, *, until_recalled: int = 0, page_cache: bool = False
    ) -> FaultResult:
        base = size_bytes / PAGE * 2.4e-6 * self._noise()
        if not self.held:
            return FaultResult(size_bytes, self._spend(base), 0)
        if page_cache:
            return FaultResult(size_bytes, self._spend(1.4 * base), until_recalled)
        model = next(iter(self.resident))
        pages = int(until_recalled * self.recalled_share)
        self.resident[model] -= pages * PAGE
        return FaultResult(size_bytes, self._spend(base + pages * 1.5e-6), pages)

    def fragment(self, leave_bytes: int, deadline: Deadline) -> int:
        return self.hold(leave_bytes, deadline)

    def measure(self, kind: StepKind, count: int, batch: int, deadline: Deadline) -> Spent:
        assert not self.resident
        if self.refuse_steps:
            raise FlexError("measure pages: Cannot allocate memory")
        self.protected = True
        ticks = self._spend(count * 2e-6)
        self.scrubbed += ticks // 6 if kind == "pages" else 0
        return Spent(ticks, ticks // 4, ticks // 2, ticks // 3, ticks // 9)

    def let_go(self, deadline: Deadline) -> None:
        self.held = 0

    def stats(self, deadline: Deadline) -> Stats:
        counted = {"protect_on_ticks": 62_500, "protect_off_ticks": 31_250, "scrub_ticks": self.scrubbed}
        extra = {f"monitor.{name}": ticks for name, ticks in counted.items()}
        return Stats(el3_max_ticks=5200, el3_max_call=3, extra=extra)

    def execute(self, argv: Sequence[str], deadline: Deadline) -> ExecResult:
        self.log.append(f"execute {argv[0]}")
        if self.refuse_program:
            return ExecResult(127, "", f"{argv[0]}: not found", 100)
        said = LATENESS if "latency" in argv[-1] else ""
        return ExecResult(0, said, "", self._spend(2.0 * self._noise()))

    def beside(
        self, request: RunRequest, argv: Sequence[str], period_seconds: float, phase_seconds: float, deadline: Deadline
    ) -> BesideResult:
        assert 0 <= phase_seconds < period_seconds
        begin, answers = self.now, []
        while (due := begin + phase_seconds + len(answers) * period_seconds) < begin + 3.1:
            self.now = max(self.now, due)
            answers.append(self.run(request, deadline).tokens)
        self.now = max(self.now, begin + 3.1)
        program = ExecResult(0, "", "", round(3.1 * self._noise() * HZ))
        return BesideResult(program, tuple(answers), round((self.now - begin) * HZ))

    def close(self) -> None:
        self.closed = True
