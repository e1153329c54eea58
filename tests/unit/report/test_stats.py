"""Figures against closed forms and against what they stand for."""

from __future__ import annotations

import math
import random
import statistics

import pytest

from flexkit.report import stats


@pytest.mark.parametrize(
    ("values", "expected"),
    [([], None), ([4.0], 4.0), ([1.0, 3.0], 2.0), ([9.0, 1.0, 5.0], 5.0), ([4.0, 1.0, 3.0, 2.0], 2.5)],
)
def test_median(values: list[float], expected: float | None) -> None:
    assert stats.median(values) == expected


def test_p95_needs_twenty_values() -> None:
    assert stats.p95([float(i) for i in range(19)]) is None


def test_p95_is_the_nearest_rank() -> None:
    assert stats.p95([float(i) for i in range(1, 21)]) == 19
    assert stats.p95([float(i) for i in range(100, 0, -1)]) == 95


@pytest.mark.parametrize("n", range(5))
def test_no_interval_below_five_values(n: int) -> None:
    assert stats.ci95([1.0] * n) is None


def test_interval_of_five_values_is_all_of_them() -> None:
    """P(median of a resample is the least of 5) = P(Binomial(5, 1/5) >= 3) = 181/3125, more than 2.5 %."""
    assert stats.ci95([5.0, 1.0, 4.0, 2.0, 3.0]) == (1.0, 5.0)


def test_interval_of_equal_values_is_a_point() -> None:
    assert stats.ci95([7.0] * 8) == (7.0, 7.0)


@pytest.mark.parametrize("n", [5, 6, 7, 10, 21, 40])
def test_probabilities_sum_to_one(n: int) -> None:
    masses = stats._bootstrap_medians([float(i) for i in range(n)])
    assert math.isclose(math.fsum(mass for _, mass in masses), 1.0, rel_tol=1e-9)
    assert all(mass >= 0 for _, mass in masses)


@pytest.mark.parametrize("n", [5, 6, 9, 12])
def test_the_closed_form_is_what_resampling_converges_to(n: int) -> None:
    seeded = random.Random(3)
    values = sorted(seeded.gauss(100, 10) for _ in range(n))
    drawn = 60_000
    medians = [statistics.median(seeded.choices(values, k=n)) for _ in range(drawn)]
    for q in (0.025, 0.1, 0.5, 0.9, 0.975):
        bound = stats._quantile(stats._bootstrap_medians(values), q)
        below = sum(1 for value in medians if value < bound - 1e-9) / drawn
        reached = sum(1 for value in medians if value <= bound + 1e-9) / drawn
        assert below <= q + 0.01
        assert reached >= q - 0.01


def test_the_interval_covers_the_true_median_about_as_often_as_it_says() -> None:
    seeded = random.Random(11)
    tries, hits = 600, 0
    for _ in range(tries):
        low, high = stats.ci95([seeded.expovariate(1.0) for _ in range(15)]) or (0.0, 0.0)
        hits += low <= math.log(2) <= high
    assert 0.9 <= hits / tries <= 1.0


def test_paired_ratios_leave_out_rounds_that_lack_a_value() -> None:
    assert stats.paired_ratios([8.0, None, 6.0, 5.0], [2.0, 3.0, None, 0.0]) == [4.0]


def test_paired_ratios_are_not_ratios_of_medians() -> None:
    ratios = stats.paired_ratios([1.0, 10.0, 100.0], [1.0, 5.0, 400.0])
    assert ratios == [1.0, 2.0, 0.25]
