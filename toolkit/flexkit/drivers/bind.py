"""The drivers of a board, bound by what its lab file says: an emulated board is one set of them, a wired one
another."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flexkit import proc
from flexkit.boards import Instance
from flexkit.deadline import Deadline
from flexkit.drivers import lines, qemu
from flexkit.drivers.console import Console
from flexkit.drivers.diagnosis import advise
from flexkit.drivers.logs import new_log
from flexkit.drivers.power import LabgridPower, ManualPower, power_of
from flexkit.drivers.protocols import BootMode, ConsolePort, Power, Reset
from flexkit.drivers.qemu import QemuPower
from flexkit.errors import BadInput, BoardLost, Busy, FlexError
from flexkit.events import Bus
from flexkit.link.serial import SerialTransport
from flexkit.link.transport import Transport

_SSH_PORT = 22
_LABGRID_SECONDS = 30.0
_STATE_SECONDS = 15.0


@dataclass(frozen=True)
class Drivers:
    """What a board can be asked for. None: its lab file does not say how. ``ssh``: host and port, once it is on."""

    power: Power
    console: ConsolePort
    ssh: Callable[[], tuple[str, int]] | None = None
    reset: Reset | None = None
    boot_mode: BootMode | None = None


class SerialPort(ConsolePort):
    """A console on a serial port of this host, or of one in the network. ``find`` says where it is."""

    def __init__(self, find: Callable[[], str], baud: int, patience: float, power: Power) -> None:
        self._find = find
        self._baud = baud
        self._patience = patience
        self._power = power

    def open(self) -> Transport:
        """A port that is not there while the board is off may be the board's own, and come with its power: it is waited
        for."""
        port = self._find()
        awaited = self._powered() is False
        return SerialTransport(port, self._baud, self._patience, awaited=awaited, hopeless=self._why_hopeless)

    def _powered(self) -> bool | None:
        return self._power.is_on(Deadline(_STATE_SECONDS, "power state"))

    def _why_hopeless(self) -> str:
        try:
            return "its supply is off" if self._powered() is False else ""
        except FlexError as error:
            return error.message


def _labgrid_port(place: str) -> str:
    """The serial port of a labgrid place, on whichever host its exporter runs. Raises BoardLost."""
    limit = Deadline(_LABGRID_SECONDS, f"labgrid place {place}")
    return _network_port(place, proc.run(["labgrid-client", "-p", place, "show"], limit, error=BoardLost))


def _network_port(place: str, told: str) -> str:
    """The URL of the port that ``labgrid-client show`` tells of: the dictionary below the line of NetworkSerialPort."""
    found = re.search(r"^Acquired resource 'NetworkSerialPort'.*\n((?:[ \t].*\n?)*)", told, re.MULTILINE)
    try:
        params = ast.literal_eval(found[1].strip())["params"] if found else {}
        scheme = "socket" if params.get("protocol") == "raw" else "rfc2217"
        return f"{scheme}://{params['host']}:{params['port']}"
    except (ValueError, SyntaxError, KeyError, TypeError):
        raise BoardLost(
            f"labgrid place {place} shows no serial port",
            mend=f"labgrid-client -p {place} show; is it acquired, and its exporter running?",
        ) from None


def bind_emulated(
    instance: Instance, flavour: str, build: str, *, stay: bool = False, extra: Sequence[str] = ()
) -> Drivers:
    """An emulated board: off, or as it runs already. Raises Busy when what runs is something else.

    The caller holds the instance's lock."""
    state = qemu.running(instance.name)
    if state is not None and (state.flavour != flavour or state.build != build or extra):
        raise Busy(
            f"{instance.name} is on with flavour {state.flavour}, build {state.build[:12]}",
            mend=f"run: flexkit power off -b {instance.name}",
        )
    power = QemuPower(instance.type, instance.name, flavour, build, stay=stay, extra=extra)
    if state is not None:
        power.attach(state)
    return Drivers(power, power, lambda: ("127.0.0.1", power.ssh_port), power)


def bind_wired(instance: Instance, bus: Bus) -> Drivers:
    """A board on the bench. Raises BadInput when its lab file does not say where its console is."""
    settings = instance.settings
    power = _power_of(instance, bus)
    return Drivers(
        power,
        _console_of(instance, power),
        _ssh_of(settings.ssh) if settings.ssh else None,
        lines.reset_of(settings.reset) if settings.reset else None,
        lines.boot_mode_of(settings.boot_mode) if settings.boot_mode else None,
    )


def _power_of(instance: Instance, bus: Bus) -> Power:
    settings = instance.settings
    if settings.power is not None:
        return power_of(settings.power, instance.name, settings.labgrid or "", bus)
    return LabgridPower(settings.labgrid) if settings.labgrid else ManualPower(instance.name, bus)


def _console_of(instance: Instance, power: Power) -> ConsolePort:
    settings, patience = instance.settings, instance.type.timeouts.enumerate
    if settings.serial or settings.labgrid:
        serial, place = settings.serial or "", settings.labgrid or ""
        return SerialPort(lambda: serial or _labgrid_port(place), instance.baud, patience, power)
    raise BadInput(
        f"the lab file does not say where the console of {instance.name} is",
        mend=f'add to [board.{instance.name}]: serial = "/dev/..."; flexkit boards discover shows the ports',
    )


def _ssh_of(named: str) -> Callable[[], tuple[str, int]]:
    host, colon, port = named.rpartition(":")
    if colon and port.isdecimal() and not host.endswith(":"):
        return lambda: (host.strip("[]"), int(port))
    return lambda: (named.strip("[]"), _SSH_PORT)


def console_of(instance: Instance, drivers: Drivers) -> Console:
    """A board's console, read and logged from now on. Raises BoardLost, Busy."""
    return Console(
        instance.name,
        drivers.console.open(),
        instance.type.boot.stages,
        new_log(instance.name),
        drivers.power.why_dead,
        lambda seen: advise(instance, seen),
    )
