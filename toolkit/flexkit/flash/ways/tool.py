"""What ways by an external tool share: a limit on every call, and a folder for what passes through files (FIELD F2)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flexkit import proc
from flexkit.deadline import Deadline
from flexkit.errors import FlashError, MissingTool, TimedOut
from flexkit.flash.protocol import FlashMedium, NeedsHands, Trouble

_NORMAL_SECONDS = 15.0


@dataclass(frozen=True)
class Rescue:
    """What a site can do where a tool cannot. ``enter``: switch the board off and on again, into the mode in which it
    can be flashed; ``leave``: let it boot from its medium the next time."""

    enter: Callable[[Deadline], None]
    leave: Callable[[Deadline], None] = lambda deadline: None


_MERGE = ("sh", "-c", 'exec "$@" 2>&1', "sh")


@dataclass(frozen=True)
class Limits:
    """From the board file: seconds for one call beside its transfer, for showing on USB again, and bytes a second."""

    call: float = 60.0
    enumerate: float = 30.0
    speed: int = 1_000_000

    def seconds(self, moved: int) -> float:
        """What a call that moves so many bytes may take."""
        return self.call + moved / max(1, self.speed)


class ToolMedium(FlashMedium):
    """A medium behind a program. ``hands``: what a person can do when nothing else brings the device back."""

    block = 512
    program = ""

    def __init__(self, name: str, size: int, limits: Limits, hands: str = "", rescue: Rescue | None = None) -> None:
        self.name = name
        self.size = size
        self._limits = limits
        self._hands = hands
        self._rescue = rescue
        self._rescued = False
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def close(self) -> None:
        if self._rescue is not None and self._rescued:
            self._rescued = False
            self._rescue.leave(Deadline(_NORMAL_SECONDS, "boot mode"))
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def recover(self, deadline: Deadline) -> None:
        """From the gentlest to the firmest: is it well again, does the tool reset it, the site switch it, or a hand."""
        told = self._hands
        for step in (self._nothing, self._reset, self._enter):
            try:
                step(deadline)
                self.open(deadline)
                return
            except NeedsHands as need:
                told = need.mend or told
                deadline.check()
            except Trouble:
                deadline.check()
        raise NeedsHands(f"{self.name}: {self.program} does not reach the device any more", mend=told)

    def _nothing(self, deadline: Deadline) -> None:
        """It may have been one call alone that failed."""

    def _enter(self, deadline: Deadline) -> None:
        """By the site's own power and boot mode."""
        if self._rescue is None:
            raise Trouble(f"{self.name}: the lab file has no power that could be switched")
        self._rescued = True
        self._rescue.enter(deadline)

    def _reset(self, deadline: Deadline) -> None:
        """Let the tool reset the device, if it can."""

    def _file(self, name: str) -> Path:
        """A file of this medium's own, until it is closed."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="flexkit-flash-")
        return Path(self._folder.name) / name

    def _call(self, deadline: Deadline, *words: str | Path, moved: int = 0, merged: bool = False) -> str:
        """Run the program with these arguments; returns its standard output, with its standard error if ``merged``.
        Trouble when it fails or hangs; TimedOut when the caller's own deadline has passed. A hung one is ended with its
        process group."""
        deadline.check()
        seconds = self._limits.seconds(moved)
        told = " ".join(str(word) for word in words[:2])
        limit = deadline.within(seconds, f"{self.program} {told}")
        try:
            return proc.run([*(_MERGE if merged else ()), self.program, *words], limit, error=FlashError)
        except MissingTool as missing:  # Debian's packages are called as the tools are
            raise MissingTool(missing.message, mend=f"apt-get install {self.program}") from missing
        except TimedOut:
            deadline.check()
            raise Trouble(f"{self.name}: {self.program} {told} hung, ended after {seconds:.3g} s") from None
        except FlashError as error:
            said = " ".join(error.message.split())
            raise Trouble(f"{self.name}: {said}") from error
