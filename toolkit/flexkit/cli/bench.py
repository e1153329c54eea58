"""``flexkit bench``: measure a board, and leave a report."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from flexkit import boards, build, paths
from flexkit.bench import lines, reference, virtual
from flexkit.bench.assemble import Built, Run, report
from flexkit.bench.board import Flavour
from flexkit.bench.linked import open_bench_board
from flexkit.bench.record import Recorder
from flexkit.bench.runner import FLAVOURS, Measured, Runner
from flexkit.bench.session import Session, Setting
from flexkit.bench.suites import FLAVOUR_OF, MODES, SUITES, Suite, find
from flexkit.bench.virtual import VirtualRunner
from flexkit.cli.common import board_option, bus, json_option, print_json, timeout_option
from flexkit.deadline import Deadline
from flexkit.drivers.logs import copy_logs
from flexkit.errors import BadInput, Invalid, TimedOut
from flexkit.events import Bus, Event, Phase
from flexkit.report import store, verdict
from flexkit.report.schema import Report


@click.command()
@board_option
@click.option("--suite", default="quick", show_default=True, metavar="|".join(SUITES), help="What to measure.")
@click.option("--mode", "modes", multiple=True, type=click.Choice(MODES), help="Only this mode (repeatable).")
@click.option(
    "--clock", type=click.Choice(["wall", "virtual"]), default="wall", show_default=True, help="An emulator's clock."
)
@click.option("--rounds", type=click.IntRange(1, 1000), default=None, help="Rounds. [default: the suite's]")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Order of the runs in each round.")
@click.option("--threads", type=click.IntRange(1, 64), default=None, help="Of the engine. [default: the board's cores]")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), help="Write the report there instead."
)
@json_option
@timeout_option(7200)
def bench(
    board: str | None,
    lab: Path | None,
    suite: str,
    modes: tuple[str, ...],
    clock: str,
    rounds: int | None,
    seed: int,
    threads: int | None,
    output: Path | None,
    as_json: bool,
    deadline: Deadline,
) -> None:
    """Measure a board and write report.json and index.html; also of a run that was interrupted.

    The report goes to reports/latest, or to the folder of -o, whose report is replaced; each run is also kept under
    reports/runs. Every answer is checked against the reference engine. Exit code 1 when a row is not valid.
    """
    instance = boards.resolve(board, lab)
    memory = instance.type.memory
    chosen = find(suite).only(modes).fitting(memory.dram_size, memory.cma_bytes)
    chosen = virtual.virtual(chosen) if clock == "virtual" else chosen
    chosen = replace(chosen, rounds=rounds) if rounds else chosen
    if clock == "virtual" and not instance.type.emulated:
        raise BadInput(f"{instance.name} has no virtual clock: it is not emulated")
    if output:
        store.make_folder(output)
    listener = bus()
    if not click.get_current_context().find_root().params.get("verbose"):
        listener.subscribers.append(_tell)  # with -v all notes are told anyway
    started = datetime.now(UTC)
    threads = threads or chosen.threads or instance.type.cpu.cores
    made, measured = _measure(chosen, instance, threads, clock, seed, deadline, listener)
    folder = store.keep(made, output)
    copy_logs(instance.name, started, folder)
    page = folder / store.PAGE
    if as_json:
        print_json(
            {"valid": made.valid, "report": str(folder / store.REPORT), "page": str(page), "rows": len(made.rows)}
        )
    else:
        click.echo(verdict.verdict(made))
        click.echo(str(page))
    if measured.stopped:
        raise measured.stopped
    if not made.valid:
        if deadline.expired:
            raise TimedOut(f"bench: not done after {deadline.seconds:g} s; the report says what was measured")
        if measured.lost:
            why = measured.lost.message
            measured.lost.message = f"the board was not measured to the end, the report says what is missing: {why}"
            raise measured.lost
        raise Invalid("the benchmark is not valid; the report says why")


def _measure(
    suite: Suite, instance: boards.Instance, threads: int, clock: str, seed: int, deadline: Deadline, bus: Bus
) -> tuple[Report, Measured]:
    """Build what is not built, measure, and put the report together."""
    started, recorder = datetime.now(UTC), Recorder(suite.rounds)
    builds = {flavour: _built(instance, flavour, deadline, bus) for flavour in _flavours(suite)}
    with bus.step("models"):
        models = reference.model_files(suite.models, bus)
    with closing(open_bench_board(instance, bus, deadline)) as target:
        session = Session(
            board=target,
            recorder=recorder,
            setting=_setting(instance, threads, clock, builds),
            deadline=deadline,
            bus=bus,
            built={flavour: built.parts for flavour, built in builds.items()},
        )
        chosen = VirtualRunner if clock == "virtual" else Runner
        runner = chosen(suite, session, models, reference.oracle(), reference.prompt_of, seed)
        measured = runner.run_batch(target) if isinstance(runner, VirtualRunner) else runner.run()
    run = Run(suite, seed, threads, started, datetime.now(UTC), tuple(models.values()))
    return report(run, measured, builds, instance, lines.trusted(paths.project(), instance.type)), measured


def _flavours(suite: Suite) -> list[Flavour]:
    needed = {FLAVOUR_OF[mode] for mode in suite.modes}
    return [flavour for flavour in FLAVOURS if flavour in needed]


def _built(instance: boards.Instance, flavour: Flavour, deadline: Deadline, bus: Bus) -> Built:
    manifest = build.run(instance.type, bus=bus, deadline=deadline, flavour=flavour)
    return Built(manifest.identity, manifest.profile, manifest.parts, manifest.sources, manifest.toolchain)


def _setting(instance: boards.Instance, threads: int, clock: str, builds: Mapping[Flavour, Built]) -> Setting:
    emulated = instance.type.emulated
    profiles = {built.profile for built in builds.values()}
    return Setting(
        threads=threads,
        clock=clock if emulated else "board",
        evidence=f"emulated-{clock}" if emulated else "silicon",
        via="memory" if clock == "virtual" else None,
        profile="debug" if "debug" in profiles else "release",
    )


def _tell(event: Event) -> None:
    """Figures as they come: what people wait for, so without -v."""
    if event.phase is Phase.NOTE and event.step in ("measure", "warm-up", "reclaim", "slowdown", "boot"):
        click.echo(f"  {event.detail}", err=True)


COMMANDS: list[click.Command] = [bench]
