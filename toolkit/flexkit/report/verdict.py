"""The first thing on the page: whether to believe it, what came out, what is missing, and a few figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from flexkit.report import goals, published, stats, words
from flexkit.report.schema import Cache, Key, Ratio, Report, Row

_Sentence = Callable[[Report], str]
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
    published: str = ""
    """What others have published of the same, with where."""


def title(report: Report) -> str:
    """What ran where."""
    board = report.board.get("name", "a board")
    return f"FlexServe on {board}: {report.run.get('suite', 'benchmark')}"


def verdict(report: Report) -> str:
    """All of it in one paragraph."""
    return " ".join((headline(report), *points(report)))


def headline(report: Report) -> str:
    """Whether the report is valid, and how the goals stand that it measures."""
    return _joined(report, (_validity, _tokens, _goals))


def points(report: Report) -> list[str]:
    """What was measured and by which clock, what came out, and what is missing."""
    return [said for said in (part(report) for part in _POINTS) if said]


def _joined(report: Report, parts: Sequence[_Sentence]) -> str:
    return " ".join(said for said in (part(report) for part in parts) if said)


def _what(report: Report) -> str:
    run, board = report.run, report.board
    how = f", {board['support']}" if board.get("support") else ""
    by = f" by {_emulator(str(board['emulator']))}" if board.get("emulator") else ""
    count = run.get("rounds")
    rounds = f", {count} round{'s' if count != 1 else ''}, seed {run.get('seed')}" if count else ""
    suite = f"Suite “{run.get('suite', 'unnamed')}” on {board.get('name', 'an unnamed board')}{how}{by}{rounds}."
    return f"{suite} {_clock(report)}".rstrip()


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
    standings = goals.standings(report)
    met = sum(1 for standing in standings if standing.state == "met")
    missed = [standing.goal.what for standing in standings if standing.state == "not met"]
    if not met and not missed:
        return ""
    failed = f"{len(missed)} not met ({'; '.join(missed)})" if missed else "none missed"
    return f"Goals: {met} met, {failed}."


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
        return f"Valid: all {_count(len(report.rows), 'row')}."
    reasons = Counter(row.result.why or "no reason given" for row in bad).most_common(2)
    said = "; ".join(reason for reason, _ in reasons)
    return f"Not valid: {len(bad)} of {_count(len(report.rows), 'row')}, with reasons such as: {said}."


def _missing(report: Report) -> str:
    """What a reader may look for and not find."""
    if not report.rows:
        return ""
    states = Counter(standing.state for standing in goals.standings(report))
    most = max(len(row.result.present) for row in report.rows)
    absent = sum(1 for row in report.rows if not row.result.values or None in row.result.values)
    said = [
        f"values of {_count(absent, 'row')}, as the attempts say" if absent else "",
        f"intervals, which need {stats.CI95_MIN} rounds" if 0 < most < stats.CI95_MIN else "",
        f"{_count(states['not measured'], 'goal')} of other suites" if states["not measured"] else "",
        f"the verdict on {_count(states['too few rounds'], 'goal')} of intervals" if states["too few rounds"] else "",
    ]
    return f"Missing: {'; '.join(word for word in said if word)}." if any(said) else ""


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' if number != 1 else ''}"


def _clock(report: Report) -> str:
    clocks = sorted({row.key.clock for row in report.rows})
    said = "; ".join(_CLOCK_WORDS.get(clock, clock) for clock in clocks)
    return f"{said[0].upper()}{said[1:]}." if said else ""


_POINTS: tuple[_Sentence, ...] = (
    _what, _against_strawman, _against_optimized, _against_normal, _reclaimed, _missing,
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
    note = f"time to first token; {place}; n = {ratio.n}"
    claim = published.same(ratio)
    return Tile(label, words.figure(ratio.median, "ratio"), note, f"{claim.figure}, {claim.where}" if claim else "")


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
