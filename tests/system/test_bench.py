"""The benchmark on the real board: a run that is valid, and one in which the emulator is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flexkit import boards, paths
from flexkit.bench.linked import LinkBoard
from flexkit.boards.lab import Instance
from flexkit.cli.main import run
from flexkit.drivers.qemu import PROGRAM
from flexkit.report.reading import load


@pytest.fixture(autouse=True)
def site(instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The command on the tests' own board, its reports apart."""
    monkeypatch.setattr(paths, "reports", lambda: tmp_path / "reports")
    monkeypatch.setattr(boards, "resolve", lambda *_: instance)
    yield
    assert emulators() == []


def emulators() -> list[int]:
    """Children of this process that emulate a board."""
    children = [int(word) for task in Path("/proc/self/task").iterdir() for word in _read(task / "children").split()]
    return [child for child in children if _read(Path(f"/proc/{child}/comm")).strip() == PROGRAM[:15]]


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def test_steps_are_measured_on_the_board(tmp_path: Path) -> None:
    assert run(["bench", "--suite", "switch", "--rounds", "1", "-o", str(tmp_path / "out")]) == 0
    made = load(tmp_path / "out")
    by_metric = {row.key.metric: row.result.present[0] for row in made.rows}
    assert made.valid
    assert 0 < by_metric["switch.smc"] < by_metric["switch.world"]


def test_an_emulator_that_is_killed_ends_in_one_error_and_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Any] = []
    real_measure = LinkBoard.measure

    def measure(board: LinkBoard, *args: Any) -> Any:
        asked.append(args)
        if len(asked) == 3:
            for child in emulators():
                os.kill(child, signal.SIGKILL)
        return real_measure(board, *args)

    monkeypatch.setattr(LinkBoard, "measure", measure)
    assert run(["bench", "--suite", "switch", "--rounds", "1", "-o", str(tmp_path / "out")]) == 6
    said = capsys.readouterr().err
    assert said.count("error:") == 1
    assert "the emulator ended with status -9" in said
    made = load(tmp_path / "out")
    boots = [attempt for attempt in made.attempts if attempt.stage == "boot"]
    assert len(boots) == 2  # it was started once more, for what was left
    failed = [attempt for attempt in made.attempts if attempt.outcome == "failed"]
    assert len(failed) == 1
    assert any(row.result.valid for row in made.rows)
    assert not made.valid
