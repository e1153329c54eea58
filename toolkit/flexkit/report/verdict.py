"""The first thing on the page: one paragraph and a few figures that say what came out, and whether to believe it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from flexkit.report import goals, stats, words
from flexkit.report.schema import Cache, Key, Ratio, Report, Row

_Side = tuple[str | None, Cache, str | None]
"""Mode, cache, page cache."""

_STRAWMAN: _Side = ("strawman", None, "dropped")
_OPTIMIZED: _Side = ("strawman-opt", None, "dropped")
_WARM: _Side = ("flexserve", "warm", "dropped")
_COLD: _Side = ("flexserve", "cold", "dropped")
_UNPROTECTED: _Side = ("normal", None, "kept")

_CLOCK_WORDS = {
    "wall": "wall clock of an emulator: ratios mean something, times do not",
    "virtual": "virtual clock: counts work, not speed",
    "board": "the board's own counter",
}


@dataclass(frozen=True)
class Tile:
    """A headline figure."""

    label: str
    value: str
    note: str


def title(report: Report) -> str:
    board = report.board.get("name", "a board")
    return f"FlexServe on {board}: {report.run.get('suite', 'benchmark')}"


def verdict(report: Report) -> str:
    """One paragraph: what was measured, the ratios with n, whether it is valid."""
    return " ".join(sentence for sentence in (part(report) for part in _SENTENCES) if sentence)


def _what(report: Report) -> str:
    run, board = report.run, report.board
    how = f", {board['support']}" if board.get("support") else ""
    by = f" by {_emulator(str(board['emulator']))}" if board.get("emulator") else ""
    count = run.get("rounds")
    rounds = f", {count} round{'s' if count != 1 else ''}, seed {run.get('seed')}" if count else ""
    return f"Suite “{run.get('suite', 'unnamed')}” on {board.get('name', 'an unnamed board')}{how}{by}{rounds}."


def _emulator(version: str) -> str:
    """``QEMU 10.0.2`` out of its own version line, which provenance has whole."""
    return version.replace("emulator version ", "").split(" (")[0]


def _against_strawman(report: Report) -> str:
    return _against(report, "strawman", _STRAWMAN)


def _against_optimized(report: Report) -> str:
    return _against(report, "optimized strawman", _OPTIMIZED)


def _against(report: Report, name: str, side: _Side) -> str:
    warm = _ratios(report, "ttft", side, _WARM)
    cold = _ratios(report, "ttft", side, _COLD)
    if not warm and not cold:
        return ""
    said = [f"{_times(found)} as long as FlexServe {how}" for found, how in (
        (warm, "with its weights cached"), (cold, "from cold")) if found]  # fmt: skip
    return f"To its first token the {name} took {', and '.join(said)} ({_counted([*warm, *cold])})."


def _goals(report: Report) -> str:
    found = [standing.state for standing in goals.standings(report)]
    met, missed = found.count("met"), found.count("not met")
    return (
        f"Of the {met + missed} goals that it measures, {met} {'is' if met == 1 else 'are'} met."
        if met + missed
        else ""
    )


def _against_normal(report: Report) -> str:
    found = _ratios(report, "ttft", _WARM, _UNPROTECTED)
    if not found:
        return ""
    return (
        f"Against the same engine without protection, weights in the page cache, FlexServe took {_times(found)} as "
        f"long ({_counted(found)})."
    )


def _reclaimed(report: Report) -> str:
    row = _valid(report, "reclaim.latency", pressure="anon")
    if row is None:
        return ""
    values = row.result.present
    took = f"{words.size(row.key.size_bytes)} in {words.figure(median(values), 'ms')} (n = {len(values)})"
    return f"A process that needed memory took {took} back from a resident model, and the next answer was right."


def _tokens(report: Report) -> str:
    wrong = sum(1 for attempt in report.attempts if attempt.outcome == "wrong tokens")
    if wrong:
        return f"{wrong} answer{'s' if wrong > 1 else ''} had wrong tokens."
    checked = any(row.key.reference for row in report.rows if row.result.present)
    return "Every measured answer had the reference engine's tokens." if checked else ""


def _validity(report: Report) -> str:
    if not report.rows:
        return "Nothing was measured."
    bad = [row for row in report.rows if not row.result.valid]
    if not bad:
        return f"All {len(report.rows)} rows are valid."
    reasons = Counter(row.result.why or "no reason given" for row in bad).most_common(2)
    said = "; ".join(reason for reason, _ in reasons)
    return f"Not valid: {len(bad)} of {len(report.rows)} rows, with reasons such as: {said}."


def _few(report: Report) -> str:
    most = max((len(row.result.present) for row in report.rows), default=0)
    if 0 < most < stats.CI95_MIN:
        return f"At most {most} value{'s' if most > 1 else ''} a row: no intervals are given."
    return ""


def _clock(report: Report) -> str:
    clocks = sorted({row.key.clock for row in report.rows})
    said = "; ".join(_CLOCK_WORDS.get(clock, clock) for clock in clocks)
    return f"{said[0].upper()}{said[1:]}." if said else ""


_SENTENCES: tuple[Callable[[Report], str], ...] = (
    _what, _validity, _goals, _against_strawman, _against_optimized, _against_normal, _reclaimed, _tokens, _few, _clock,
)  # fmt: skip


def _times(found: Sequence[Ratio]) -> str:
    return f"{words.span([ratio.median for ratio in found])} times"


def _counted(found: Sequence[Ratio]) -> str:
    least = min(ratio.n for ratio in found)
    most = max(ratio.n for ratio in found)
    n = f"n = {least}" if least == most else f"n = {least} to {most}"
    kind = "paired rounds" if all(ratio.paired for ratio in found) else "medians of two boots"
    places = {(ratio.numerator.model, ratio.numerator.prompt_tokens) for ratio in found}
    where = f"{len(places)} configurations, " if len(places) > 1 else ""
    return f"{where}{kind}, {n}"


def _ratios(report: Report, metric: str, above: _Side, below: _Side) -> list[Ratio]:
    """The ratios between two (mode, cache, page cache), memory not under pressure."""
    return [
        ratio
        for ratio in report.ratios
        if ratio.metric == metric and _side(ratio.numerator) == above and _side(ratio.denominator) == below
        if ratio.numerator.pressure is None
    ]


def _side(key: Key) -> _Side:
    return key.mode, key.cache, key.page_cache


def tiles(report: Report) -> list[Tile]:
    """The figures that people look for first; one that is not there is left out, not shown as nothing."""
    made = [
        _ratio_tile(report, "Strawman ÷ FlexServe warm", _STRAWMAN, _WARM),
        _ratio_tile(report, "Optimized strawman ÷ FlexServe warm", _OPTIMIZED, _WARM),
        _ratio_tile(report, "FlexServe warm ÷ unprotected", _WARM, _UNPROTECTED),
        _reclaim_tile(report),
        _slowdown_tile(report),
    ]
    return [tile for tile in made if tile]


def _ratio_tile(report: Report, label: str, above: _Side, below: _Side) -> Tile | None:
    """The heaviest configuration: the one whose first token takes longest."""
    medians = {row.key: stats.median(row.result.present) or 0.0 for row in report.rows}
    found = sorted(_ratios(report, "ttft", above, below), key=lambda ratio: medians.get(ratio.denominator, 0.0))
    if not found:
        return None
    ratio = found[-1]
    place = words.configuration(ratio.denominator)
    return Tile(label, words.figure(ratio.median, "ratio"), f"time to first token; {place}; n = {ratio.n}")


def _reclaim_tile(report: Report) -> Tile | None:
    row = _valid(report, "reclaim.latency", pressure="anon")
    if row is None:
        return None
    values = row.result.present
    note = f"by a process that needs it, from a resident {words.model_name(row.key.model)}; n = {len(values)}"
    return Tile(f"{words.size(row.key.size_bytes)} back to Linux", words.figure(median(values), "ms"), note)


def _slowdown_tile(report: Report) -> Tile | None:
    row = _valid(report, "slowdown", mode="flexserve")
    if row is None:
        return None
    values = row.result.present
    note = f"{row.key.subject} beside FlexServe ÷ alone; n = {len(values)}"
    return Tile("Slowdown of a program", words.figure(median(values), "ratio"), note)


def _valid(report: Report, metric: str, **where: object) -> Row | None:
    """The first valid row of a metric with these key fields."""
    for row in report.rows:
        if row.key.metric == metric and row.result.valid and all(getattr(row.key, k) == v for k, v in where.items()):
            return row
    return None
