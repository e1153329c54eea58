"""``flexkit state``, ``power``, ``console``, ``shell``: one board, by hand."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click

from flexkit import boards
from flexkit.boards import Instance
from flexkit.build import Flavour
from flexkit.cli.common import board_option, bus, json_option, print_json, timeout_option
from flexkit.cli.flash import flavour_option
from flexkit.deadline import Deadline
from flexkit.drivers import lock, open_board, qemu
from flexkit.drivers.session import Via, power_off, power_on
from flexkit.errors import BoardLost
from flexkit.flash import Ledger

_LEAVE = b"\x1d"  # Ctrl-]
_VIA = click.Choice(["serial", "ssh"])


# ---- state ---------------------------------------------------------------------------------------------------------


@click.command()
@board_option
@json_option
@timeout_option(60)
def state(board: str | None, lab: Path | None, as_json: bool, deadline: Deadline) -> None:
    """Whether a board is on and how to reach it, what was flashed, and what its parts report at run time."""
    instance = boards.resolve(board, lab)
    described = _describe(instance, deadline)
    if as_json:
        print_json(described)
        return
    for name, value in described.items():
        click.echo(f"{name:12} {value if value not in (None, '', {}) else '-'}")


def _describe(instance: Instance, deadline: Deadline) -> dict[str, object]:
    found = qemu.running(instance.name)
    holder = lock.holder(instance.name)
    book = Ledger(instance.name)
    described: dict[str, object] = {
        "board": instance.name,
        "type": instance.type.name,
        "power": "on" if found else "off",
        "flavour": found.flavour if found else None,
        "build": found.build if found else None,
        "qmp": found.qmp if found else None,
        "console": found.console if found else None,
        "ssh": {"host": "127.0.0.1", "port": found.ssh_port, "user": "root"} if found else None,
        "holder": holder or None,
        "deployed": {
            flavour: current.identity for flavour in ("flex", "stock") if (current := book.current(flavour)) is not None
        },
        "ledger": [asdict(entry) for entry in list(book.entries())[-5:]],
        "identities": None,
    }
    if found is not None and not holder:
        flavour: Flavour = "stock" if found.flavour == "stock" else "flex"
        with open_board(instance, deadline, bus(), flavour=flavour) as session:
            described["identities"] = asdict(session.identity)
    return described


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
        was_on = power_off(instance, deadline)
        click.echo(f"{instance.name}: off{'' if was_on else ' (it was not on)'}")
    if action in ("on", "cycle"):
        identity = power_on(instance, deadline, bus(), flavour)
        click.echo(f"{instance.name}: on, {identity.uname}")


# ---- console -------------------------------------------------------------------------------------------------------


@contextmanager
def _raw_terminal() -> Iterator[None]:
    if not sys.stdin.isatty():
        yield
        return
    kept = termios.tcgetattr(sys.stdin)
    try:
        tty.setraw(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, kept)


@click.command()
@board_option
@flavour_option
@timeout_option(86400)
def console(board: str | None, lab: Path | None, flavour: Flavour, deadline: Deadline) -> None:
    """Talk to a board's serial console; a shell answers. Leave with Ctrl-]. A board that is off is booted for it."""
    instance = boards.resolve(board, lab)
    with open_board(instance, deadline, bus(), flavour=flavour) as session:
        session.client.connection.close()
        click.echo(f"{instance.name}: leave with Ctrl-]", err=True)
        gone = False

        def show(chunk: bytes) -> None:
            nonlocal gone
            gone = gone or not chunk
            os.write(sys.stdout.fileno(), chunk)

        with _raw_terminal():
            session.console.tap(show)
            session.console.write(b"\r")
            while not gone and not deadline.expired:
                if not select.select([sys.stdin], [], [], 0.2)[0]:
                    continue
                typed = os.read(sys.stdin.fileno(), 1024)
                if not typed or _LEAVE in typed:
                    break
                session.console.write(typed)
        if gone:
            raise session.console.lost(session.power.why_dead() or "its console is closed")


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
    """Run a command on a board and take over its exit status. Without a command: like console."""
    if not command:
        context.invoke(console, board=board, lab=lab, flavour=flavour, timeout=deadline.remaining)
        return
    instance = boards.resolve(board, lab)
    with open_board(instance, deadline, bus(), flavour=flavour, via=via) as session:
        result = session.client.execute(" ".join(command), deadline, on_output=_write)
    sys.stderr.buffer.write(result.err)
    if result.status:
        context.exit(result.status)


def _write(chunk: bytes) -> None:
    try:
        sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise BoardLost("nobody reads the output any more") from None


COMMANDS: list[click.Command] = [state, power, console, shell]
