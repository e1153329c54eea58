"""Medians, percentiles, intervals and paired ratios: exact, so that the same values always give the same figures.

The interval is the 95 % percentile bootstrap of the median. No resampling is done: the distribution of the median of
a resample has a closed form (Efron, "Bootstrap methods", Ann. Statist. 7, 1979, section 3), which is what endless
resampling would converge to. Too few values give None, never a guess.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

CI95_MIN = 5
"""Values below which no interval is given."""
P95_MIN = 20
"""Values below which no 95th percentile is given."""


def median(values: Sequence[float]) -> float | None:
    """The middle value, or the mean of the two; None for no values."""
    return float(statistics.median(values)) if values else None


def p95(values: Sequence[float]) -> float | None:
    """95th percentile by nearest rank, so one of the values; None below P95_MIN values."""
    if len(values) < P95_MIN:
        return None
    return float(sorted(values)[math.ceil(0.95 * len(values)) - 1])


def ci95(values: Sequence[float]) -> tuple[float, float] | None:
    """95 % interval of the median; None below CI95_MIN values."""
    if len(values) < CI95_MIN:
        return None
    masses = _bootstrap_medians(sorted(values))
    return _quantile(masses, 0.025), _quantile(masses, 0.975)


def paired_ratios(numerator: Sequence[float | None], denominator: Sequence[float | None]) -> list[float]:
    """Round by round; rounds that lack either value, or divide by zero, are left out."""
    return [
        above / below
        for above, below in zip(numerator, denominator, strict=False)
        if above is not None and below is not None and below != 0
    ]


def _bootstrap_medians(ordered: Sequence[float]) -> list[tuple[float, float]]:
    """(median, probability) of a resample with replacement of as many values, ascending by median."""
    n = len(ordered)
    masses = _odd(ordered) if n % 2 else _even(ordered)
    return sorted(masses)


def _odd(ordered: Sequence[float]) -> list[tuple[float, float]]:
    """The median is the k-th value when at least half of the draws are among the first k, and not so for k - 1."""
    n = len(ordered)
    reached = [_at_least(n, (n + 1) // 2, k / n) for k in range(n + 1)]
    return [(ordered[k], reached[k + 1] - reached[k]) for k in range(n)]


def _even(ordered: Sequence[float]) -> list[tuple[float, float]]:
    """n = 2m. Lower middle i and upper middle j > i: m draws have i for their greatest, m have j for their least.
    What is left of the lower middle's own probability has both at i."""
    n = len(ordered)
    m = n // 2
    ways = math.comb(n, m)
    greatest = [((i + 1) / n) ** m - (i / n) ** m for i in range(n)]
    least = [((n - j) / n) ** m - ((n - j - 1) / n) ** m for j in range(n)]
    reached = [_at_least(n, m, k / n) for k in range(n + 1)]
    masses = []
    for i in range(n):
        apart = [(0.5 * (ordered[i] + ordered[j]), ways * greatest[i] * least[j]) for j in range(i + 1, n)]
        both = reached[i + 1] - reached[i] - sum(mass for _, mass in apart)
        masses += [*apart, (ordered[i], max(0.0, both))]
    return masses


def _at_least(n: int, k: int, p: float) -> float:
    """P(Binomial(n, p) >= k)."""
    return math.fsum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))


def _quantile(masses: Sequence[tuple[float, float]], q: float) -> float:
    """The least value whose cumulated probability reaches q."""
    total = 0.0
    for value, mass in masses:
        total += mass
        if total >= q - 1e-12:
            return float(value)
    return float(masses[-1][0])
