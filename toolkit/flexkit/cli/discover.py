"""``flexkit boards discover``: what is connected, and one of it into the lab file."""

from __future__ import annotations

import dataclasses
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from flexkit import boards
from flexkit.boards.enroll import enroll, refuse_name
from flexkit.boards.wiring import UhubctlPower as UhubctlWiring
from flexkit.cli.common import bus, json_option, lab_option, print_json, timeout_option
from flexkit.deadline import Deadline
from flexkit.drivers.discovery import CardReader, Found, SerialPort, UsbBoard, look, switch_of, wait_new
from flexkit.drivers.power import UhubctlPower
from flexkit.errors import BadInput, BoardLost

_CARDS = (stat.S_ISBLK, stat.S_ISREG)  # an emulated one is a file
T = TypeVar("T", SerialPort, UsbBoard, CardReader)


@click.command()
@click.option("--add", "name", metavar="NAME", help="Write the connected board into the lab file under this name.")
@click.option("--type", "kind", metavar="TYPE", help="Its board type, where USB does not tell.")
@click.option("--serial", metavar="PORT", help="Its console, where several ports are there.")
@click.option("--usb", metavar="PORT", help="The USB port that it hangs on, where several boards are there: 1-1.4.")
@click.option("--sd", metavar="DEVICE", help="The card reader that its card is written in.")
@click.option("--ssh", metavar="HOST", help="Its address in the network, where it has one.")
@click.option("--tftp", metavar="FOLDER", help="The TFTP server's folder that its U-Boot loads from.")
@click.option("--server", metavar="ADDRESS", help="That server, as the board sees it; else DHCP says it.")
@click.option("--power", metavar="HOW", help="What switches it: uhubctl, or a command with {} for on and off.")
@click.option("--power-state", metavar="COMMAND", help="Tells by its exit status whether it is on (0) or off (1).")
@click.option("--wait", is_flag=True, help="Wait until something is plugged in, and take that alone.")
@lab_option
@json_option
@timeout_option(60)
def discover(
    name: str | None,
    kind: str | None,
    serial: str | None,
    usb: str | None,
    sd: str | None,
    ssh: str | None,
    tftp: str | None,
    server: str | None,
    power: str | None,
    power_state: str | None,
    wait: bool,
    lab: Path | None,
    as_json: bool,
    deadline: Deadline,
) -> None:
    """Show serial ports, boards in a loader mode and card readers here; with --add, put a board into the lab."""
    if name is not None:
        refuse_name(name, lab)
    if kind is not None:
        boards.load(kind)
    if power is not None:
        _check_power(power)
    types = [boards.load(each) for each in boards.known()]
    path = boards.lab_file(lab)
    site = boards.load_lab(path) if path is not None and path.is_file() else boards.Lab(None, None, {})
    found = _wait(types, deadline) if wait else look(types)
    settings: dict[str, Any] = {}
    if name is not None:
        settings |= choose(_unclaimed(found, site), kind, serial, usb, sd)
        told = {"ssh": ssh, "tftp": tftp, "server": server}
        settings |= {key: value for key, value in told.items() if value}
        if power is not None:
            settings["power"] = power_table(power, power_state, _usb_port(found, settings), deadline)
        path = enroll(name, settings, lab)
        click.echo(f"{name} is in {path} now; next: flexkit flash -b {name}", err=True)
    if as_json:
        print_json({**dataclasses.asdict(found), "added": settings or None})
    else:
        _show(found, site, added=name is not None)


def _wait(types: Sequence[boards.Board], deadline: Deadline) -> Found:
    def tell(before: Found) -> None:
        count = len(before.ports) + len(before.boards) + len(before.readers)
        bus().note("discover", f"{count} devices were there before")
        click.echo("plug it in, or switch it on, now", err=True)

    found = wait_new(types, deadline, tell)
    if not found:
        raise BadInput(
            f"nothing was plugged in within {deadline.seconds:g} s",
            mend="another cable or port? dmesg tells more",
        )
    return found


def _claims(site: boards.Lab) -> dict[str, str]:
    """Devices and USB ports of boards that the lab has, and whose they are."""
    claims = {}
    for name, settings in site.boards.items():
        for each in (settings.serial, settings.usb, settings.sd):
            if each:
                claims[each] = name
    return claims


def _unclaimed(found: Found, site: boards.Lab) -> Found:
    claims = _claims(site)
    return Found(
        tuple(each for each in found.ports if not claims.keys() & {each.device, each.node}),
        tuple(each for each in found.boards if each.usb not in claims),
        tuple(each for each in found.readers if not claims.keys() & {each.device, each.node}),
    )


def _usb_port(found: Found, settings: Mapping[str, Any]) -> str:
    """The USB port that feeds a board: its own, else its serial converter's; empty: it hangs on none."""
    own = settings.get("usb", "")
    return own or next((port.usb for port in found.ports if port.device == settings.get("serial")), "")


def power_table(how: str, state: str | None, usb: str, deadline: Deadline) -> dict[str, str | int]:
    """The table ``power`` of lab.toml for ``--power``. Raises BadInput where nothing would be switched by it."""
    _check_power(how)
    if how == "uhubctl":
        return _hub_port(usb, deadline)
    table: dict[str, str | int] = {"driver": "command", "on": how.replace("{}", "on"), "off": how.replace("{}", "off")}
    return table | ({"state": state} if state else {})


def _check_power(how: str) -> None:
    if how != "uhubctl" and "{}" not in how:
        raise BadInput(
            f"--power {how!r} says neither uhubctl nor where on and off go",
            mend="for example: --power 'pdu 7 {}'; the other drivers are in boards/README.md, for lab.toml",
        )


def _hub_port(usb: str, deadline: Deadline) -> dict[str, str | int]:
    """The hub and port of a USB path, if that hub switches: many do not."""
    if not usb:
        raise BadInput("the board hangs on no USB port of this host that could be switched", mend="--power COMMAND")
    hub, port = switch_of(usb)
    try:
        switches = UhubctlPower(UhubctlWiring("uhubctl", hub, port)).is_on(deadline) is not None
    except BoardLost:
        switches = False
    if not switches:
        raise BadInput(f"hub {hub} does not switch its port {port}", mend="a hub that does, or --power COMMAND")
    return {"driver": "uhubctl", "hub": hub, "port": port}


def _unlisted(named: str | None, *kinds: Callable[[int], bool]) -> str | None:
    """What udev does not list as USB's, as it was named: a console of a console server or of this host itself, a card
    that is no removable one. ``kinds``: what such a file may be."""
    if named is None or named.startswith(("socket://", "rfc2217://")):
        return named
    try:
        mode = Path(named).stat().st_mode
    except OSError:
        return None
    return named if any(kind(mode) for kind in kinds) else None


def choose(found: Found, kind: str | None, serial: str | None, usb: str | None, sd: str | None) -> dict[str, str]:
    """The settings of the board that is there. Raises BadInput when that is none, or one of several."""
    listed = [port for port in found.ports if serial in (port.device, port.node, port.usb)]
    other = None if listed else _unlisted(serial, stat.S_ISCHR)
    port = None if other else _only("serial port", "--serial", found.ports, serial)
    board = _only("board on USB", "--usb", found.boards, usb)
    card = None if any(sd in (each.device, each.node) for each in found.readers) else _unlisted(sd, *_CARDS)
    reader = _only("card reader", "--sd", found.readers, sd) if sd and not card else None
    if port is None and board is None and other is None:
        raise BadInput(
            "no board that the lab file does not have is connected",
            mend="connect its serial console, or hold it in its loader mode; flexkit boards discover --wait tells when",
        )
    settings = {"type": _type(kind, board)}
    if port is not None or other is not None:
        settings["serial"] = port.device if port else str(other)
    if board is not None:
        settings["usb"] = board.usb
    if reader is not None or card is not None:
        settings["sd"] = reader.device if reader else str(card)
    named = board or port
    return settings | ({"identity": named.identity} if named else {})


def _only(what: str, option: str, there: Sequence[T], wanted: str | None) -> T | None:
    """The one that was asked for, else the only one, else None."""
    if wanted is not None:
        names = [{getattr(each, key, "") for key in ("device", "node", "usb")} for each in there]
        there = [each for each, known in zip(there, names, strict=True) if wanted in known]
        if not there:
            raise BadInput(f"no {what} {wanted!r} is here", mend="see: flexkit boards discover")
    if len(there) > 1:
        several = ", ".join(getattr(each, "device", "") or getattr(each, "usb", "") for each in there)
        raise BadInput(f"there is more than one {what}: {several}", mend=f"say which: {option}")
    return there[0] if there else None


def _type(kind: str | None, board: UsbBoard | None) -> str:
    if kind is not None:
        boards.load(kind)
        return kind
    types = board.types if board else ()
    if len(types) == 1:
        return types[0]
    if types:
        raise BadInput(f"it can be {', '.join(types)}: USB does not tell which", mend="say which: --type")
    raise BadInput("nothing tells what type of board it is", mend=f"say it: --type {'|'.join(boards.known())}")


def _show(found: Found, site: boards.Lab, *, added: bool) -> None:
    """A line each; whose it is, where the lab file has it."""
    claims = _claims(site)
    for port in found.ports:
        owner = claims.get(port.device) or claims.get(port.node)
        click.echo(f"serial  {port.device}  {port.title} on USB port {port.usb}{_of(owner)}")
    for board in found.boards:
        kinds = " or ".join(board.types) or "a board"
        click.echo(f"board   {board.usb}  {kinds} in mode {board.mode} ({board.id}){_of(claims.get(board.usb))}")
        if board.hands:
            click.echo(f"        {board.hands}")
    for reader in found.readers:
        owner = claims.get(reader.device) or claims.get(reader.node)
        card = f"card of {reader.size / 1e9:.1f} GB" if reader.size else "no card"
        click.echo(f"reader  {reader.device}  {reader.title}, {card}{_of(owner)}")
    if not found and not added:
        click.echo("nothing that could be a board's is connected", err=True)


def _of(owner: str | None) -> str:
    return f": {owner}" if owner else ""
