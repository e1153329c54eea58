"""``flexkit state``, ``power``, ``console``, ``shell``: one board, by hand."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from flexkit import boards, lock
from flexkit.boards import Instance
from flexkit.build import Flavour
from flexkit.cli import terminal
from flexkit.cli.common import board_option, bus, json_option, print_json, timeout_option, write_raw
from flexkit.cli.flash import flavour_option
from flexkit.deadline import Deadline
from flexkit.deployed import Ledger
from flexkit.drivers import Session, open_board, qemu
from flexkit.drivers.access import open_console, power_off, power_on
from flexkit.drivers.bind import bind_wired
from flexkit.drivers.logs import follow_logs
from flexkit.drivers.session import Via

_ENTRIES_SHOWN = 5
_VIA = click.Choice(["serial", "ssh"])


# ---- state ---------------------------------------------------------------------------------------------------------


@click.command()
@board_option
@json_option
@timeout_option(60)
def state(board: str | None, lab: Path | None, as_json: bool, deadline: Deadline) -> None:
    """Whether a board is on and how to reach it, what was flashed, and what its parts report at run time. Fails when
    these are not the parts that were flashed, or a board that is on does not answer."""
    instance = boards.resolve(board, lab)
    described = _describe(instance, deadline)
    try:
        if described["power"] != "off" and described["deployed"] and not described["holder"]:
            _ask(instance, described, deadline)
    finally:
        if as_json:
            print_json(described)
        else:
            _print(described)


def _describe(instance: Instance, deadline: Deadline) -> dict[str, Any]:
    """What is known without asking the board itself."""
    found = None if instance.wired else qemu.running(instance.name)
    book = Ledger(instance.identity)
    described = {
        "board": instance.name,
        "type": instance.type.name,
        "power": "on" if found else "off",
        "flavour": found.flavour if found else None,
        "build": found.build if found else None,
        "qmp": found.qmp if found else None,
        "console": found.console if found else None,
        "ssh": _address(("127.0.0.1", found.ssh_port)) if found else None,
        "holder": lock.holder(instance.identity) or None,
        "deployed": {
            flavour: current.identity for flavour in ("flex", "stock") if (current := book.current(flavour)) is not None
        },
        "ledger": [asdict(entry) for entry in list(book.entries())[-_ENTRIES_SHOWN:]],
        "identities": None,
        "wrong": None,
    }
    if instance.wired:
        described |= _describe_wiring(instance, deadline)
    return described


def _address(address: tuple[str, int]) -> dict[str, object]:
    return {"host": address[0], "port": address[1], "user": "root"}


def _describe_wiring(instance: Instance, deadline: Deadline) -> dict[str, Any]:
    drivers = bind_wired(instance, bus())
    powered = {True: "on", False: "off", None: "unknown"}[drivers.power.is_on(deadline)]
    return {
        "power": powered,
        "console": instance.settings.serial or f"labgrid place {instance.settings.labgrid}",
        "ssh": _address(drivers.ssh()) if drivers.ssh else None,
    }


def _ask(instance: Instance, described: dict[str, Any], deadline: Deadline) -> None:
    flavour: Flavour = "stock" if (described["flavour"] or next(iter(described["deployed"]))) == "stock" else "flex"
    with open_board(instance, deadline, bus(), flavour=flavour, strict=False, revive=False) as session:
        described["identities"] = asdict(session.identity)
        described["wrong"] = list(session.wrong)
        session.check_identity()


def _print(described: dict[str, Any]) -> None:
    """For people: a line each, nothing that is not there."""
    for name, value in described.items():
        rows = _rows(name, value) if value else []
        for index, row in enumerate(rows):
            click.echo(f"{'' if index else name:12}{row}")


def _rows(name: str, value: Any) -> list[str]:
    if name == "ledger":
        return [
            f"{entry['time']}  {entry['action']:5} {entry['flavour']:5} {entry['identity'][:12]}  "
            + ("good" if entry["good"] else "FAILED")
            for entry in value
        ]
    if name == "ssh":
        return [f"{value['user']}@{value['host']}:{value['port']}"]
    if isinstance(value, dict):
        return [f"{key:10} {each}" for key, each in value.items() if each not in ("", None)]
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]


# ---- power ---------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("action", type=click.Choice(["on", "off", "cycle"]))
@board_option
@flavour_option
@timeout_option(150)
def power(action: str, board: str | None, lab: Path | None, flavour: Flavour, deadline: Deadline) -> None:
    """Switch a board on, off, or off and on (cold). It stays on until it is switched off."""
    instance = boards.resolve(board, lab)
    if action in ("off", "cycle"):
        was_on = power_off(instance, deadline, bus())
        click.echo(f"{instance.name}: off{'' if was_on else ' (it was not on)'}")
    if action in ("on", "cycle"):
        identity = power_on(instance, deadline, bus(), flavour)
        click.echo(f"{instance.name}: on, {identity.uname if identity else 'nothing of ours was flashed onto it yet'}")


# ---- console -------------------------------------------------------------------------------------------------------


@click.command()
@board_option
@flavour_option
@click.option("--watch", is_flag=True, help="Only read, also while somebody else uses the board.")
@timeout_option(86400)
def console(board: str | None, lab: Path | None, flavour: Flavour, watch: bool, deadline: Deadline) -> None:
    """Talk to a board's serial console; a shell answers. Leave with Ctrl-]. One that is off is switched on for it."""
    instance = boards.resolve(board, lab)
    if watch:
        _follow(instance, deadline)
        return
    with open_console(instance, deadline, bus(), flavour) as found:
        click.echo(f"{instance.name}: leave with {terminal.LEAVE_NAME}", err=True)
        gone = threading.Event()

        def take(chunk: bytes) -> None:
            terminal.show(chunk)
            if not chunk:
                gone.set()

        found.tap(take)
        terminal.join(found.write, gone.is_set, deadline)
        if gone.is_set():
            raise found.lost(found.why_gone())


def _follow(instance: Instance, deadline: Deadline) -> None:
    """The log of whoever reads the console, as it grows, from one log to the next."""
    click.echo(f"{instance.name}: leave with Ctrl-C", err=True)
    for text in follow_logs(instance.name, deadline):
        click.echo(text, nl=False)


# ---- shell ---------------------------------------------------------------------------------------------------------


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@board_option
@flavour_option
@click.option("--via", type=_VIA, default="serial", show_default=True)
@timeout_option(300)
@click.pass_context
def shell(
    context: click.Context,
    command: tuple[str, ...],
    board: str | None,
    lab: Path | None,
    flavour: Flavour,
    via: Via,
    deadline: Deadline,
) -> None:
    """Run a command on a board and take over its exit status. Without a command: a shell to type into, over SSH with
    ``--via ssh``, else like console."""
    if not command and via == "serial":
        context.invoke(console, board=board, lab=lab, flavour=flavour, watch=False, timeout=deadline.remaining)
        return
    instance = boards.resolve(board, lab)
    with open_board(instance, deadline, bus(), flavour=flavour, via=via) as session:
        if not command:
            context.exit(_ssh_shell(session, deadline))
        result = session.client.execute(" ".join(command), deadline, on_output=write_raw)
    sys.stderr.buffer.write(result.err)
    if result.status:
        context.exit(result.status)


def _ssh_shell(session: Session, deadline: Deadline) -> int:
    """A login shell on a terminal of the board; its exit status."""
    assert session.ssh is not None
    size = shutil.get_terminal_size()
    click.echo(f"{session.instance.name}: leave with exit or {terminal.LEAVE_NAME}", err=True)
    kind = os.environ.get("TERM", "dumb")
    with session.ssh.login(kind, size.columns, size.lines, terminal.show, deadline) as login:
        terminal.join(login.send, login.ended, deadline)
        return login.status()


COMMANDS: list[click.Command] = [state, power, console, shell]
