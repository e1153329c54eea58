"""Reset lines and boot-mode straps of boards."""

from __future__ import annotations

import time

from flexkit import proc
from flexkit.boards import wiring
from flexkit.deadline import Deadline
from flexkit.drivers.gpio import Line
from flexkit.drivers.protocols import BootMode, Reset
from flexkit.errors import BadInput, BoardLost


class CommandReset(Reset):
    """See wiring.CommandReset."""

    def __init__(self, how: wiring.CommandReset) -> None:
        self._how = how

    def reset(self, deadline: Deadline) -> None:
        proc.run(["sh", "-c", self._how.run], deadline, error=BoardLost)


class GpioReset(Reset):
    """See wiring.GpioReset."""

    def __init__(self, how: wiring.GpioReset, line: Line | None = None) -> None:
        self._line = line or Line(how.gpio, how.active_low)
        self._seconds = how.seconds

    def reset(self, deadline: Deadline) -> None:
        deadline.check()
        self._line.set(True)
        try:
            time.sleep(self._seconds)  # the length of the pulse, not a wait for anything
        finally:
            self._line.set(False)


class CommandBootMode(BootMode):
    """See wiring.CommandBootMode."""

    def __init__(self, how: wiring.CommandBootMode) -> None:
        self._commands = {"normal": how.normal, "maskrom": how.maskrom, "loader": how.loader}

    def select(self, mode: str, deadline: Deadline) -> None:
        command = self._commands.get(mode)
        if not command:
            possible = ", ".join(name for name, each in self._commands.items() if each)
            raise BadInput(f"boot_mode of lab.toml has no command for {mode!r}", mend=f"it has: {possible}")
        proc.run(["sh", "-c", command], deadline, error=BoardLost)


class GpioBootMode(BootMode):
    """See wiring.GpioBootMode."""

    def __init__(self, how: wiring.GpioBootMode, line: Line | None = None) -> None:
        self._line = line or Line(how.gpio, how.active_low)

    def select(self, mode: str, deadline: Deadline) -> None:
        deadline.check()
        if mode not in ("normal", "maskrom"):
            raise BadInput(f"the boot ROM's button chooses normal or maskrom, not {mode!r}")
        self._line.set(mode == "maskrom")


def reset_of(how: wiring.ResetWiring) -> Reset:
    """The driver for a table ``reset`` of lab.toml."""
    return CommandReset(how) if isinstance(how, wiring.CommandReset) else GpioReset(how)


def boot_mode_of(how: wiring.BootModeWiring) -> BootMode:
    """The driver for a table ``boot_mode`` of lab.toml."""
    return CommandBootMode(how) if isinstance(how, wiring.CommandBootMode) else GpioBootMode(how)
