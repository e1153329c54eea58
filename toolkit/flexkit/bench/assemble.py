"""A report out of what was measured, the build, the board file and this host: provenance as people need it to
repeat or to doubt a figure. No path of this machine goes in."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from flexkit.bench.board import BoardFacts, Flavour
from flexkit.bench.holds import invariants
from flexkit.bench.ratios import ratios
from flexkit.bench.runner import Measured
from flexkit.bench.session import ModelFile, ms
from flexkit.bench.suites import Suite
from flexkit.boards import Instance
from flexkit.report.schema import Report


@dataclass(frozen=True)
class Built:
    """What a build manifest says of one flavour."""

    identity: str
    profile: str
    parts: Mapping[str, str]
    sources: Mapping[str, Any]
    toolchain: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """The circumstances of a run."""

    suite: Suite
    seed: int
    threads: int
    started: datetime
    finished: datetime
    models: tuple[ModelFile, ...]


def report(
    run: Run, measured: Measured, builds: Mapping[Flavour, Built], instance: Instance, lines: Mapping[str, int]
) -> Report:
    """The whole report. Identities that the board reported and the build did not make are a fault of the run, checked
    by the board's driver before a single figure is taken."""
    return Report(
        build=_build(builds, lines),
        board=_board(instance, measured.facts),
        run=_run(run, measured),
        attempts=measured.attempts,
        rows=measured.rows,
        ratios=ratios(measured.rows),
        holds=invariants(),
    )


def _build(builds: Mapping[Flavour, Built], lines: Mapping[str, int]) -> dict[str, Any]:
    said: dict[str, Any] = {}
    flex = builds.get("flex")
    if flex:
        said = {"identity": flex.identity, "profile": flex.profile, "parts": dict(flex.parts)}
        said["sources"] = {name: _source(source) for name, source in flex.sources.items()}
        said["toolchain"] = dict(flex.toolchain)
    stock = builds.get("stock")
    if stock:
        said["stock"] = {"identity": stock.identity, "parts": dict(stock.parts)}
    if lines:
        said["lines"] = dict(lines)
    return said


def _source(source: Any) -> Any:
    """A manifest's word on a source, without where it lies here."""
    return {k: v for k, v in source.items() if k != "path"} if isinstance(source, Mapping) else source


def _board(instance: Instance, facts: Mapping[Flavour, BoardFacts]) -> dict[str, Any]:
    board = instance.type
    said: dict[str, Any] = {
        "name": instance.name,
        "type": board.name,
        "title": board.title,
        "support": board.support,
        "isolation": board.backend,
        "cores": board.cpu.cores,
        "cpu": board.cpu.model,
        "memory_bytes": board.memory.dram_size,
        "counter_hz": board.cpu.counter_hz,
        "dma_open": bool(board.open_masters),
        "rollback_refused": board.refuses_rollback,
        "dma": [asdict(master) for master in board.dma],
    }
    if board.emulator:
        said["machine"] = board.emulator.machine
        said["storage_read_bytes_per_second"] = board.emulator.storage_read_bytes_per_second
    for flavour, fact in facts.items():
        said.setdefault("emulator", fact.emulator)
        said[flavour] = {
            "kernel": fact.kernel,
            "clock": fact.clock,
            "evidence": fact.evidence,
            "via": fact.via,
            "identities": dict(fact.identities),
        }
    return said


def _run(run: Run, measured: Measured) -> dict[str, Any]:
    said: dict[str, Any] = {
        "suite": run.suite.name,
        "rounds": run.suite.rounds,
        "seed": run.seed,
        "threads": run.threads,
        "modes": list(run.suite.modes),
        "models": [model.label for model in run.models],
        "started": run.started.strftime("%Y-%m-%d %H:%M UTC"),
        "finished": run.finished.strftime("%Y-%m-%d %H:%M UTC"),
        "boot_to_prompt_seconds": {
            flavour: round(fact.boot_seconds, 2) for flavour, fact in measured.facts.items() if fact.boot_seconds
        },
        "first_figure_after_seconds": None if measured.first_figure is None else round(measured.first_figure, 1),
        "duration_seconds": round((run.finished - run.started).total_seconds(), 1),
        "host": _host(),
    }
    flex = measured.facts.get("flex")
    if measured.stats and flex:
        longest = ms(measured.stats.el3_max_ticks, flex.counter_hz) * 1000
        said["longest_stay_in_el3_us"] = round(longest, 1)
        said["longest_stay_in_el3_call"] = f"monitor call {measured.stats.el3_max_call:#04x}"
        for name in ("on", "off"):
            ticks = measured.stats.extra.get(f"monitor.protect_{name}_ticks")
            if ticks:
                said[f"last_switch_of_protection_{name}_ms"] = round(ms(ticks, flex.counter_hz), 2)
    return said


def _host() -> dict[str, Any]:
    return {
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cpu": _cpu_model(Path("/proc/cpuinfo")),
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
    }


def _cpu_model(cpuinfo: Path) -> str | None:
    """The host's processor by name; None where Linux does not say."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), None)
