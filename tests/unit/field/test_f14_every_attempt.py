"""F14: attempts were repeated until one succeeded, and only that one was reported; missing data was plotted as zero."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_bench import FakeBoard
from fake_run import bench, whole_report
from fake_site import BUILD, Site

from flexkit.bench.board import RunRequest, RunResult
from flexkit.deadline import Deadline
from flexkit.deployed import Ledger, make_plan
from flexkit.errors import FlashError, FlexError
from flexkit.events import Bus
from flexkit.flash import deploy
from flexkit.report import html, view

OTHER = "cd" * 16


def flaky(request: RunRequest, result: RunResult, number: int) -> RunResult:
    """Two of three answers of one mode never come."""
    if request.mode == "flexserve" and number % 3:
        raise FlexError("the secure world span")
    return result


def by_the_record(values: list[float | None]) -> list[float]:
    """What the record's scripts made of it: only successes counted, and gaps drawn as nothing, which is zero."""
    assert any(value is not None for value in values), "they tried until one came"
    return [value or 0.0 for value in values]


@pytest.mark.field("F14")
def test_every_attempt_is_reported_and_what_is_missing_is_missing(tmp_path: Path) -> None:
    made = bench(tmp_path, FakeBoard(spoil=flaky), "ttft", rounds=3, modes=["normal", "flexserve"])
    report = whole_report(made)
    holes = [row for row in report.rows if row.key.metric == "ttft" and None in row.result.values]
    assert holes
    assert 0.0 in by_the_record(list(holes[0].result.values)), "a time to first token of nothing at all"

    failed = [attempt for attempt in report.attempts if attempt.outcome == "failed"]
    assert len(failed) >= len([value for row in holes for value in row.result.values if value is None])
    assert {attempt.why for attempt in failed} == {"the secure world span"}
    assert all(not row.result.valid and "span" in (row.result.why or "") for row in holes)
    assert all(value is None or value > 0 for row in holes for value in row.result.values)
    for chart in view.answer_charts(report, "ttft"):
        for bar in chart.bars:
            assert bar.missing or min(bar.dots) > 0
    assert "the secure world span" in html.render(report)


@pytest.mark.field("F14")
def test_a_try_that_failed_is_not_made_again_in_its_round(tmp_path: Path) -> None:
    made = bench(tmp_path, FakeBoard(spoil=flaky), "ttft", rounds=3, modes=["flexserve"])
    rows = [row for row in made.measure().rows if row.key.metric == "ttft" and row.key.cache == "cold"]
    assert rows
    tried = [each for each in made.runner.session.recorder.attempts if each.stage == "measure" and each.cache == "cold"]
    assert len(tried) == 3 * len(rows), "one try a round, whatever came of it"


@pytest.mark.field("F14")
def test_a_flash_that_failed_is_entered_with_its_reason(site: Site) -> None:
    images = site.images(OTHER)
    images["fip"].path.write_bytes(b"something else")
    plan = make_plan(site.instance.type, OTHER, "flex", images, {})
    diary: list[str] = []  # a script that enters what succeeded
    for attempt in range(3):
        if attempt == 2:
            images["fip"].path.write_bytes(f"{OTHER} fip".encode())
        try:
            deploy(site.instance, plan, {}, "release", Bus(), Deadline(300, "flash"))
            diary.append("flashed")
        except FlashError:
            continue
    assert diary == ["flashed"], "as if nothing had ever failed"

    first, *tries = Ledger("qemu-virt").entries()
    assert first.identity == BUILD
    assert [entry.good for entry in tries] == [False, False, True]
    assert all("is not what was built" in entry.detail["failed"] for entry in tries[:2])


@pytest.mark.field("F14")
def test_after_a_flash_that_failed_nobody_takes_the_board_for_flashed(site: Site) -> None:
    images = site.images(OTHER)
    images["fip"].path.write_bytes(b"something else")
    plan = make_plan(site.instance.type, OTHER, "flex", images, {})
    with pytest.raises(FlashError):
        deploy(site.instance, plan, {}, "release", Bus(), Deadline(300, "flash"))
    assert Ledger("qemu-virt").current("flex") is None
