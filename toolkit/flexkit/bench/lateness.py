"""How late interrupts of the normal world come beside inference: a timer on each core, which the driver reads off
(debugfs ``flexserve/latency``; flex flavour)."""

from __future__ import annotations

from typing import Any

from flexkit.bench.pressure import shell
from flexkit.bench.record import Metric
from flexkit.bench.session import Question, Session
from flexkit.bench.suites import Lateness, Variant
from flexkit.bench.tasks import Job, generation_cell
from flexkit.errors import FlexError
from flexkit.report.schema import Key

_FILE = "/sys/kernel/debug/flexserve/latency"
_QUANTILES = ("p50", "p999", "max")
_METRICS = {name: Metric(f"interrupt.{name}", "us") for name in _QUANTILES}
_WHOM = {"all": "all interrupts", "secure": "in the firmware"}
"""The driver's word -> a row's subject: "secure" are those that came while payload or monitor had the core."""


def lateness(session: Session, suite: str, spec: Lateness, question: Question, variant: Variant, round_: int) -> Job:
    """One answer beside a running timer, the worst core's figures."""
    whom = list(_WHOM) if variant.mode == "flexserve" else ["all"]
    cells: dict[str, Key] = {
        who: generation_cell(session, suite, question, variant, subject=_WHOM[who]) for who in whom
    }
    where = session.where(question, variant, round=round_, subject="interrupts beside it")

    def action() -> None:
        with session.recorder.attempt("measure", *cells.values(), **where):
            session.prepare(variant, question)
            _run(session, f"echo {spec.period_us} > {_FILE}")
            try:
                question.expected.check(session.ask(question, variant))
            finally:
                said = _run(session, f"echo 0 > {_FILE} && cat {_FILE}")
            for who, cell in cells.items():
                for name, value in _worst(said, who).items():
                    session.recorder.put(cell, _METRICS[name], round_, value / 1000)

    return Job("measure", where, {cell: tuple(_METRICS.values()) for cell in cells.values()}, action)


def _run(session: Session, script: str) -> str:
    return shell(session, ("sh", "-c", script), "interrupt latency").out


def _worst(said: str, who: str) -> dict[str, int]:
    """Nanoseconds of the core on which they are most, for each quantile. FlexError when nothing was sampled."""
    lines: dict[str, Any] = dict(line.split(": ") for line in said.splitlines() if ": " in line)
    found: dict[str, int] = {}
    for name in _QUANTILES:
        values = [int(value) for key, value in lines.items() if key.endswith(f"_{who}_{name}")]
        if not values or max(values) <= 0:
            raise FlexError(f"the driver sampled no interrupts ({who})")
        found[name] = max(values)
    return found
