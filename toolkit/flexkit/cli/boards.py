"""``flexkit boards``: list, show, discover."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from flexkit import boards as boards_
from flexkit.cli.common import json_option, lab_option, print_json, timeout_option
from flexkit.cli.discover import discover
from flexkit.deadline import Deadline

# What was never run on silicon says so, wherever a board is named.
_SUPPORT = {
    "silicon": "silicon",
    "emulated": "emulated, never on silicon",
    "built only": "built only, never run",
}


def _openness(board: boards_.Board) -> str:
    return f"DMA open ({', '.join(board.open_masters)})" if board.open_masters else "DMA gated"


def _rollback(board: boards_.Board) -> str:
    return "rollback refused" if board.refuses_rollback else "rollback not refused"


def _isolation(board: boards_.Board) -> str:
    return "no monitor" if board.backend == "none" else f"monitor, {board.backend}"


@click.group(name="boards")
def boards() -> None:
    """Board types of the project and the boards of this site."""


@boards.command(name="list")
@lab_option
@json_option
@timeout_option(30)
def list_(lab: Path | None, as_json: bool, deadline: Deadline) -> None:
    """List board types with their support, then the lab's boards."""
    types = [boards_.load(name) for name in boards_.known()]
    site = boards_.load_lab(lab)
    if as_json:
        kinds = [
            {
                "name": each.name,
                "title": each.title,
                "support": each.support,
                "silicon": each.support == "silicon",
                "isolation": each.backend,
                "monitor_missing": each.build.monitor_missing or None,
                "dma_open": list(each.open_masters),
                "rollback_refused": each.refuses_rollback,
            }
            for each in types
        ]
        print_json({"types": kinds, "boards": [{"name": n, "type": b.type} for n, b in site.boards.items()]})
        return
    for each in types:
        gates = "DMA open" if each.open_masters else "DMA gated"
        columns = f"{_SUPPORT[each.support]:27} {_isolation(each):17} {gates:10} {_rollback(each):21}"
        click.echo(f"{each.name:16} {columns} {each.title}")
    for name, settings in site.boards.items():
        click.echo(f"{name:20} of type {settings.type} ({site.path})")


@boards.command()
@click.argument("name", required=False)
@lab_option
@json_option
@timeout_option(30)
def show(name: str | None, lab: Path | None, as_json: bool, deadline: Deadline) -> None:
    """Show a board: memory, DMA masters and their gates, flash medium, boot stages."""
    types = boards_.known()
    board = boards_.load(name) if name in types else boards_.resolve(name, lab).type
    if as_json:
        print_json(dataclasses.asdict(board))
        return
    click.echo(f"{board.name}: {board.title} ({board.soc})")
    support = f"support: {_SUPPORT[board.support]}; isolation: {_isolation(board)}"
    click.echo(f"{support}; {_openness(board)}; {_rollback(board)}")
    if board.build.monitor_missing:
        click.echo(f"no monitor: {board.build.monitor_missing}")
    click.echo(f"cores: {board.cpu.cores} ({board.cpu.model}), counter {board.cpu.counter_hz} Hz")
    _ranges("memory", [("dram", board.memory.dram_base, board.memory.dram_size, "nw")])
    _ranges("", [(each.name, each.base, each.size, each.to) for each in board.memory.regions])
    for master in board.dma:
        click.echo(f"dma        {master.name:14} {master.gate}: {master.why}")
    for medium in board.media:
        _ranges(medium.name, [(each.name, each.offset, each.size, _holds(each)) for each in medium.regions])
        for way in medium.ways:
            hands = f" ({way.hands})" if way.hands else ""
            click.echo(f"{'':10} by {way.tool}{' to ' + way.at if way.at else ''}{hands}")
    click.echo("boot ROM   " + " > ".join(board.boot.rom))
    click.echo("boot       " + " > ".join(stage.name for stage in board.boot.stages))
    for blob in board.build.blobs:
        click.echo(f"not ours   {blob.name:14} {blob.source}")


def _holds(region: boards_.MediumRegion) -> str:
    words = [region.image or "made by the board"]
    words += ["protected"] if region.protected else []
    return ", ".join([*words, "destructive"] if region.destructive else words)


def _ranges(title: str, rows: list[tuple[str, int, int, Any]]) -> None:
    for name, start, size, what in rows:
        click.echo(f"{title:10} {name:14} {start:#014x} {size >> 10:>9} KiB  {what}")
        title = ""


boards.add_command(discover)

COMMANDS: list[click.Command] = [boards]
