"""``flexkit report`` as scripts see it: exit codes, and one line of JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from flexkit import paths
from flexkit.cli.main import run
from flexkit.report import store
from flexkit.report.reading import load
from flexkit.report.schema import Report, Result


@pytest.fixture
def kept(good: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "reports", lambda: tmp_path / "reports")
    return store.keep(good)


def last_line(capsys: pytest.CaptureFixture[str]) -> object:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_show_takes_the_latest(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", "show"]) == 0
    out = capsys.readouterr().out
    assert "the strawman took" in out
    assert "Strawman, from disk ÷ FlexServe, warm" in out
    assert "not met        Time to first token beside its compute, weights cached, demo model: at most 1.00" in out
    assert "not valid" not in out


def test_show_lists_what_is_not_valid(bad: Report, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad.write(tmp_path / "report.json")
    assert run(["report", "show", str(tmp_path)]) == 0
    assert "silent after BL31" in capsys.readouterr().out


def test_show_as_json_is_the_report(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", "show", "--json", str(kept)]) == 0
    shown = last_line(capsys)
    assert isinstance(shown, dict)
    assert shown["schema"] == "flexkit.report/1"
    assert shown["valid"] is True


def test_show_can_write_the_page(kept: Path, tmp_path: Path) -> None:
    assert run(["report", "show", "--html", str(tmp_path / "page.html")]) == 0
    assert (tmp_path / "page.html").read_text() == (kept / "index.html").read_text()


def test_no_report_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", "show", str(tmp_path / "nothing")]) == 2
    assert "No such file" in capsys.readouterr().err


def test_compare_of_equals(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", "compare", str(kept), str(kept), "--fail-on", "0"]) == 0
    assert f"{len(load(kept).rows)} same" in capsys.readouterr().out


def test_compare_fails_on_a_row_that_became_invalid(kept: Path, good: Report, tmp_path: Path) -> None:
    first, *rest = good.rows
    worse = replace(good, rows=(replace(first, result=Result((), False, "lost")), *rest))
    worse.write(tmp_path / "b.json")
    assert run(["report", "compare", str(kept), str(tmp_path / "b.json")]) == 1


def test_compare_fails_on_a_regression(
    kept: Path, many: Report, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slower = tuple(
        replace(row, result=Result(tuple(2 * v for v in row.result.present), True)) if row.key.metric == "ttft" else row
        for row in many.rows
    )
    many.write(tmp_path / "a.json")
    replace(many, rows=slower).write(tmp_path / "b.json")
    assert (
        run(["report", "compare", str(tmp_path / "a.json"), str(tmp_path / "b.json"), "--fail-on", "10", "--json"]) == 1
    )
    result = last_line(capsys)
    assert isinstance(result, dict)
    assert result["failed"] == sum(1 for row in many.rows if row.key.metric == "ttft")


def test_history_lists_runs_and_follows_a_metric(kept: Path, many: Report, capsys: pytest.CaptureFixture[str]) -> None:
    store.keep(many)
    assert run(["report", "history"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert run(["report", "history", "--metric", "ttft", "--mode", "strawman", "--json"]) == 0
    result = last_line(capsys)
    assert isinstance(result, dict)
    assert [line["n"] for line in result["lines"]] == [2] * 4 + [6] * 4


def test_history_without_runs_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(paths, "reports", lambda: tmp_path)
    assert run(["report", "history", "--json"]) == 0
    assert last_line(capsys) == {"runs": []}
