"""The charts of the page, made from a report, as the template draws them; and the order in which things stand there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from flexkit.report import stats, words
from flexkit.report.charts import Chart, Named, StackChart, chart, stack_chart
from flexkit.report.schema import Key, Report, Row

PARTS = ("allocate", "read", "donate", "decrypt", "prefill", "switch")
_MODE_ORDER = tuple(words.MODE_NAMES)
_CACHE_ORDER = {"cold": 0, "warm": 2}
_WITHOUT_SECURE = {
    "reclaim.pagecache": ("From page cache", "nothing secure"),
    "reclaim.baseline": ("From free memory", "nothing secure"),
}
_COSTS = {
    "reclaim.cost": ("Secure memory", "in one call", "flexserve"),
    "reclaim.cost.alone": ("Secure memory", "scrubbing apart", "flexserve"),
    "reclaim.drop": ("Page cache", "in one call", "normal-idle"),
}
_RECLAIM_LATENCIES = ("reclaim.latency", *_WITHOUT_SECURE)
G = TypeVar("G")
_PRESSURE_WORDS = {
    "anon": ("Taken by a process", "that needs the memory"),
    "idle": ("Asked of the driver", "calls alone"),
}


def answer_charts(report: Report, metric: str) -> list[Chart]:
    """One chart for each model and prompt, its modes in a fixed order."""
    return [chart(place, rows) for place, rows in _by_place(report, metric)]


def breakdown_charts(report: Report) -> list[StackChart]:
    """The parts of the time to first token."""
    return _stack_charts(report, "ttft", PARTS)


def other_charts(report: Report) -> list[StackChart]:
    """The same parts without the compute: what each design adds."""
    return _stack_charts(report, "ttft.other", [part for part in PARTS if part != "prefill"])


def _stack_charts(report: Report, metric: str, parts: Sequence[str]) -> list[StackChart]:
    by_key = {row.key: row for row in report.rows}
    charts = []
    for place, rows in _by_place(report, metric):
        stacks = [(named, {k: v for k, v in _parts(named.row, by_key).items() if k in parts}) for named in rows]
        if any(held for _, held in stacks):
            charts.append(stack_chart(place, stacks))
    return charts


def breakdown_table(report: Report) -> list[dict[str, Any]]:
    """Exposed and busy time of each part, as text; a part that a mode does not have is a dash."""
    by_key = {row.key: row for row in report.rows}
    table = []
    for place, rows in _by_place(report, "ttft"):
        for named in rows:
            exposed = _parts(named.row, by_key)
            busy = _parts(named.row, by_key, ".busy")
            cells = [(_median_text(exposed.get(part)), _median_text(busy.get(part))) for part in PARTS]
            if exposed:
                table.append({"place": place, "label": f"{named.label} {named.note}".strip(), "cells": cells,
                              "total": _median_text(named.row)})  # fmt: skip
    return table


def reclaim_charts(report: Report) -> list[Chart]:
    """Latency of taking memory back, beside what the same memory costs when nobody has to give it; throughput."""
    charts = []
    latency = [row for name in _RECLAIM_LATENCIES for row in _metric(report, name)]
    for size, rows in _grouped(latency, lambda key: key.size_bytes or 0):
        charts.append(chart(f"Time to get {words.size(size)}", [_reclaim_named(row) for row in rows]))
    costs = [row for name in _COSTS for row in _metric(report, name)]
    for size, rows in _grouped(costs, lambda key: key.size_bytes or 0):
        charts.append(chart(f"What giving up {words.size(size)} costs Linux", [_reclaim_named(row) for row in rows]))
    for size, rows in _grouped(_metric(report, "reclaim.throughput"), lambda key: key.size_bytes or 0):
        charts.append(chart(f"Throughput, {words.size(size)}", [_reclaim_named(row) for row in rows]))
    return charts


def partly_charts(report: Report) -> list[Chart]:
    """First tokens of answers from a model of which Linux has just taken a part."""
    order = place_order(report)
    shares = [(row.key.cache, row) for row in _metric(report, "ttft") if isinstance(row.key.cache, float)]
    rows = [row for _, row in sorted(shares, key=lambda pair: (order[pair[1].key.model, pair[1].key.prompt_tokens],
                                                               pair[0]))]  # fmt: skip
    return [
        chart(f"{place}, a part just taken back", [_mode_named(row) for row in group])
        for place, group in _grouped(rows, words.configuration)
    ]


def slowdown_charts(report: Report) -> list[Chart]:
    """Beside ÷ alone of each program, with the line at 1; then the rate of answers that was really reached."""
    charts = []
    for subject, rows in _grouped(sorted(_metric(report, "slowdown"), key=_row_order), _subject):
        charts.append(chart(f"{subject}: beside inference ÷ alone", [_mode_named(row) for row in rows], line=1.0))
    for subject, rows in _grouped(sorted(_metric(report, "achieved_rate"), key=_row_order), _subject):
        charts.append(chart(f"Answers a second beside {subject}", [_mode_named(row) for row in rows]))
    return charts


def presence_charts(report: Report) -> list[Chart]:
    """Each program over itself on stock Linux, with the line at 1."""
    rows = sorted(_metric(report, "presence"), key=_row_order)
    return [chart(f"{subject}: ÷ stock Linux", [_alone_named(row) for row in group], line=1.0)
            for subject, group in _grouped(rows, _subject)]  # fmt: skip


def _alone_named(row: Row) -> Named:
    note = {"normal-idle": "protection off", "normal": "protection on"}.get(row.key.mode or "", "")
    return Named(words.mode_name(row.key.mode), note, row.key.mode or "", row)


def _subject(key: Key) -> str:
    return key.subject or "a program"


def _grouped(rows: Iterable[Row], by: Callable[[Key], G]) -> list[tuple[G, list[Row]]]:
    """Rows that agree in something, in the order in which they come."""
    groups: dict[G, list[Row]] = {}
    for row in rows:
        groups.setdefault(by(row.key), []).append(row)
    return list(groups.items())


def _by_place(report: Report, metric: str) -> list[tuple[str, list[Named]]]:
    """The rows of a metric by model, prompt and memory pressure, quick ones first, under pressure last; partly recalled
    models stand for themselves."""
    places: dict[tuple[str, str | None, int | None], list[Row]] = {}
    for row in _metric(report, metric):
        if row.key.subject is None and not isinstance(row.key.cache, float):
            places.setdefault((row.key.pressure or "", row.key.model, row.key.prompt_tokens), []).append(row)
    order = place_order(report)
    found = []
    for place in sorted(places, key=lambda place: (place[0] != "", order.get(place[1:], (0.0, 0)), place[0])):
        rows = places[place]
        found.append((words.place(rows[0].key), [_mode_named(row) for row in sorted(rows, key=_row_order)]))
    return found


def place_order(report: Report) -> dict[tuple[str | None, int | None], tuple[float, int]]:
    """Models by how long their first tokens take, then by prompt: the same order in every section."""
    rows = [row for row in _metric(report, "ttft") if row.key.subject is None]
    slowest: dict[str | None, float] = {}
    for row in rows:
        slowest[row.key.model] = max([slowest.get(row.key.model, 0.0), *row.result.present])
    return {
        (row.key.model, row.key.prompt_tokens): (slowest[row.key.model], row.key.prompt_tokens or 0) for row in rows
    }


def _mode_named(row: Row) -> Named:
    key = row.key
    note = words.note(key)
    if key.subject is not None and key.page_cache == "kept" and key.cache is None:
        note = ""
    return Named(words.mode_name(key.mode), note, f"{key.mode} {_cache_look(key)}".strip(), row)


def _cache_look(key: Key) -> str:
    if key.cache == "cold" or (key.cache is None and key.page_cache == "dropped" and key.mode == "normal"):
        return "cold"
    return "partly" if isinstance(key.cache, float) else ""


def _reclaim_named(row: Row) -> Named:
    if row.key.metric in _COSTS:
        return Named(*_COSTS[row.key.metric], row)
    if row.key.metric in _WITHOUT_SECURE:
        return Named(*_WITHOUT_SECURE[row.key.metric], "normal-idle", row)
    label, note = _PRESSURE_WORDS.get(row.key.pressure or "", (row.key.pressure or "reclaim", ""))
    return Named(label, note, "flexserve", row)


def _row_order(row: Row) -> tuple[int, float, str]:
    key = row.key
    mode = _MODE_ORDER.index(key.mode) if key.mode in _MODE_ORDER else len(_MODE_ORDER)
    cache = _CACHE_ORDER.get(key.cache, 1) if isinstance(key.cache, str) else 1
    return mode, cache, key.page_cache or ""


def _parts(row: Row, by_key: dict[Key, Row], suffix: str = "") -> dict[str, Row]:
    keys = {part: replace(row.key, metric=f"ttft.{part}{suffix}") for part in PARTS}
    return {part: by_key[key] for part, key in keys.items() if key in by_key}


def _median_text(row: Row | None) -> str:
    middle = None if row is None else stats.median(row.result.present)
    return "–" if middle is None else words.exact(middle)


def _metric(report: Report, metric: str) -> list[Row]:
    return [row for row in report.rows if row.key.metric == metric]
