"""What can be asked of a thing on the bench, one small protocol each. A board is put together from whatever implements
them; emulation implements the same as hardware."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from flexkit.deadline import Deadline


class Power(ABC):
    """Mains or supply of a board. ``cycle`` is a cold start: nothing volatile survives it."""

    @abstractmethod
    def on(self, deadline: Deadline) -> None: ...

    @abstractmethod
    def off(self, deadline: Deadline) -> None: ...

    @abstractmethod
    def is_on(self) -> bool: ...

    def cycle(self, deadline: Deadline) -> None:
        self.off(deadline)
        self.on(deadline)


class Reset(ABC):
    """A warm reset line: memory may survive."""

    @abstractmethod
    def reset(self, deadline: Deadline) -> None: ...


class BootMode(ABC):
    """Chooses where the boot ROM looks (straps, a mux)."""

    @abstractmethod
    def select(self, mode: str, deadline: Deadline) -> None: ...


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
