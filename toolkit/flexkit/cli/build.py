"""``flexkit build``: the images of a board."""

from __future__ import annotations

from pathlib import Path

import click

from flexkit import boards, build
from flexkit.cli.common import board_option, bus, json_option, print_json, source_option, timeout_option
from flexkit.deadline import Deadline

_FLAVOURS: dict[str, tuple[build.Flavour, ...]] = {"flex": ("flex",), "stock": ("stock",), "all": ("flex", "stock")}


@click.command(name="build")
@click.argument("parts", nargs=-1, metavar="[PART]...")
@board_option
@click.option(
    "--flavour",
    type=click.Choice(list(_FLAVOURS)),
    default="flex",
    show_default=True,
    help="stock: without our patches.",
)
@click.option("--debug-profile", is_flag=True, help="Build the debug profile; its benchmarks are marked invalid.")
@source_option
@click.option("--modules-dir", is_flag=True, help="Print the kernel tree against which out-of-tree modules build.")
@json_option
@timeout_option(3600)
def build_(
    parts: tuple[str, ...],
    board: str | None,
    lab: Path | None,
    flavour: str,
    debug_profile: bool,
    sources: dict[str, Path],
    modules_dir: bool,
    as_json: bool,
    deadline: Deadline,
) -> None:
    """Build the images of a board, or only some PARTs of them.

    What is in the cache already is not built again.
    """
    types = boards.known()
    kind = boards.load(board) if board in types else boards.resolve(board, lab).type
    wanted: build.Profile = "debug" if debug_profile else "release"
    if modules_dir and not parts:
        parts = ("kernel",)
    manifests = [
        build.run(
            kind,
            bus=bus(),
            deadline=deadline,
            flavour=each,
            profile=wanted,
            parts=parts,
            overrides=sources,
        )
        for each in _FLAVOURS[flavour]
    ]
    if as_json:
        described = [manifest.describe() for manifest in manifests]
        print_json(described[0] if len(described) == 1 else described)
        return
    for manifest in manifests:
        _show(manifest)
    if modules_dir:
        click.echo(manifests[0].outputs["kernel"] / "tree")


def _show(manifest: build.Manifest) -> None:
    click.echo(f"{manifest.board} {manifest.flavour} {manifest.profile}: build {manifest.identity}", err=True)
    for name, key in manifest.parts.items():
        click.echo(f"  {name:10} {key}  {manifest.outputs[name]}", err=True)
    for name, source in manifest.sources.items():
        click.echo(f"  {name:10} {source['version']} ({source['label']})", err=True)
    for name, reason in manifest.missing.items():
        click.echo(f"MISSING {name}: {reason}", err=True)
    if manifest.path:
        click.echo(manifest.path)


COMMANDS: list[click.Command] = [build_]
