"""Goals: their verdicts come out of a report's rows, and what is not measured is not claimed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest
from fake_run import bench, whole_report

from flexkit.report import goals, html
from flexkit.report.goals import Standing
from flexkit.report.schema import Report, Result


def standing(report: Report, what: str) -> Standing:
    (found,) = [each for each in goals.standings(report) if each.goal.what.startswith(what)]
    return found


def with_values(report: Report, metric: str, value: float, **fields: object) -> Report:
    """The report with another value in every row of a metric, and other key fields."""
    rows = tuple(
        replace(
            row,
            key=replace(row.key, **fields),  # type: ignore[arg-type]
            result=Result((value,) * len(row.result.values), valid=True),
        )
        if row.key.metric == metric
        else row
        for row in report.rows
    )
    return replace(report, rows=rows)


@pytest.fixture
def switch(tmp_path: Path) -> Report:
    return whole_report(bench(tmp_path, suite="switch", rounds=2))


@pytest.mark.parametrize(("value", "state"), [(150.0, "met"), (150.1, "not met")])
def test_a_goal_is_met_up_to_its_limit(switch: Report, value: float, state: str) -> None:
    report = with_values(switch, "switch.donate.own", value, clock="virtual")
    found = standing(report, "Donate a page")
    assert (found.state, found.limit) == (state, "at most 150\u202fns")
    assert [figure.value for figure in found.figures] == [value]
    assert len(found.missed) == (state == "not met")


def test_another_clock_than_the_goals_says_nothing(switch: Report) -> None:
    assert standing(with_values(switch, "switch.donate.own", 1.0), "Donate a page").state == "not measured"


def test_an_invalid_row_says_nothing(switch: Report) -> None:
    report = with_values(switch, "switch.donate.own", 1.0, clock="virtual")
    spoiled = tuple(replace(row, result=replace(row.result, valid=False, why="x")) for row in report.rows)
    assert standing(replace(report, rows=spoiled), "Donate a page").state == "not measured"


def test_what_is_only_to_be_reported_has_no_verdict(switch: Report) -> None:
    assert standing(switch, "Interrupts beside inference are late, the latest").state == "reported"


def on_silicon(report: Report) -> Report:
    """The same figures by a board's own clock."""
    ratios = tuple(
        replace(
            ratio,
            numerator=replace(ratio.numerator, clock="board"),
            denominator=replace(ratio.denominator, clock="board"),
        )
        for ratio in report.ratios
    )
    rows = tuple(replace(row, key=replace(row.key, clock="board")) for row in report.rows)
    return replace(report, rows=rows, ratios=ratios)


def test_the_wall_clock_of_an_emulator_decides_nothing_of_programs(tmp_path: Path) -> None:
    report = whole_report(bench(tmp_path, suite="slowdown", rounds=5))
    assert standing(report, "Programs beside FlexServe").state == "not measured"
    assert standing(report, "The same by an emulator's wall clock").state == "reported"


def test_the_interval_has_to_hold_where_there_is_one(tmp_path: Path) -> None:
    report = on_silicon(whole_report(bench(tmp_path, suite="slowdown", rounds=5)))
    found = standing(report, "Programs beside FlexServe")
    assert len(found.figures) == 7
    sides = [
        ratio for ratio in report.ratios if (ratio.numerator.mode, ratio.denominator.mode) == ("flexserve", "normal")
    ]
    ends = {ratio.ci95[1] for ratio in sides if ratio.ci95}
    assert {figure.bound for figure in found.figures} == ends
    assert all(figure.interval.startswith("to ") for figure in found.figures if figure.bound > figure.value)
    assert all(figure.why.count("/s") == 2 for figure in found.figures)
    assert found.state == ("met" if max(ends) <= 1.03 else "not met")


def test_a_goal_of_an_interval_is_undecided_without_one(tmp_path: Path) -> None:
    report = on_silicon(whole_report(bench(tmp_path, suite="slowdown", rounds=4)))
    found = standing(report, "Programs beside FlexServe")
    assert found.figures
    assert found.state == "too few rounds"


def test_what_bounds_a_missed_goal_is_told_from_the_breakdown(tmp_path: Path) -> None:
    report = whole_report(bench(tmp_path, suite="ttft", rounds=2))
    found = standing(report, "Time to first token beside its compute, weights cached, demo model")
    assert found.state == "not met"
    assert all(figure.why.startswith("most of it switch ") for figure in found.missed)
    pressed = standing(report, "Time to first token beside its compute, under memory pressure: sum of strawman")
    assert len(pressed.figures) == 3
    assert all(figure.why.startswith("most of it ") for figure in pressed.figures)
    half = standing(report, "Time to first token, half of the weights cached")
    assert len(half.figures) == 4
    parts = {
        (row.key.model, row.key.prompt_tokens, row.key.metric): row.result.present
        for row in report.rows
        if row.key.mode == "flexserve" and row.key.cache == 0.5
    }
    asked = [(model, prompt) for model, prompt, metric in parts if metric == "ttft"]
    expected = []
    for answer in asked:
        rounds = zip(*(parts[*answer, metric] for metric in ("ttft", "ttft.prefill", "ttft.decrypt")), strict=True)
        expected.append(median(whole / (compute + decrypt) for whole, compute, decrypt in rounds))
    assert sorted(figure.value for figure in half.figures) == pytest.approx(sorted(expected))


def test_the_page_shows_goals_with_their_verdicts_and_where_the_others_are_measured(switch: Report) -> None:
    page = html.render(switch)
    assert 'id="goals"' in page
    assert "by <code>--suite alloc -b qemu-virt-4g</code>" in page


def test_a_report_without_any_says_nothing_of_goals(switch: Report) -> None:
    assert 'id="goals"' not in html.render(replace(switch, rows=(), ratios=()))
