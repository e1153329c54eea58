"""``flexkit doctor``: what is missing on this machine."""

from __future__ import annotations

from dataclasses import asdict

import click

from flexkit import doctor as doctor_
from flexkit.cli.common import bus, json_option, print_json, timeout_option
from flexkit.deadline import Deadline
from flexkit.errors import MissingTool


@click.command()
@click.option("--fix", is_flag=True, help="Install what is missing (root or sudo).")
@json_option
@timeout_option(1200)
def doctor(fix: bool, as_json: bool, deadline: Deadline) -> None:
    """Say what is missing on this machine, each with the command that mends it."""
    findings = doctor_.examine(deadline)
    if fix and not all(finding.well for finding in findings):
        with bus().step("install packages"):
            doctor_.fix(deadline)
        findings = doctor_.examine(deadline)
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


COMMANDS: list[click.Command] = [doctor]
