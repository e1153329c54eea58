"""``flexkit boards``: list, show, discover."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from flexkit import boards as boards_
from flexkit.cli.common import json_option, print_json, timeout_option
from flexkit.cli.discover import discover
from flexkit.deadline import Deadline


def _openness(board: boards_.Board) -> str:
    return f"DMA open ({', '.join(board.open_masters)})" if board.open_masters else "DMA gated"


@click.group(name="boards")
def boards() -> None:
    """Board types of the project and the boards of this site."""


@boards.command(name="list")
@click.option("--lab", type=click.Path(path_type=Path, dir_okay=False), default=None, help="The site's lab file.")
@json_option
@timeout_option(30)
def list_(lab: Path | None, as_json: bool, deadline: Deadline) -> None:
    """List board types with their support, then the lab's boards."""
    types = [boards_.load(name) for name in boards_.known()]
    site = boards_.load_lab(lab)
    if as_json:
        kinds = [
            {"name": each.name, "title": each.title, "support": each.support, "dma_open": list(each.open_masters)}
            for each in types
        ]
        print_json({"types": kinds, "boards": [{"name": n, "type": b.type} for n, b in site.boards.items()]})
        return
    for each in types:
        click.echo(f"{each.name:20} {each.support:12} {_openness(each):12} {each.title}")
    for name, settings in site.boards.items():
        click.echo(f"{name:20} of type {settings.type} ({site.path})")


@boards.command()
@click.argument("name", required=False)
@click.option("--lab", type=click.Path(path_type=Path, dir_okay=False), default=None, help="The site's lab file.")
@json_option
@timeout_option(30)
def show(name: str | None, lab: Path | None, as_json: bool, deadline: Deadline) -> None:
    """Show a board: memory, DMA masters and their gates, flash medium, boot stages."""
    types = boards_.known()
    board = boards_.load(name) if name in types else boards_.resolve(name, lab).type
    if as_json:
        print_json(dataclasses.asdict(board))
        return
    click.echo(f"{board.name}: {board.title}\nsupport: {board.support}, isolation: {board.backend}, {_openness(board)}")
    click.echo(f"cores: {board.cpu.cores} ({board.cpu.model}), counter {board.cpu.counter_hz} Hz")
    _ranges("memory", [("dram", board.memory.dram_base, board.memory.dram_size, "nw")])
    _ranges("", [(each.name, each.base, each.size, each.to) for each in board.memory.regions])
    for master in board.dma:
        click.echo(f"dma        {master.name:14} {master.gate}: {master.why}")
    for medium in board.media:
        rows = [
            (each.name, each.offset, each.size, (each.image or "made by the board") + (", protected" * each.protected))
            for each in medium.regions
        ]
        _ranges(medium.name, rows)
    click.echo("boot       " + " > ".join(stage.name for stage in board.boot.stages))


def _ranges(title: str, rows: list[tuple[str, int, int, Any]]) -> None:
    for name, start, size, what in rows:
        click.echo(f"{title:10} {name:14} {start:#014x} {size >> 10:>9} KiB  {what}")
        title = ""


boards.add_command(discover)

COMMANDS: list[click.Command] = [boards]
