"""The page: well-formed, alone in the world, and honest about what is missing."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fake_run import bench, whole_report

from flexkit.report import html, view
from flexkit.report.charts import Named, chart, stack_chart
from flexkit.report.schema import Attempt, Key, Report, Result, Row

VOID = {"meta", "br"}


class Strict(HTMLParser):
    """Every element closed in order; text and attributes kept."""

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.text: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.stack, f"</{tag}> closes nothing"
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.stack:
            self.text.append(data)


def parsed(page: str) -> Strict:
    parser = Strict()
    parser.feed(page)
    parser.close()
    assert parser.stack == []
    return parser


def words_of(report: Report) -> str:
    return re.sub(r"\s+", " ", " ".join(parsed(html.render(report)).text))


@pytest.mark.parametrize("name", ["good", "many", "bad"])
def test_the_page_is_well_formed(name: str, request: pytest.FixtureRequest) -> None:
    parsed(html.render(request.getfixturevalue(name)))


@pytest.mark.parametrize("name", ["good", "bad"])
def test_the_page_loads_nothing(name: str, request: pytest.FixtureRequest) -> None:
    page = html.render(request.getfixturevalue(name))
    assert not re.search(r"https?:|//[a-z]|url\(|@import|<script|<link|<img|<iframe", page)
    for tag, attribute, value in parsed(page).attributes:
        assert attribute not in ("src", "srcset", "data", "action"), tag
        if attribute == "href":
            assert value is not None
            assert value.startswith("#")


def test_every_link_has_its_target(good: Report) -> None:
    attributes = parsed(html.render(good)).attributes
    targets = {value for _, name, value in attributes if name == "id"}
    links = {(value or "")[1:] for _, name, value in attributes if name == "href"}
    assert links <= targets
    assert len(links) > 8


def test_ids_are_unique(bad: Report) -> None:
    ids = [value for _, name, value in parsed(html.render(bad)).attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_the_verdict_says_what_ratios_n_and_validity(good: Report) -> None:
    text = words_of(good)
    assert "Suite “quick” on qemu-virt" in text
    assert "emulated by QEMU 10.0.2, 2 rounds, seed 1." in text
    assert f"Valid: all {len(good.rows)} rows." in text
    assert "the strawman took" in text
    assert "4 configurations, paired rounds, n = 2" in text
    assert "Every measured answer had the reference engine's tokens." in text
    assert "Missing: intervals, which need 5 rounds" in text
    assert "emulated-wall" in text
    assert " Valid " in text


def test_what_a_run_lacks_is_said_beside_its_verdict(bad: Report) -> None:
    lacking = sum(1 for row in bad.rows if not row.result.present or None in row.result.values)
    assert lacking > 0
    assert f"Missing: values of {lacking} rows, as the attempts say" in words_of(bad)


def test_charts_are_explained_in_every_suite(tmp_path: Path) -> None:
    page = html.render(whole_report(bench(tmp_path, suite="switch", rounds=2)))
    assert 'id="ttft"' not in page
    assert page.index('id="legend"') < page.index('id="switch"')


def test_an_invalid_report_says_so_first(bad: Report) -> None:
    text = words_of(bad)
    assert "Not valid" in text[: text.index("Time to first token")]
    assert "silent after BL31" in text
    assert "wrong tokens" in text
    assert "Every measured answer" not in text


def test_missing_values_are_words_not_bars(bad: Report) -> None:
    for drawn in view.answer_charts(bad, "ttft"):
        stock = next(bar for bar in drawn.bars if bar.label == "Stock Linux")
        assert stock.missing
        assert (stock.width, stock.dots, stock.value) == (0.0, (), "missing")
    page = html.render(bad)
    assert "not measured: not run: stock: silent after BL31" in page


def test_a_missing_round_is_not_drawn_as_zero() -> None:
    row = Row(Key("s", "ttft", "ms", "lower", mode="normal"), Result((10.0, None, 20.0), False, "lost"))
    (bar,) = chart("x", [Named("Normal", "", "normal", row)]).bars
    assert len(bar.dots) == 2
    assert min(bar.dots) > 0
    assert "missing" in bar.title
    assert bar.invalid == "lost"


def test_intervals_are_drawn_only_where_the_row_has_one(good: Report, many: Report) -> None:
    assert all(bar.interval is None for drawn in view.answer_charts(good, "ttft") for bar in drawn.bars)
    assert all(bar.interval is not None for drawn in view.answer_charts(many, "ttft") for bar in drawn.bars)
    assert html.render(good).count('class="whisker"') == 3  # the legend's own
    assert html.render(many).count('class="whisker"') > 100


def test_a_bar_is_as_long_as_its_figure() -> None:
    def named(value: float) -> Named:
        return Named("x", "", "normal", Row(Key("s", "ttft", "ms", "lower"), Result((value,), True)))

    drawn = chart("x", [named(100.0), named(25.0)])
    assert drawn.bars[0].width == pytest.approx(4 * drawn.bars[1].width, rel=1e-3)
    assert drawn.ticks[0].x == 0
    assert all(0 <= tick.x <= 100 for tick in drawn.ticks)


def test_stacked_parts_end_where_the_figure_does() -> None:
    key = Key("s", "ttft", "ms", "lower", mode="strawman")
    total = Named("Strawman", "", "strawman", Row(key, Result((100.0,), True)))
    parts = {
        name: Row(replace(key, metric=f"ttft.{name}"), Result((value,), True))
        for name, value in (("read", 60.0), ("prefill", 40.0))
    }
    (stack,) = stack_chart("x", [(total, parts)]).stacks
    whole = chart("x", [total]).bars[0].width
    read, prefill = stack.segments
    assert read.x == 0
    assert prefill.x == pytest.approx(read.width)
    assert prefill.x + prefill.width == pytest.approx(whole)
    assert "60 %" in read.title


def test_parts_that_a_mode_does_not_have_are_dashes(good: Report) -> None:
    rows = view.breakdown_table(good)
    normal = next(row for row in rows if row["label"].startswith("Normal"))
    assert normal["cells"][0] == ("–", "–")
    assert all(row["cells"][4][0] != "–" for row in rows)


def test_open_dma_and_debug_builds_are_flagged(good: Report) -> None:
    rows = tuple(Row(replace(r.key, profile="debug"), replace(r.result, valid=False, why="debug")) for r in good.rows)
    text = words_of(replace(good, board={**good.board, "dma_open": True}, rows=rows))
    assert "DMA open" in text
    assert "debug build" in text
    assert "DMA gated" in words_of(good)


def test_what_does_not_hold_yet_is_said(good: Report) -> None:
    text = words_of(good)
    assert "I6 partly" in text
    assert "I7 partly" in text
    assert all(f"I{number}" in text for number in range(1, 10))


def test_published_figures_stand_beside_ours_with_evidence(good: Report) -> None:
    text = words_of(good)
    assert text.count("10.05 on average") == 2  # beside the headline figure, and in the table
    assert "emulated-wall, clock wall" in text
    assert "Orange Pi 5 Plus" in text


def test_provenance_has_identities_sources_and_host(good: Report) -> None:
    text = words_of(good)
    for word in ("3fa9c204", "6.12.117-1", "known", "host cpu", "seed", "identities monitor"):
        assert word in text


def test_an_empty_report_can_be_shown() -> None:
    text = words_of(Report({}, {}, {}))
    assert "Nothing was measured." in text
    assert "Not valid" in text


def test_text_from_the_board_cannot_become_markup(good: Report) -> None:
    attempt = Attempt(0.0, 0.0, "boot", "failed", why="<script>alert(1)</script>")
    page = html.render(replace(good, attempts=(attempt,), board={"name": "<b>x</b>"}))
    assert "<script>" not in page
    assert "<b>x</b>" not in page
    assert "&lt;script&gt;" in page


def test_what_each_design_adds_is_drawn_without_the_compute(tmp_path: Path) -> None:
    report = whole_report(bench(tmp_path, suite="ttft", rounds=2, modes=["strawman", "strawman-opt", "flexserve"]))
    charts = view.other_charts(report)
    assert {segment.part for chart in charts for stack in chart.stacks for segment in stack.segments} == {
        "allocate", "read", "donate", "decrypt", "switch",
    }  # fmt: skip
    under_pressure = [chart.title for chart in charts if "memory" in chart.title]
    assert len(under_pressure) == 2 * 2
    assert "demo, 16-token prompt, memory fragmented" in under_pressure


def test_presence_has_a_chart_for_each_program(tmp_path: Path) -> None:
    report = whole_report(bench(tmp_path, suite="presence", rounds=5))
    charts = view.presence_charts(report)
    assert len(charts) == 7
    assert all(bar.interval is not None for chart in charts for bar in chart.bars)
    assert 'id="presence"' in html.render(report)
