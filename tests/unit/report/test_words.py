"""Figures as people read them."""

from __future__ import annotations

import pytest

from flexkit.report import words


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.9999, "1.00"), (0.0123, "0.0123"), (1.854, "1.85"), (12.0, "12.0"), (999.6, "1\u202f000"),
     (123.4, "123"), (4551, "4\u202f551"), (1234567, "1\u202f234\u202f567")],
)  # fmt: skip
def test_three_significant_digits(value: float, text: str) -> None:
    assert words.exact(value) == text


@pytest.mark.parametrize(("value", "text"), [(2.50, "2.5"), (100.0, "100"), (2000.0, "2\u202f000"), (0.25, "0.25")])
def test_no_trailing_zeros_on_an_axis(value: float, text: str) -> None:
    assert words.plain(value) == text


def test_units() -> None:
    assert words.figure(1.25, "ratio") == "1.25×"
    assert words.figure(412.3, "ms") == "412\u202fms"
    assert words.figure(12_345, "ms") == "12.3\u202fs"
    assert words.figure(0.000437, "ms") == "0.437\u202fµs"
    assert words.figure(57.4, "us") == "57.4\u202fµs"
    assert words.figure(1.354, "1/s") == "1.35/s"
    assert words.size(64 << 20) == "64\u202fMB"


def test_spans() -> None:
    assert words.span([3.14159, 12.4, 5.0]) == "3.14 to 12.4"
    assert words.span([2.0, 2.0001]) == "2.00"
