"""Two reports side by side: what fails, what does not, and what cannot be decided."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flexkit.errors import BadInput
from flexkit.report.compare import FAILURES, compare, differences
from flexkit.report.schema import Key, Report, Result, Row

WALL = Key("quick", "ttft", "ms", "lower", mode="flexserve", clock="wall")
VIRTUAL = replace(WALL, clock="virtual", evidence="emulated-virtual")
COMMON = replace(WALL, metric="e2e")
RATE = replace(VIRTUAL, metric="achieved_rate", unit="1/s", better="higher")


def report(*rows: tuple[Key, tuple[float | None, ...]]) -> Report:
    return Report({}, {}, {}, rows=tuple(Row(key, Result(values, True)) for key, values in rows))


def verdict(key: Key, a: tuple[float | None, ...], b: tuple[float | None, ...], fail_on: float | None = 5) -> str:
    (pair,) = compare(report((key, a)), report((key, b)), fail_on)
    return pair.verdict


def around(middle: float, spread: float = 0.01) -> tuple[float, ...]:
    return tuple(middle * (1 + spread * step) for step in (-1, -0.5, 0, 0.5, 1))


def test_the_same_report_has_no_difference(good: Report) -> None:
    assert {pair.verdict for pair in compare(good, good, 0)} == {"same"}


@pytest.mark.parametrize(("after", "expected"), [(106.0, "regression"), (104.0, "worse"), (90.0, "better")])
def test_a_counted_clock_decides_on_the_median(after: float, expected: str) -> None:
    assert verdict(VIRTUAL, (100.0,), (after,)) == expected


@pytest.mark.parametrize(("after", "expected"), [(0.94, "regression"), (0.96, "worse"), (1.2, "better")])
def test_where_more_is_better_less_is_worse(after: float, expected: str) -> None:
    assert verdict(RATE, (1.0,), (after,)) == expected


def test_wall_needs_an_interval_that_excludes_the_limit() -> None:
    assert verdict(WALL, around(100), around(120)) == "regression"
    assert verdict(WALL, around(100), around(106, 0.05)) == "undecided"
    assert verdict(WALL, around(100), (150.0, 150.0)) == "undecided"


def test_wall_where_more_is_better() -> None:
    key = replace(RATE, clock="wall", evidence="emulated-wall")
    assert verdict(key, around(1.0), around(0.8)) == "regression"
    assert verdict(key, around(1.0), around(0.94, 0.05)) == "undecided"


def test_without_a_limit_worse_is_only_told() -> None:
    assert verdict(VIRTUAL, (100.0,), (300.0,), None) == "worse"


def test_missing_in_b_fails_and_new_in_b_does_not() -> None:
    pairs = compare(report((WALL, (1.0,)), (COMMON, (1.0,))), report((VIRTUAL, (1.0,)), (COMMON, (1.0,))))
    assert [pair.verdict for pair in pairs] == ["missing", "same", "new"]
    assert [pair.verdict in FAILURES for pair in pairs] == [True, False, False]


def test_reports_without_a_row_in_common_cannot_be_compared() -> None:
    a, b = report((WALL, (1.0,))), replace(report((VIRTUAL, (1.0,))), run={"suite": "switch"})
    with pytest.raises(
        BadInput, match=r"no row in common: A is suite None \(wall clock\), B is suite switch \(virtual"
    ):
        compare(a, b)


def test_circumstances_that_rows_do_not_tell_are_named() -> None:
    a = Report({}, {"name": "qemu-virt", "emulator": "QEMU 10"}, {"host": {"cpu": "one"}})
    b = Report({}, {"name": "qemu-virt-4g", "emulator": "QEMU 10"}, {"host": {"cpu": "another"}})
    assert differences(a, b) == ["board: qemu-virt in A, qemu-virt-4g in B", "host: one in A, another in B"]
    assert differences(a, a) == []


@pytest.mark.parametrize("result", [Result((1.0,), False, "wrong tokens"), Result((), False, "lost")])
def test_invalid_in_b_fails(result: Result) -> None:
    b = Report({}, {}, {}, rows=(Row(WALL, result),))
    (pair,) = compare(report((WALL, (1.0,))), b)
    assert (pair.verdict, pair.why) == ("invalid", result.why)


def test_invalid_in_a_alone_is_no_failure() -> None:
    a = Report({}, {}, {}, rows=(Row(WALL, Result((9.0,), False, "debug build")),))
    (pair,) = compare(a, report((WALL, (1.0,))), 5)
    assert pair.verdict == "no base"


@pytest.mark.parametrize(
    "change",
    [
        {"mode": "normal"},
        {"cache": "warm"},
        {"evidence": "silicon"},
        {"profile": "debug"},
        {"threads": 4},
        {"via": "ssh"},
    ],
)
def test_rows_pair_by_every_field_that_is_not_a_result(change: dict[str, object]) -> None:
    other = replace(WALL, **change)  # type: ignore[arg-type]
    pairs = compare(report((WALL, (1.0,)), (COMMON, (1.0,))), report((other, (1.0,)), (COMMON, (1.0,))))
    assert sorted(pair.verdict for pair in pairs) == ["missing", "new", "same"]


def test_a_figure_of_zero_can_be_compared() -> None:
    part = replace(VIRTUAL, metric="ttft.read")
    assert verdict(part, (0.0,), (0.0,)) == "same"
    assert verdict(part, (0.0,), (1.0,)) == "regression"
