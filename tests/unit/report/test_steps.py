"""The sections on single steps and allocation."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_run import bench, whole_report

from flexkit.report import html, steps, tables
from flexkit.report.schema import Report


@pytest.fixture
def switch(tmp_path: Path) -> Report:
    return whole_report(bench(tmp_path, suite="switch", rounds=2))


@pytest.fixture
def alloc(tmp_path: Path) -> Report:
    return whole_report(bench(tmp_path, suite="alloc", rounds=2))


def test_calls_and_pages_have_a_chart_each(switch: Report) -> None:
    calls, pages, late, protection, stay = steps.switch_charts(switch)
    assert [bar.label for bar in protection.bars] == ["Turn on", "Turn off"]
    assert [bar.label for bar in stay.bars] == ["Longest"]
    assert {bar.note for bar in late.bars} == {
        "Normal: all interrupts", "FlexServe: all interrupts", "FlexServe: in the firmware",
    }  # fmt: skip
    assert [bar.label for bar in calls.bars] == ["Null call", "World switch", "Clear a page"]
    donated = [bar.note for bar in pages.bars if bar.label == "Donate a page"]
    assert donated == ["4\u202fKB at once", "256\u202fKB at once", "2\u202fMB at once"]


def test_steps_stand_over_a_null_call_and_a_cleared_page(switch: Report) -> None:
    pairs = {(ratio.numerator.metric, ratio.denominator.metric) for ratio in switch.ratios}
    assert ("switch.donate", "switch.smc") in pairs
    assert ("switch.recall", "switch.clear") in pairs
    names = {name for table in tables.ratio_tables(switch) for name, _ in table.rows}
    assert "Donating a page ÷ Null call" in names


def test_allocation_has_a_chart_for_each_pressure(alloc: Report) -> None:
    charts = steps.alloc_charts(alloc)
    assert [chart.title for chart in charts] == [
        "Memory is free", "Page cache fills memory", "Processes fill memory",
        "Half of what is asked for is fragmented", "Free memory is fragmented",
    ]  # fmt: skip
    assert {bar.label for bar in charts[0].bars} == {"Flex-Mem", "CMA", "Static region"}
    assert charts[0].bars[-1].note == "1\u202f024\u202fMB"


def test_cma_is_divided_by_flexmem_of_the_same_size_and_pressure(alloc: Report) -> None:
    found = [ratio for ratio in alloc.ratios if ratio.numerator.subject != ratio.denominator.subject]
    assert len(found) == 5 * 3
    for ratio in found:
        assert (ratio.numerator.subject, ratio.denominator.subject) == ("cma", "flexmem")
        assert ratio.numerator.size_bytes == ratio.denominator.size_bytes
        assert ratio.numerator.pressure == ratio.denominator.pressure
    (claim,) = [claim for claim in tables.beside(alloc) if "CMA" in claim.what]
    assert len(claim.ours) == 4


def test_the_page_has_both_sections(switch: Report, alloc: Report) -> None:
    assert 'id="switch"' in html.render(switch)
    assert 'id="alloc"' in html.render(alloc)
    assert 'id="alloc"' not in html.render(switch)
