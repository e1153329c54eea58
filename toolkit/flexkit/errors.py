"""Every failure a user can meet, with the exit code that scripts rely on (README, "Exit codes")."""

from __future__ import annotations

from typing import ClassVar


class FlexError(Exception):
    """A failure with one clear message: what is wrong, with which thing, and how to mend it.

    ``exit_code`` is the process exit status. ``mend`` is printed on its own line; empty if nothing is known.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, mend: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.mend = mend


class Invalid(FlexError):
    """A benchmark that is invalid, an attack that succeeded, a regression."""

    exit_code = 1


class BadInput(FlexError):
    """An argument, a board file, a GGUF, a prompt that cannot be accepted."""

    exit_code = 2


class MissingTool(FlexError):
    """The machine lacks something; ``flexkit doctor`` knows what."""

    exit_code = 3


class BuildError(FlexError):
    """A source, a patch or a compiler failed."""

    exit_code = 4


class FlashError(FlexError):
    """Writing or verifying a medium failed, or what is on it is not what was built."""

    exit_code = 5


class BoardLost(FlexError):
    """The board is silent, went away, or its emulator died."""

    exit_code = 6


class TimedOut(FlexError):
    """A deadline passed."""

    exit_code = 7


class Busy(FlexError):
    """Somebody else holds the board, or a port is in use."""

    exit_code = 8
