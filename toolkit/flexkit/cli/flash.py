"""``flexkit flash``: what was built onto a board, proved by reading it back; and back to what was there before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from flexkit import boards, build
from flexkit.boards import Instance
from flexkit.build import Flavour, Manifest
from flexkit.cli.common import board_option, bus, json_option, print_json, timeout_option
from flexkit.deadline import Deadline
from flexkit.drivers import qemu
from flexkit.flash import Deployment, Plan, deploy, make_plan, set_golden
from flexkit.flash import golden as flash_golden
from flexkit.flash import rollback as flash_rollback

_FLAVOUR = click.Choice(["flex", "stock"])


def flavour_option(command: Any) -> Any:
    """Add ``--flavour``: with our monitor and patches, or stock."""
    return click.option(
        "--flavour", type=_FLAVOUR, default="flex", show_default=True, help="flex, or stock (nothing of ours)."
    )(command)


@click.group(invoke_without_command=True)
@board_option
@flavour_option
@click.option("--plan", "only_plan", is_flag=True, help="Only show what would be written; touches no device.")
@click.option("--region", "regions", multiple=True, metavar="REGION", help="Only these; protected ones must be named.")
@click.option("--debug-profile", is_flag=True, help="The debug build, whose figures count in no comparison.")
@json_option
@timeout_option(1800)
@click.pass_context
def flash(
    context: click.Context,
    board: str | None,
    lab: Path | None,
    flavour: Flavour,
    only_plan: bool,
    regions: tuple[str, ...],
    debug_profile: bool,
    as_json: bool,
    deadline: Deadline,
) -> None:
    """Build what is missing and write it onto a board: only what differs, read back, entered in the ledger."""
    if context.invoked_subcommand is not None:
        return
    instance = boards.resolve(board, lab)
    profile: build.Profile = "debug" if debug_profile else "release"
    manifest = build.run(instance.type, bus=bus(), deadline=deadline, flavour=flavour, profile=profile)
    plan = plan_of(instance, manifest, regions)
    if only_plan:
        _show_plan(instance, plan, as_json)
        return
    done = deploy(instance, plan, manifest.parts, profile, bus(), deadline)
    if as_json:
        print_json({"board": instance.name, "flavour": flavour, "build": manifest.identity, "regions": done})
        return
    written = sum(each["written"] for each in done.values())
    click.echo(f"{instance.name}: build {manifest.identity[:12]} ({flavour}) verified, {written} chunks were written")


def plan_of(instance: Instance, manifest: Manifest, regions: tuple[str, ...] = ()) -> Plan:
    """The plan that brings a manifest onto a board."""
    return make_plan(instance.type, manifest.identity, manifest.flavour, manifest.images, manifest.missing, regions)


def _show_plan(instance: Instance, plan: Plan, as_json: bool) -> None:
    folder = qemu.media_folder(instance.name, plan.flavour)
    if as_json:
        writes = [
            {
                "medium": write.medium,
                "region": write.region,
                "offset": write.offset,
                "bytes": write.size,
                "sha256": write.sha256,
                "path": str(write.path) if write.path else None,
            }
            for write in plan.writes
        ]
        missing, left = dict(plan.missing), dict(plan.left)
        print_json({"board": instance.name, "build": plan.build, "writes": writes, "missing": missing, "left": left})
        return
    click.echo(f"{instance.name}: build {plan.build} ({plan.flavour})")
    for write in plan.writes:
        what = write.sha256 or "erased, the board makes it anew"
        click.echo(f"  {write.medium:8} {write.region:12} {write.offset:#012x} {write.size:>10} bytes  {what}")
        if write.path is not None:
            source = f"if={write.path} of={folder / write.medium}.img"
            click.echo(f"    as: dd {source} bs=512 seek={write.offset // 512} conv=notrunc")
    for place, reason in plan.left.items():
        click.echo(f"  {place:21} stays: {reason}")
    for name, source in plan.missing.items():
        click.echo(f"MISSING {name}: {source}")


def _report(instance: Instance, deployment: Deployment, what: str) -> None:
    click.echo(f"{instance.name}: {what} build {deployment.identity[:12]} ({deployment.flavour})")


@flash.command()
@board_option
@flavour_option
@timeout_option(600)
def rollback(board: str | None, lab: Path | None, flavour: Flavour, deadline: Deadline) -> None:
    """Back to the last deployment before this one that was verified and booted with matching identities."""
    instance = boards.resolve(board, lab)
    _report(instance, flash_rollback(instance, flavour, bus(), deadline), "back to")


@flash.command()
@board_option
@flavour_option
@click.option("--set", "mark", is_flag=True, help="Mark what is on the board now.")
@timeout_option(600)
def golden(board: str | None, lab: Path | None, flavour: Flavour, mark: bool, deadline: Deadline) -> None:
    """Back to the deployment that was marked as golden."""
    instance = boards.resolve(board, lab)
    if mark:
        _report(instance, set_golden(instance, flavour), "golden is")
    else:
        _report(instance, flash_golden(instance, flavour, bus(), deadline), "golden again:")


COMMANDS: list[click.Command] = [flash]
