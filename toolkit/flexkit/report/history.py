"""The kept runs, oldest first, each in one line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from flexkit.report import stats
from flexkit.report.schema import Key, Report
from flexkit.report.store import Stored


@dataclass(frozen=True)
class Line:
    """One figure of one run."""

    run: str
    started: str
    build: str
    board: str
    valid: bool
    median: float | None
    n: int
    unit: str
    configuration: str


def lines(runs: Iterable[Stored], metric: str, mode: str | None, model: str | None, cache: str | None) -> list[Line]:
    """Every row of that metric in every run; the other arguments narrow it. A run without such a row gives none."""
    return [
        line
        for run in runs
        for key, line in _lines(run)
        if key.metric == metric
        and mode in (None, key.mode)
        and cache in (None, key.cache)
        and (model is None or (key.model or "").split("@")[0] == model)
    ]


def _lines(run: Stored) -> Iterable[tuple[Key, Line]]:
    for row in run.report.rows:
        values = row.result.present
        yield (
            row.key,
            Line(
                run=run.folder.name,
                started=_said(run.report.run, "started"),
                build=_said(run.report.build, "identity")[:12],
                board=_said(run.report.board, "name"),
                valid=row.result.valid,
                median=stats.median(values),
                n=len(values),
                unit=row.key.unit,
                configuration=_configuration(row.key),
            ),
        )


def _configuration(key: Key) -> str:
    """Whatever of mode, model, prompt and state the row has, in one word."""
    cache = None if key.cache is None else str(key.cache)
    prompt = None if key.prompt_tokens is None else str(key.prompt_tokens)
    known = (key.mode, cache, key.page_cache, key.model, prompt, key.subject, key.pressure)
    return "/".join(word for word in known if word)


def _said(mapping: object, name: str) -> str:
    value = mapping.get(name) if isinstance(mapping, dict) else None
    return "" if value is None else str(value)


def summary(report: Report) -> str:
    """A run in three words."""
    bad = sum(1 for row in report.rows if not row.result.valid)
    return f"{len(report.rows)} rows, {'all valid' if not bad else f'{bad} not valid'}"
