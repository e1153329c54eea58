"""What can be asked of a thing on the bench, one small protocol each. A board is put together from whatever implements
them; emulation implements the same as hardware."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from flexkit.deadline import Deadline
from flexkit.link.transport import Transport


class Power(ABC):
    """Mains or supply of a board. ``cycle`` is a cold start: nothing volatile survives it.

    An emulator is its own power supply; what only it needs has empty bodies here.
    """

    revives: bool = True
    """Whether a board that is on and silent may be cycled without asking anybody."""

    @abstractmethod
    def on(self, deadline: Deadline) -> None: ...

    @abstractmethod
    def off(self, deadline: Deadline) -> None: ...

    @abstractmethod
    def is_on(self, deadline: Deadline) -> bool | None:
        """None: this supply cannot tell."""

    def cycle(self, deadline: Deadline) -> None:
        self.off(deadline)
        self.on(deadline)

    def prepare(self, deadline: Deadline) -> None:  # noqa: B027
        """Whatever lets the console be opened before the first instruction is run."""

    def keep(self) -> None:  # noqa: B027
        """The board shall stay on when this process ends."""

    def discard(self) -> None:  # noqa: B027
        """It is off and done with: what the run left, and shall not outlive it, goes."""

    def why_dead(self) -> str:
        """Why the board cannot be alive, as far as that is known without asking anybody; empty: it may be."""
        return ""


class Reset(ABC):
    """A warm reset line: memory may survive."""

    @abstractmethod
    def reset(self, deadline: Deadline) -> None: ...


class BootMode(ABC):
    """Chooses where the boot ROM looks: ``normal``, ``maskrom`` or ``loader``. It counts from the next start.

    Raises BadInput for a mode that this wiring cannot choose.
    """

    @abstractmethod
    def select(self, mode: str, deadline: Deadline) -> None: ...


class ConsolePort(ABC):
    """Where a board's serial console is. One reader at a time opens it; others share what that one reads."""

    @abstractmethod
    def open(self) -> Transport:
        """Raises BoardLost when it is not there, Busy when another process has it."""


class Shell(ABC):
    """Runs a command line on the board; returns exit status and output."""

    @abstractmethod
    def run(self, command: str, deadline: Deadline) -> tuple[int, str]: ...


class Transfer(ABC):
    """Moves files."""

    @abstractmethod
    def put(
        self, local: Path, path: str, deadline: Deadline, progress: Callable[[int, int], None] | None = None
    ) -> None: ...

    @abstractmethod
    def get(self, path: str, deadline: Deadline) -> bytes: ...


class Medium(ABC):
    """A flash medium by bytes. What ``read`` gives is what the medium has, not what was written last."""

    name: str
    size: int

    @abstractmethod
    def read(self, offset: int, count: int, deadline: Deadline) -> bytes: ...

    @abstractmethod
    def write(self, offset: int, data: bytes, deadline: Deadline) -> None: ...


class Counter(ABC):
    """The board's own counter."""

    @abstractmethod
    def ticks(self, deadline: Deadline) -> int: ...

    @abstractmethod
    def hertz(self) -> int: ...
