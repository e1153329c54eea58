"""The virtual clock: two runs of one build give the same rows to the digit, and say what they are."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from flexkit import boards, paths
from flexkit.bench import reference
from flexkit.bench.linked import open_bench_board
from flexkit.bench.probes import SWITCH
from flexkit.bench.record import Recorder
from flexkit.bench.runner import Measured
from flexkit.bench.session import Session, Setting
from flexkit.bench.suites import DEMO, Suite, find
from flexkit.bench.virtual import VirtualRunner, virtual
from flexkit.boards.lab import Instance
from flexkit.build.manifest import Manifest
from flexkit.cli.main import run
from flexkit.deadline import Deadline
from flexkit.errors import BadInput
from flexkit.events import Bus
from flexkit.report.compare import compare
from flexkit.report.reading import load

LIMIT_SECONDS = 240.0


def small() -> Suite:
    """Every step, what the monitor counts, the demo model in the modes that exist there, and a program beside it."""
    generation = find("ttft").generation
    assert generation is not None
    (launch,) = (spec for spec in find("slowdown").slowdown if spec.program.subject == "program launch")
    few = replace(launch, program=replace(launch.program, counted=("sh", "-c", "sqlite3 -version; sqlite3 -version")))
    beside = virtual(Suite("beside", "", 2, slowdown=(few,))).slowdown
    suite = Suite("small", "", 2, replace(generation, models=(DEMO,), prompts=(16,)), probes=SWITCH, counters=True)
    return replace(virtual(suite), slowdown=tuple(replace(spec, period_seconds=0.002) for spec in beside))


def measure(instance: Instance, suite: Suite) -> Measured:
    limit = Deadline(LIMIT_SECONDS, "virtual clock")
    setting = Setting(2, "virtual", "emulated-virtual", "memory", "release")
    with closing(open_bench_board(instance, Bus(), limit)) as board:
        session = Session(board, Recorder(suite.rounds), setting, limit, Bus())
        models = reference.model_files(suite.models, Bus())
        runner = VirtualRunner(suite, session, models, reference.oracle(), reference.prompt_of, 1)
        return runner.run_batch(board)


def test_two_runs_of_one_build_are_the_same_to_the_digit(instance: Instance) -> None:
    first, second = measure(instance, small()), measure(instance, small())
    assert [attempt.why for attempt in first.attempts if attempt.outcome != "ok"] == []
    assert all(row.result.valid and len(row.result.present) == 2 for row in first.rows)
    measured = {row.key.metric for row in first.rows}
    assert measured >= {"ttft", "tpot", "switch.smc", "switch.donate", "switch.recall", "protect.on", "el3.longest"}
    assert measured >= {"slowdown", "slowdown.alone", "achieved_rate"}
    assert all(value > 0 for row in first.rows if row.key.metric == "achieved_rate" for value in row.result.present)
    assert {(row.key.clock, row.key.evidence) for row in first.rows} == {("virtual", "emulated-virtual")}
    assert first.rows == second.rows


def test_it_is_never_compared_with_the_wall(
    instance: Instance, manifests: dict[str, Manifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "reports", lambda: tmp_path / "reports")
    monkeypatch.setattr(boards, "resolve", lambda *_: instance)
    assert run(["bench", "--suite", "switch", "--clock", "virtual", "-o", str(tmp_path / "out")]) == 0
    made = load(tmp_path / "out")
    assert made.build["identity"] == manifests["flex"].identity
    wall = replace(made, rows=tuple(replace(row, key=replace(row.key, clock="wall")) for row in made.rows))
    with pytest.raises(BadInput, match=r"no row in common: .*virtual clock.*wall clock"):
        compare(made, wall, 1.0)
