"""Reports made by the real runner on the fake board, one for each thing that a page has to show."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fake_bench import FakeBoard
from fake_run import bench, whole_report

from flexkit.bench.board import RunRequest, RunResult
from flexkit.report.schema import Report


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Everything right, in two rounds."""
    return whole_report(bench(tmp_path_factory.mktemp("good")))


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Enough rounds for intervals."""
    return whole_report(bench(tmp_path_factory.mktemp("many"), rounds=6))


@pytest.fixture(scope="session")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The stock kernel does not boot, and some of the strawman's answers are garbage."""
    return whole_report(bench(tmp_path_factory.mktemp("bad"), FakeBoard(spoil=_garbage, refuse_boot=("stock",))))


@pytest.fixture
def saved(good: Report, tmp_path: Path) -> Path:
    good.write(tmp_path / "report.json")
    return tmp_path / "report.json"


def _garbage(request: RunRequest, result: RunResult, number: int) -> RunResult:
    if request.mode == "strawman" and number % 3 == 0:
        return replace(result, tokens=(*result.tokens[:-1], 999))
    return result
