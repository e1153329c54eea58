"""``flexkit bench`` as scripts see it, on the fake board: exit codes, reports, and a board that is always let go."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from fake_bench import FakeBoard, FakeOracle, prompt_of
from fake_run import SIZES

from flexkit import build, paths
from flexkit.bench import reference
from flexkit.bench.board import RunRequest, RunResult
from flexkit.bench.session import ModelFile
from flexkit.cli import bench as command
from flexkit.cli.main import run
from flexkit.errors import BoardLost, Busy
from flexkit.report.reading import load


@dataclass
class Site:
    """Where the command's surroundings are the test's own."""

    board: FakeBoard
    reports: Path


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    here = Site(FakeBoard(), tmp_path / "reports")

    def model_files(specs: Any, bus: Any) -> dict[Any, ModelFile]:
        files = {}
        for spec in specs:
            path = tmp_path / f"{spec.name}.gguf"
            with path.open("wb") as file:
                file.truncate(SIZES[spec.name])
            files[spec] = ModelFile(spec, path, f"{spec.name}@0123456789ab")
        return files

    def built(board: Any, **options: Any) -> build.Manifest:
        return build.Manifest(
            "ab" * 16, board.name, options["flavour"], "release", {"kernel": "cd" * 16}, {}, {}, {}, [], {}
        )

    monkeypatch.setattr(paths, "reports", lambda: here.reports)
    monkeypatch.setattr(reference, "model_files", model_files)
    monkeypatch.setattr(reference, "oracle", FakeOracle)
    monkeypatch.setattr(reference, "prompt_of", prompt_of)
    monkeypatch.setattr(build, "run", built)
    monkeypatch.setattr(command, "open_bench_board", lambda *_: here.board)
    return here


def test_a_run_leaves_a_report_and_lets_the_board_go(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "--suite", "ttft", "--rounds", "1", "--json"]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["valid"] is True
    assert load(site.reports / "latest").valid
    assert Path(said["page"]).is_file()
    assert site.board.closed


def test_output_goes_where_it_is_asked_for(site: Site, tmp_path: Path) -> None:
    assert run(["bench", "--suite", "reclaim", "--rounds", "1", "-o", str(tmp_path / "out")]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["index.html", "report.json"]
    assert len(list((site.reports / "runs").iterdir())) == 1


def test_figures_are_told_as_they_come(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    run(["bench", "--suite", "ttft", "--rounds", "1", "--mode", "flexserve"])
    captured = capsys.readouterr()
    assert "round 1: flexserve cold, demo, 16 tokens: first after" in captured.err
    assert "Suite “ttft”" in captured.out


def test_an_invalid_run_exits_with_1_and_is_reported(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    def spoil(request: RunRequest, result: RunResult, number: int) -> RunResult:
        return replace(result, tokens=result.tokens[::-1])

    site.board.spoil = spoil
    assert run(["bench", "--suite", "ttft", "--rounds", "1"]) == 1
    assert "not valid" in capsys.readouterr().err
    assert not load(site.reports / "latest").valid


@pytest.mark.parametrize(
    "arguments",
    [
        ["--suite", "everything"],
        ["--mode", "magic"],
        ["--suite", "reclaim", "--mode", "stock"],
        ["--suite", "reclaim", "--clock", "virtual"],
        ["--rounds", "0"],
        ["-b", "no-such-board"],
    ],
)
def test_what_cannot_be_asked_for_is_bad_input(site: Site, arguments: list[str]) -> None:
    assert run(["bench", *arguments]) == 2
    assert not site.reports.exists()


def test_a_board_in_use_is_busy(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: Any) -> FakeBoard:
        raise Busy("qemu-virt is held by somebody else")

    monkeypatch.setattr(command, "open_bench_board", busy)
    assert run(["bench", "--suite", "ttft"]) == 8


def test_a_board_that_is_lost_exits_with_6_and_is_reported(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    def spoil(request: RunRequest, result: RunResult, number: int) -> RunResult:
        if number == 12:
            raise BoardLost("qemu-virt: the emulator ended with status -9")
        return result

    site.board.spoil = spoil
    assert run(["bench", "--suite", "ttft", "--rounds", "1"]) == 6
    assert "the emulator ended with status -9" in capsys.readouterr().err
    assert not load(site.reports / "latest").valid
    assert site.board.closed


@pytest.mark.parametrize(("stop", "code"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143)])
def test_what_was_measured_before_an_interruption_is_kept(site: Site, stop: BaseException, code: int) -> None:
    def spoil(request: RunRequest, result: RunResult, number: int) -> RunResult:
        if number == 12:
            raise stop
        return result

    site.board.spoil = spoil
    try:
        ended = run(["bench", "--suite", "ttft", "--rounds", "1"])
    except SystemExit as error:
        ended = int(str(error.code))
    assert ended == code
    made = load(site.reports / "latest")
    assert not made.valid
    assert any(row.result.valid for row in made.rows)
    assert {attempt.why for attempt in made.attempts if attempt.outcome == "not run"} == {"interrupted"}
    assert site.board.closed


def test_the_report_names_build_board_and_models(site: Site) -> None:
    run(["bench", "--suite", "ttft", "--rounds", "1"])
    made = load(site.reports / "latest")
    assert made.build["identity"] == "ab" * 16
    assert made.board["name"] == "qemu-virt"
    assert made.board["dma_open"] is False
    assert made.run["models"] == ["demo@0123456789ab", "synth-25M@0123456789ab"]
    assert made.run["longest_stay_in_el3_us"] == pytest.approx(5200 / 62.5)
    assert made.run["boot_to_prompt_seconds"] == {"flex": 4.0, "stock": 4.0}
    assert made.run["first_figure_after_seconds"] >= 0
    assert made.run["duration_seconds"] >= 0
    assert [hold["name"] for hold in made.holds] == [f"I{number}" for number in range(1, 10)]
    assert str(paths.project()) not in (site.reports / "latest" / "report.json").read_text()
