"""``flexkit doctor``: what is missing on this machine."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from flexkit import boards
from flexkit import doctor as doctor_
from flexkit.boards import Instance, LabBoard
from flexkit.cli.common import board_option, bus, json_option, print_json, timeout_option
from flexkit.deadline import Deadline
from flexkit.errors import BadInput, MissingTool


@click.command()
@click.option("--fix", is_flag=True, help="Install what is missing (root or sudo).")
@board_option
@json_option
@timeout_option(1200)
def doctor(fix: bool, board: str | None, lab: Path | None, as_json: bool, deadline: Deadline) -> None:
    """Say what is missing on this machine, each with the command that mends it.

    For a board also the tools that flash and switch it; without -b for every board of the lab.
    """
    wanted = _wanted(board, lab)
    findings = doctor_.examine(deadline, wanted)
    if fix and not all(finding.well for finding in findings):
        with bus().step("install packages"):
            doctor_.fix(deadline, wanted)
        findings = doctor_.examine(deadline, wanted)
    ill = [finding for finding in findings if not finding.well]
    if as_json:
        print_json({"well": not ill, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            click.echo(f"{'ok  ' if finding.well else 'LACK'} {finding.name}: {finding.found}")
            if not finding.well:
                click.echo(f"     {finding.mend}")
    if ill:
        raise MissingTool(f"{len(ill)} of {len(findings)} things are not as they should be")


def _wanted(board: str | None, lab: Path | None) -> list[Instance]:
    """The board named, which may be a type that nobody has here yet; else those of the lab."""
    try:
        site = boards.load_lab(lab)
    except BadInput:
        if board is not None or lab is not None:
            raise
        return []  # a finding of its own says what is wrong with the lab file
    if board in boards.known() and board not in site.boards:
        return [Instance(board, boards.load(board), LabBoard(board))]
    names = list(site.boards) if board is None else [board]
    return [boards.resolve(name, lab) for name in names]


COMMANDS: list[click.Command] = [doctor]
