"""Charts of single steps: world switch, donation and recall by batch, allocation by size and pressure."""

from __future__ import annotations

from collections.abc import Iterable

from flexkit.report import words
from flexkit.report.charts import Chart, Named, chart
from flexkit.report.schema import Report, Row

_CALLS = {
    "switch.smc": ("Null call", "monitor and back"),
    "switch.world": ("World switch", "payload and back"),
    "switch.clear": ("Clear a page", "in Linux"),
}
_PAGES = {
    "switch.donate": "Donate a page",
    "switch.donate.own": "… the SMMU apart",
    "switch.recall": "Recall a page, scrubbed",
    "switch.recall.own": "… the scrub apart",
    "switch.release": "Release a page of a strawman's region",
}
_COUNTED = {"protect.on": ("Turn on", "all cores meet"), "protect.off": ("Turn off", "all cores meet")}
_LATENESS = {"interrupt.p50": "Half", "interrupt.p999": "99.9 %", "interrupt.max": "The latest"}
_ALLOCATORS = {"flexmem": ("Flex-Mem", "flexserve"), "cma": ("CMA", "strawman"), "static": ("Static region", "stock")}
_PRESSURES = {
    "idle": "Memory is free",
    "pagecache": "Page cache fills memory",
    "anon": "Processes fill memory",
    "half": "Half of what is asked for is fragmented",
    "fragmented": "Free memory is fragmented",
}


def switch_charts(report: Report) -> list[Chart]:
    """What the calls cost, then a page by the size of its batch."""
    calls = [Named(*_CALLS[row.key.metric], "normal", row) for row in sorted(_of(report, _CALLS), key=_by_call)]
    pages = [
        Named(_PAGES[row.key.metric], f"{words.size(row.key.size_bytes)} at once", row.key.mode or "", row)
        for row in sorted(_of(report, _PAGES), key=lambda row: (row.key.metric, row.key.size_bytes or 0))
    ]
    late = [
        Named(_LATENESS[row.key.metric], f"{words.mode_name(row.key.mode)}: {row.key.subject}", row.key.mode or "", row)
        for row in _of(report, _LATENESS)
    ]
    counted = [Named(*_COUNTED[row.key.metric], "normal", row) for row in _of(report, _COUNTED)]
    longest = [Named("Longest", "of any call", "normal", row) for row in _of(report, ("el3.longest",))]
    charts = (
        ("Calls", calls),
        ("Pages", pages),
        ("Interrupts beside inference are late", late),
        ("Protection on demand", counted),
        ("Stay in EL3", longest),
    )
    return [chart(title, rows) for title, rows in charts if rows]


def alloc_charts(report: Report) -> list[Chart]:
    """One chart a pressure, by size; the allocators of one size stand together."""
    charts = []
    for pressure, title in _PRESSURES.items():
        rows = [row for row in _of(report, ("alloc.latency",)) if row.key.pressure == pressure]
        rows.sort(key=_by_size)
        if rows:
            charts.append(chart(title, [_allocator(row) for row in rows]))
    return charts


def _of(report: Report, metrics: Iterable[str]) -> list[Row]:
    wanted = tuple(metrics)
    return [row for row in report.rows if row.key.metric in wanted]


def _by_call(row: Row) -> int:
    return list(_CALLS).index(row.key.metric)


def _by_size(row: Row) -> tuple[int, str]:
    return row.key.size_bytes or 0, row.key.subject or ""


def _allocator(row: Row) -> Named:
    name, look = _ALLOCATORS.get(row.key.subject or "", (row.key.subject or "", ""))
    return Named(name, words.size(row.key.size_bytes), look, row)
