"""The sections of the page, made from a report: charts and tables, as the template draws them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from flexkit.report import stats, words
from flexkit.report.charts import Chart, Named, StackChart, chart, stack_chart
from flexkit.report.published import PUBLISHED, Published
from flexkit.report.schema import Attempt, Key, Ratio, Report, Row

PARTS = ("allocate", "read", "donate", "decrypt", "prefill", "switch")
_MODE_ORDER = tuple(words.MODE_NAMES)
_LONG = 10_000
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


@dataclass(frozen=True)
class Beside:
    """A published figure and ours."""

    what: str
    figure: str
    source: str
    evidence: str
    """Of ours."""
    ours: tuple[tuple[str, str], ...]
    """(figure, configuration and n)"""
    by: str
    """The suite that measures it."""


# Charts -------------------------------------------------------------------------------------------------------------


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
    after = [row for row in _metric(report, "ttft") if isinstance(row.key.cache, float)]
    for place, rows in _grouped(after, words.configuration):
        charts.append(chart(f"First token of the next answer, {place}", [_mode_named(row) for row in rows]))
    return charts


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
    """The rows of a metric by model, prompt and memory pressure, quick ones first; partly recalled models stand with
    reclaim."""
    places: dict[tuple[str, str | None, int | None], list[Row]] = {}
    for row in _metric(report, metric):
        if row.key.subject is None and not isinstance(row.key.cache, float):
            places.setdefault((row.key.pressure or "", row.key.model, row.key.prompt_tokens), []).append(row)
    order = _place_order(report)
    found = []
    for place in sorted(places, key=lambda place: (order.get(place[1:], (0.0, 0)), place[0])):
        rows = places[place]
        found.append((words.place(rows[0].key), [_mode_named(row) for row in sorted(rows, key=_row_order)]))
    return found


def _place_order(report: Report) -> dict[tuple[str | None, int | None], tuple[float, int]]:
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


# Tables -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RatioTable:
    """The comparisons of one metric: a column for each configuration, a row for each pair of modes. A cell is
    (ratio, interval, n) as text, or None where there is no ratio."""

    metric: str
    name: str
    places: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[str, str, str] | None, ...]], ...]


def ratio_tables(report: Report) -> list[RatioTable]:
    return [_ratio_table(report, metric) for metric in dict.fromkeys(ratio.metric for ratio in report.ratios)]


def _ratio_table(report: Report, metric: str) -> RatioTable:
    found = [ratio for ratio in report.ratios if ratio.metric == metric]
    order = _place_order(report)
    keys = [ratio.numerator for ratio in found]
    keys.sort(
        key=lambda key: (order.get((key.model, key.prompt_tokens), (0.0, 0)), key.pressure or "", key.size_bytes or 0)
    )
    places = tuple(dict.fromkeys(_ratio_place(key) for key in keys))
    cells = {(_pair_name(ratio), _ratio_place(ratio.numerator)): _ratio_cell(ratio) for ratio in found}
    names = dict.fromkeys(name for name, _ in cells)
    rows = tuple((name, tuple(cells.get((name, place)) for place in places)) for name in names)
    return RatioTable(metric, words.metric_name(metric), places, rows)


def _ratio_place(key: Key) -> str:
    """Allocators are the two sides of their ratios, not a part of the place."""
    return words.place(replace(key, subject=None) if key.metric == "alloc.latency" else key)


def _pair_name(ratio: Ratio) -> str:
    above, below = ratio.numerator, ratio.denominator
    if above.metric != below.metric:
        return f"{words.metric_name(above.metric)} ÷ {words.metric_name(below.metric)}"
    if above.subject != below.subject:
        return f"{above.subject} ÷ {below.subject}"
    return f"{words.side(ratio.numerator)} ÷ {words.side(ratio.denominator)}"


def _ratio_cell(ratio: Ratio) -> tuple[str, str, str]:
    interval = "" if ratio.ci95 is None else f"{words.exact(ratio.ci95[0])} to {words.exact(ratio.ci95[1])}"
    return words.figure(ratio.median, "ratio"), interval, f"n = {ratio.n}{'' if ratio.paired else ', two boots'}"


def beside(report: Report) -> list[Beside]:
    """Published figures with those of ours that mean the same, each with its evidence."""
    order = _place_order(report)
    ratios = sorted(
        report.ratios, key=lambda ratio: order.get((ratio.numerator.model, ratio.numerator.prompt_tokens), (0.0, 0))
    )
    return [_beside(claim, [ratio for ratio in ratios if claim.ours(ratio)]) for claim in PUBLISHED]


def _beside(claim: Published, ours: Sequence[Ratio]) -> Beside:
    labels = dict.fromkeys(f"{ratio.denominator.evidence}, clock {ratio.denominator.clock}" for ratio in ours)
    figures = tuple(
        (words.figure(ratio.median, "ratio"), f"{_ratio_place(ratio.denominator)}; n\u00a0=\u00a0{ratio.n}")
        for ratio in ours
    )
    return Beside(claim.what, claim.figure, f"{claim.source}: {claim.where}", "; ".join(labels), figures, claim.by)


def row_table(report: Report) -> list[dict[str, Any]]:
    table = []
    for row in report.rows:
        interval = stats.ci95(row.result.present)
        middle = stats.median(row.result.present)
        table.append(
            {
                "metric": row.key.metric,
                "what": words.side(row.key),
                "place": words.place(row.key),
                "unit": row.key.unit,
                "median": "missing" if middle is None else words.exact(middle),
                "ci95": "–" if interval is None else f"{words.exact(interval[0])} to {words.exact(interval[1])}",
                "n": len(row.result.present),
                "values": ", ".join("missing" if v is None else words.exact(v) for v in row.result.values) or "none",
                "valid": row.result.valid,
                "why": row.result.why or "",
            }
        )
    return table


def outcomes(report: Report) -> list[tuple[str, int]]:
    """How many attempts had which outcome."""
    return Counter(attempt.outcome for attempt in report.attempts).most_common()


def failures(report: Report) -> list[Attempt]:
    return [attempt for attempt in report.attempts if attempt.outcome != "ok"]


def facts(value: Any) -> list[tuple[str, str]]:
    """A mapping of provenance as (name, text) pairs, nested names joined; what is null or empty is said so."""
    return list(_facts("", value))


def _facts(prefix: str, value: Any) -> Iterable[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _facts(f"{prefix} {name}".strip().replace("_", " "), inner)
    elif isinstance(value, list | tuple) and any(isinstance(item, dict) for item in value):
        for item in value:
            name = item.get("name", "") if isinstance(item, dict) else ""
            rest = {k: v for k, v in item.items() if k != "name"} if isinstance(item, dict) else item
            yield f"{prefix} {name}".strip(), ", ".join(text for _, text in _facts("", rest))
    elif isinstance(value, list | tuple):
        yield prefix, ", ".join(str(item) for item in value) or "none"
    else:
        yield prefix, _text(value)


def _text(value: Any) -> str:
    if value is None or value == "":
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) or (isinstance(value, int) and value >= _LONG):
        return words.plain(value)
    return str(value)
