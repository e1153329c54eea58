"""Two reports side by side: rows are paired by every field that is not a result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from flexkit.errors import BadInput
from flexkit.report import stats
from flexkit.report.schema import Key, Report, Row

Verdict = Literal["same", "better", "worse", "regression", "undecided", "missing", "invalid", "new", "no base"]

FAILURES: tuple[Verdict, ...] = ("regression", "missing", "invalid")


@dataclass(frozen=True)
class Pair:
    """One measurement in both reports. ``change`` is B relative to A: 0.05 is 5 % more; None without two figures."""

    key: Key
    verdict: Verdict
    a: float | None
    b: float | None
    change: float | None
    why: str = ""


def compare(a: Report, b: Report, fail_on: float | None = None) -> tuple[Pair, ...]:
    """Pair the rows of A with those of B, A's order, then what only B has.

    ``fail_on``: per cent by which a figure may be worse. Without it nothing counts as a regression; a row that is
    missing or invalid in B fails either way. Under the wall clock a row fails only when its interval excludes the
    limit; one that has too few values for an interval is "undecided". Raises BadInput for reports without a row in
    common: they measure different things, and neither fails for that.
    """
    if a.rows and b.rows and not {row.key for row in a.rows} & {row.key for row in b.rows}:
        raise BadInput(f"the reports have no row in common: A is {_what(a)}, B is {_what(b)}")
    return tuple(_pairs(a, b, fail_on))


def differences(a: Report, b: Report) -> list[str]:
    """In what the circumstances differ that rows do not tell, for whoever reads the comparison."""
    said = [(name, _said(a, name), _said(b, name)) for name in ("board", "emulator", "host")]
    return [f"{name}: {before} in A, {after} in B" for name, before, after in said if before != after]


def _said(report: Report, name: str) -> str:
    host = report.run.get("host")
    found = {
        "board": report.board.get("name"),
        "emulator": report.board.get("emulator"),
        "host": host.get("cpu") if isinstance(host, Mapping) else None,
    }[name]
    return str(found) if found else "unknown"


def _what(report: Report) -> str:
    clocks = ", ".join(sorted({row.key.clock for row in report.rows}))
    return f"suite {report.run.get('suite')} ({clocks} clock)"


def _pairs(a: Report, b: Report, fail_on: float | None) -> Iterator[Pair]:
    later = {row.key: row for row in b.rows}
    for row in a.rows:
        other = later.pop(row.key, None)
        yield _missing(row) if other is None else _pair(row, other, fail_on)
    for row in later.values():
        yield Pair(row.key, "new", None, stats.median(row.result.present), None)


def _missing(row: Row) -> Pair:
    return Pair(row.key, "missing", stats.median(row.result.present), None, None, "B has no such row")


def _pair(a: Row, b: Row, fail_on: float | None) -> Pair:
    before, after = stats.median(a.result.present), stats.median(b.result.present)
    if not b.result.valid or after is None:
        return Pair(b.key, "invalid", before, after, None, b.result.why or "B has no value")
    if not a.result.valid or before is None:
        return Pair(b.key, "no base", before, after, None, a.result.why or "A has no value to compare with")
    change = after / before - 1 if before else None
    verdict, why = _judge(b, before, after, fail_on)
    return Pair(b.key, verdict, before, after, change, why)


def _judge(row: Row, before: float, after: float, fail_on: float | None) -> tuple[Verdict, str]:
    higher = row.key.better == "higher"
    worse = after < before if higher else after > before
    if after == before:
        return "same", ""
    if not worse:
        return "better", ""
    if fail_on is None:
        return "worse", ""
    limit = before * (1 - fail_on / 100) if higher else before * (1 + fail_on / 100)
    if (after >= limit) if higher else (after <= limit):
        return "worse", f"within {fail_on:g} %"
    if row.key.clock != "wall":
        return "regression", f"beyond {fail_on:g} %"
    interval = stats.ci95(row.result.present)
    if interval is None:
        return "undecided", f"beyond {fail_on:g} %, but too few values for an interval"
    outside = interval[1] < limit if higher else interval[0] > limit
    if outside:
        return "regression", f"the interval is beyond {fail_on:g} %"
    return "undecided", f"beyond {fail_on:g} %, but the interval holds the limit"
