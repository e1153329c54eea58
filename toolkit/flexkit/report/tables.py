"""The tables of the page and of the terminal, made from a report: ratios, published figures, rows, provenance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flexkit.report import stats, words
from flexkit.report.published import PUBLISHED, Published
from flexkit.report.schema import Attempt, Key, Ratio, Report
from flexkit.report.view import place_order

_LONG = 10_000


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


@dataclass(frozen=True)
class RatioTable:
    """The comparisons of one metric: a column for each configuration, a row for each pair of modes. A cell is
    (ratio, interval, n) as text, or None where there is no ratio."""

    metric: str
    name: str
    places: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[str, str, str] | None, ...]], ...]


def ratio_tables(report: Report) -> list[RatioTable]:
    """One for each metric that was compared, in the order of the report."""
    return [_ratio_table(report, metric) for metric in dict.fromkeys(ratio.metric for ratio in report.ratios)]


def _ratio_table(report: Report, metric: str) -> RatioTable:
    found = [ratio for ratio in report.ratios if ratio.metric == metric]
    order = place_order(report)
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
    order = place_order(report)
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
    """Every row, its figures as text."""
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
    """Attempts that did not end well."""
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
