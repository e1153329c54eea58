"""``flexkit.report/1``: what report.json holds. reading.py reads it, strictly.

A row is one figure of one configuration. Its *key* fields say what was measured, its *result* fields what came out;
two rows are the same measurement exactly when their keys are equal. Every field is always there; one that does not
apply is null. A value that is missing is null with its reason in ``attempts``: never 0, never left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from flexkit import whole
from flexkit.report import stats

SCHEMA = "flexkit.report/1"

Json = Any
"""A value of JSON, before it has been checked."""

Better = Literal["lower", "higher"]
Cache = str | float | None

CLOCKS = ("wall", "virtual", "board")
EVIDENCE = ("silicon", "emulated-wall", "emulated-virtual", "modelled")
PROFILES = ("release", "debug")
BETTER = ("lower", "higher")
PAGE_CACHE = ("dropped", "kept")
PRESSURE = ("idle", "pagecache", "anon", "half", "fragmented")
OUTCOMES = ("ok", "wrong tokens", "failed", "not run")


@dataclass(frozen=True)
class Key:
    """What was measured: every field of a row that is not a result."""

    suite: str
    metric: str
    unit: str
    better: Better
    mode: str | None = None
    model: str | None = None
    """Its name and the first 12 digits of its SHA-256: ``demo@0123456789ab``."""
    prompt_tokens: int | None = None
    subject: str | None = None
    """The program of a slowdown, the allocator of an allocation."""
    size_bytes: int | None = None
    cache: Cache = None
    """``cold``, ``warm`` or the cached share 0..1; flexserve only."""
    page_cache: str | None = None
    pressure: str | None = None
    threads: int | None = None
    via: str | None = None
    clock: str = "wall"
    evidence: str = "emulated-wall"
    profile: str = "release"
    reference: str | None = None
    """What the tokens were checked against: engine and the first 12 digits of the SHA-256 of the expected ids."""


@dataclass(frozen=True)
class Result:
    """What came out. ``values[i]`` is round i, null where it is missing; ``values: []``: nothing was measured."""

    values: tuple[float | None, ...]
    valid: bool
    why: str | None = None

    @property
    def present(self) -> list[float]:
        """The values that are there."""
        return [value for value in self.values if value is not None]


@dataclass(frozen=True)
class Row:
    """One figure of one configuration."""

    key: Key
    result: Result

    def to_json(self) -> dict[str, Json]:
        """With everything that follows from the values."""
        present = self.result.present
        return asdict(self.key) | {
            "n": len(present),
            "values": list(self.result.values),
            "median": stats.median(present),
            "p95": stats.p95(present),
            "ci95": _pair(stats.ci95(present)),
            "valid": self.result.valid,
            "why": self.result.why,
        }


@dataclass(frozen=True)
class Ratio:
    """``numerator / denominator`` of one metric. Paired: round by round; otherwise (another boot) of the medians."""

    metric: str
    numerator: Key
    denominator: Key
    paired: bool
    n: int
    median: float
    ci95: tuple[float, float] | None = None

    def to_json(self) -> dict[str, Json]:
        return asdict(self) | {"ci95": _pair(self.ci95)}


@dataclass(frozen=True)
class Attempt:
    """One try at anything, with its outcome; none is left out and none is repeated in secret."""

    at: float
    """Seconds after the start of the run, host clock."""
    seconds: float
    """How long the try took, host clock: not a result."""
    stage: str
    """``boot``, ``model``, ``warm-up``, ``measure``, ``reclaim``, ``slowdown``."""
    outcome: str
    why: str | None = None
    flavour: str | None = None
    round: int | None = None
    mode: str | None = None
    model: str | None = None
    prompt_tokens: int | None = None
    cache: Cache = None
    page_cache: str | None = None
    subject: str | None = None


@dataclass(frozen=True)
class Report:
    """A whole report. ``build``, ``board`` and ``run`` are provenance: open mappings, shown as they are."""

    build: Mapping[str, Json]
    board: Mapping[str, Json]
    run: Mapping[str, Json]
    attempts: tuple[Attempt, ...] = ()
    rows: tuple[Row, ...] = ()
    ratios: tuple[Ratio, ...] = ()
    holds: tuple[Mapping[str, Json], ...] = field(default=())
    """One entry for each of I1..I9: ``{"name", "text", "state": "has" | "partly" | "not yet", "note", "shown_by"}``."""

    @property
    def valid(self) -> bool:
        """Something was measured, and every row is valid."""
        return bool(self.rows) and all(row.result.valid for row in self.rows)

    def to_json(self) -> dict[str, Json]:
        return {
            "schema": SCHEMA,
            "build": dict(self.build),
            "board": dict(self.board),
            "run": dict(self.run),
            "attempts": [asdict(attempt) for attempt in self.attempts],
            "rows": [row.to_json() for row in self.rows],
            "ratios": [ratio.to_json() for ratio in self.ratios],
            "holds": [dict(hold) for hold in self.holds],
        }

    def write(self, path: Path) -> None:
        """Write report.json. Raises OSError."""
        whole.write_text(path, json.dumps(self.to_json(), indent=1, allow_nan=False) + "\n")


def _pair(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else [interval[0], interval[1]]
