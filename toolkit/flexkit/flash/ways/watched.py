"""The console that a flash goes over, watched like any other: logged, boot stages recognised, silence diagnosed
(FIELD F17)."""

from __future__ import annotations

from collections.abc import Callable

from flexkit.boards import Instance
from flexkit.deadline import Deadline
from flexkit.drivers.bind import Drivers, bind_wired, console_of
from flexkit.drivers.console import Console, ConsoleTransport
from flexkit.errors import BoardLost
from flexkit.events import Bus


class WatchedConsole(ConsoleTransport):
    """Has the console to itself, and closes it with itself."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._own = console

    def close(self) -> None:
        super().close()
        self._own.close()

    def switched_on(self) -> None:
        """The board has just been started; its port is there, or comes soon."""
        self._own.switched(on=True)

    def lost(self, why: str) -> BoardLost:
        """What is known of a board that fell silent: the last stage reached, its last lines, what to try."""
        return self._own.lost(why)


def watched(instance: Instance, drivers: Drivers) -> WatchedConsole:
    """Open a board's console for flashing."""
    return WatchedConsole(console_of(instance, drivers))


class WiredConsole:
    """The console of a board on a bench, always read before the board starts: a boot loader's countdown is short."""

    def __init__(self, instance: Instance, bus: Bus) -> None:
        self._instance = instance
        self._bus = bus
        self._start: Callable[[Deadline], None] | None = None

    def open(self, deadline: Deadline) -> WatchedConsole:
        """Of a board that is on as it is; one that is off, or was to be started again, starts now."""
        site = bind_wired(self._instance, self._bus)
        if self._start is None and site.power.is_on(deadline) is False:
            self._start = site.power.on
        line = watched(self._instance, site)
        if self._start is not None:
            self._start(deadline)
            self._start = None
            line.switched_on()
        return line

    def restart(self, deadline: Deadline) -> None:
        """By the reset line, or else by the power: off now, on when the console is opened the next time."""
        site = bind_wired(self._instance, self._bus)
        if site.reset is not None:
            self._start = site.reset.reset
        else:
            site.power.off(deadline)
            self._start = site.power.on
