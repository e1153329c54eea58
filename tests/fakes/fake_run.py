"""Whole runs of the real runner against the fake board, for tests of what comes after it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from fake_bench import FakeBoard, FakeOracle, prompt_of

from flexkit import boards
from flexkit.bench.assemble import Built, Run, report
from flexkit.bench.record import Recorder
from flexkit.bench.runner import Measured, Runner
from flexkit.bench.session import ModelFile, Session, Setting
from flexkit.bench.suites import Suite, find
from flexkit.deadline import Deadline
from flexkit.events import Bus
from flexkit.report.schema import Report

SIZES = {"demo": 1_400_000, "synth-25M": 27_000_000, "synth-100M": 106_000_000}
"""By the name's first two words; quantised models are taken to be as large."""
SETTING = Setting(threads=2, clock="wall", evidence="emulated-wall", via=None, profile="release")


@dataclass
class Bench:
    """A suite, a board, and the report that comes of them."""

    runner: Runner
    board: FakeBoard

    def measure(self) -> Measured:
        return self.runner.run()


def bench(
    folder: Path,
    board: FakeBoard | None = None,
    suite: str | Suite = "quick",
    *,
    rounds: int | None = None,
    modes: Sequence[str] = (),
    seconds: float = 1e6,
    seed: int = 1,
) -> Bench:
    """The real runner on a fake board, with model files of the right size that hold nothing."""
    board = board or FakeBoard()
    memory = boards.load("qemu-virt").memory
    chosen = (find(suite) if isinstance(suite, str) else suite).only(modes).fitting(memory.dram_size, memory.cma_bytes)
    if rounds:
        chosen = replace(chosen, rounds=rounds)
    models = {}
    for spec in chosen.models:
        path = folder / f"{spec.name}.gguf"
        with path.open("wb") as file:
            file.truncate(SIZES["-".join(spec.name.split("-")[:2])])
        models[spec] = ModelFile(spec, path, f"{spec.name}@{hashlib.sha256(spec.name.encode()).hexdigest()[:12]}")
    session = Session(
        board=board,
        recorder=Recorder(chosen.rounds, board.clock),
        setting=SETTING,
        deadline=Deadline(seconds, "bench", board.clock),
        bus=Bus(),
    )
    return Bench(Runner(chosen, session, models, FakeOracle(), prompt_of, seed), board)


def whole_report(made: Bench) -> Report:
    """Measure, and assemble the report as the command does."""
    measured = made.measure()
    parts = {name: hashlib.sha256(name.encode()).hexdigest()[:32] for name in ("monitor", "payload", "kernel", "agent")}
    flex = Built("3fa9c204" * 4, "release", parts, {"linux": {"version": "6.12.117-1", "label": "known"}})
    stock = Built("77aa1b02" * 4, "release", {"kernel": parts["kernel"]}, {})
    start = datetime(2026, 11, 20, 11, 20, tzinfo=UTC)
    run = Run(made.runner.suite, 1, 2, start, start.replace(minute=23), tuple(made.runner.models.values()))
    builds = {"flex": flex, "stock": stock}
    return report(run, measured, builds, boards.resolve("qemu-virt", None), {"monitor": 1712, "payload engine": 2210})
