"""``flexkit cache``: what builds keep on this machine."""

from __future__ import annotations

import shutil
import stat
from contextlib import suppress
from pathlib import Path

import click

from flexkit import paths
from flexkit.build.store import Store
from flexkit.cli.common import json_option, print_json, timeout_option
from flexkit.deadline import Deadline


@click.group()
def cache() -> None:
    """What builds keep on this machine, and how to be rid of it."""


def _size(folder: Path, deadline: Deadline) -> int:
    """Bytes on the disk below a folder. What somebody removes meanwhile takes none."""
    total = 0
    for path in folder.rglob("*"):
        deadline.check()
        with suppress(FileNotFoundError):
            found = path.lstat()
            total += found.st_blocks * 512 if stat.S_ISREG(found.st_mode) else 0
    return total


@cache.command()
@click.option("--all", "everything", is_flag=True, help="Everything, also what the last build uses.")
@click.option(
    "--sources", is_flag=True, help="Fetched sources and packages: the next build asks the mirror for newer ones."
)
@json_option
@timeout_option(600)
def prune(everything: bool, sources: bool, as_json: bool, deadline: Deadline) -> None:
    """Remove built parts that a later build has replaced."""
    root = paths.cache()
    before = shutil.disk_usage(root).free
    store = Store(root)
    for part in store.parts():
        deadline.check()
        store.retire(part, 0 if everything else 1, age=0.0)
    if everything:
        shutil.rmtree(root / "ccache", ignore_errors=True)
        shutil.rmtree(root / "builds", ignore_errors=True)
    if everything or sources:
        for name in ("sources", "apt"):
            shutil.rmtree(root / name, ignore_errors=True)
    freed = max(0, shutil.disk_usage(root).free - before)
    if as_json:
        print_json({"freed_bytes": freed, "folder": str(root)})
    else:
        click.echo(f"{freed / 1e9:.1f} GB freed below {root}")


@cache.command()
@json_option
@timeout_option(120)
def show(as_json: bool, deadline: Deadline) -> None:
    """Show what takes how much room."""
    root = paths.cache()
    sizes = {path.name: _size(path, deadline) for path in sorted(root.iterdir()) if path.is_dir()}
    if as_json:
        print_json({"folder": str(root), "bytes": sizes})
        return
    for name, size in sizes.items():
        click.echo(f"{size / 1e9:8.2f} GB  {root / name}")


COMMANDS: list[click.Command] = [cache]
