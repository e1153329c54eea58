"""The console that a flash goes over, watched like any other: logged, boot stages recognised, silence diagnosed
(FIELD F17)."""

from __future__ import annotations

from flexkit.boards import Instance
from flexkit.drivers.bind import Drivers, console_of
from flexkit.drivers.console import Console, ConsoleTransport
from flexkit.errors import BoardLost


class WatchedConsole(ConsoleTransport):
    """Has the console to itself, and closes it with itself."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._own = console

    def close(self) -> None:
        super().close()
        self._own.close()

    def lost(self, why: str) -> BoardLost:
        """What is known of a board that fell silent: the last stage reached, its last lines, what to try."""
        return self._own.lost(why)


def watched(instance: Instance, drivers: Drivers) -> WatchedConsole:
    """Open a board's console for flashing."""
    return WatchedConsole(console_of(instance, drivers))
