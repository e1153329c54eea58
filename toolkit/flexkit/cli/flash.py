"""``flexkit flash``: what was built onto a board, proved by reading it back; and back to what was there before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import click

from flexkit import boards, build
from flexkit.boards import Instance
from flexkit.boards.medium import Tool
from flexkit.build import Flavour, Manifest
from flexkit.cli.common import board_option, bus, json_option, print_json, source_option, timeout_option
from flexkit.deadline import Deadline
from flexkit.deployed import Deployment, Plan, make_plan
from flexkit.deployed.plan import named
from flexkit.errors import BadInput
from flexkit.flash import backups, deploy, set_golden, slots
from flexkit.flash import golden as flash_golden
from flexkit.flash import rehearse as flash_rehearse
from flexkit.flash import restore as flash_restore
from flexkit.flash import rollback as flash_rollback
from flexkit.flash.ways.choose import Ways, loaders, shown

_FLAVOUR = click.Choice(["flex", "stock"])
TOOLS = get_args(Tool)
_COUNTS = {"repeated": "written again", "disagreed": "looks disagreed", "recovered": "times recovered"}


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
@click.option("--provision", is_flag=True, help="Everything from sector 0, protected regions that have an image too.")
@click.option("--via", type=click.Choice(TOOLS), help="By this tool, where it reaches; else the first that can.")
@click.option(
    "--rehearse",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Onto files in FOLDER: what a card would hold. Touches no device.",
)
@source_option
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
    provision: bool,
    via: str | None,
    rehearse: Path | None,
    sources: dict[str, Path],
    debug_profile: bool,
    as_json: bool,
    deadline: Deadline,
) -> None:
    """Build what is missing and write it onto a board: only what differs, read back, entered in the ledger."""
    if context.invoked_subcommand is not None:
        return
    if regions and provision:
        raise BadInput("--provision is everything: it takes no --region")
    instance = _resolve(board, lab, any_type=only_plan or rehearse is not None)
    named(instance.type, regions)  # a slip of the finger is told before anything is built
    profile: build.Profile = "debug" if debug_profile else "release"
    manifest = build.run(
        instance.type, bus=bus(), deadline=deadline, flavour=flavour, profile=profile, overrides=sources
    )
    plan = plan_of(instance, manifest, _everything(instance) if provision or rehearse else regions)
    ways = Ways(via, rehearse, {name: image.path for name, image in manifest.images.items()}, bus())
    if only_plan:
        _show_plan(instance, plan, manifest, ways, as_json)
        return
    if rehearse is not None:
        done = flash_rehearse(instance, plan, rehearse, bus(), deadline)
    elif via == "ssh":
        done = slots.update(instance, plan, manifest.parts, profile, bus(), deadline)
    else:
        done = deploy(instance, plan, manifest.parts, profile, bus(), deadline, ways)
    if as_json:
        print_json({"board": instance.name, "flavour": flavour, "build": manifest.identity, "regions": done})
        return
    click.echo(f"{instance.name}: build {manifest.identity[:12]} ({flavour}) verified, {_told(done)}")
    if rehearse is not None:
        click.echo(f"onto a card elsewhere: bmaptool copy {rehearse}/MEDIUM.img /dev/CARD")


def _told(done: Mapping[str, Any]) -> str:
    """What a flash took, in words: what was written, and what went wrong on the way."""
    written = [place for place, each in done.items() if each["written"]]
    if not written:
        return "all as it should be: nothing was written"
    chunks = sum(each["written"] for each in done.values())
    said = f"{chunks} chunks were written ({', '.join(written)})"
    for key, words in _COUNTS.items():
        count = sum(each[key] for each in done.values())
        said += f", {count} {words}" if count else ""
    return said


def _resolve(board: str | None, lab: Path | None, *, any_type: bool) -> Instance:
    """The board; where no device is touched, a type that nobody has here will do."""
    if any_type and board in boards.known() and board not in boards.load_lab(lab).boards:
        return Instance(board, boards.load(board), boards.LabBoard(board))
    return boards.resolve(board, lab)


def _everything(instance: Instance) -> tuple[str, ...]:
    """Every region that has an image, by name."""
    media = instance.type.media
    return tuple(f"{medium.name}.{each.name}" for medium in media for each in medium.regions if each.image is not None)


def plan_of(instance: Instance, manifest: Manifest, regions: tuple[str, ...] = ()) -> Plan:
    """The plan that brings a manifest onto a board."""
    return make_plan(instance.type, manifest.identity, manifest.flavour, manifest.images, manifest.missing, regions)


def _show_plan(instance: Instance, plan: Plan, manifest: Manifest, ways: Ways, as_json: bool) -> None:
    missing = dict(plan.missing)
    for name in sorted(loaders(instance, ways) - set(manifest.images)):
        missing[name] = manifest.missing.get(name, "the build did not make it")
    by_place = {}
    for write in plan.writes:
        medium = instance.type.medium(write.medium)
        by_place[f"{write.medium}.{write.region}"] = shown(instance, medium, write, ways, plan.flavour)
    if as_json:
        writes = [
            {
                "medium": write.medium,
                "region": write.region,
                "offset": write.offset,
                "bytes": write.size,
                "sha256": write.sha256,
                "path": str(write.path) if write.path else None,
                "tool": by_place[f"{write.medium}.{write.region}"][0],
                "commands": list(by_place[f"{write.medium}.{write.region}"][1]),
            }
            for write in plan.writes
        ]
        left = dict(plan.left)
        print_json({"board": instance.name, "build": plan.build, "writes": writes, "missing": missing, "left": left})
        return
    click.echo(f"{instance.name}: build {plan.build} ({plan.flavour})")
    for write in plan.writes:
        what = write.sha256 or "erased, the board makes it anew"
        click.echo(f"  {write.medium:8} {write.region:12} {write.offset:#012x} {write.size:>10} bytes  {what}")
        for command in by_place[f"{write.medium}.{write.region}"][1]:
            click.echo(f"    as: {command}")
    for place, reason in plan.left.items():
        click.echo(f"  {place:21} stays: {reason}")
    for name, source in missing.items():
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


@flash.command()
@click.argument("name", required=False)
@board_option
@click.option("--list", "only_list", is_flag=True, help="Show what was backed up; touches no device.")
@json_option
@timeout_option(1800)
def restore(
    name: str | None, board: str | None, lab: Path | None, only_list: bool, as_json: bool, deadline: Deadline
) -> None:
    """Put back what a destructive region held before it was overwritten: NAME is a backup's, or a region's for its
    newest. What is there now is backed up first."""
    instance = boards.resolve(board, lab)
    if only_list:
        _list_backups(instance, as_json)
        return
    if name is None:
        raise BadInput("which backup?", mend=f"flexkit flash restore --list -b {instance.name} shows them")
    done = flash_restore(instance, name, bus(), deadline)
    if as_json:
        print_json({"board": instance.name, "regions": done})
        return
    click.echo(f"{instance.name}: {', '.join(done)} restored, {_told(done)}")


def _list_backups(instance: Instance, as_json: bool) -> None:
    there = backups(instance)
    if as_json:
        print_json({"board": instance.name, "backups": [{**asdict(each), "path": str(each.path)} for each in there]})
        return
    for each in there:
        click.echo(f"{each.name}  {each.place}  {each.size} bytes  {each.time[:19]}  ({each.flavour})")
    if not there:
        click.echo(f"{instance.name}: nothing was ever backed up", err=True)


COMMANDS: list[click.Command] = [flash]
