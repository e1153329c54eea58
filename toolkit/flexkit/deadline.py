"""One deadline, passed down instead of numbers of seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from flexkit.errors import TimedOut


@dataclass(frozen=True)
class Deadline:
    """A point on the monotonic clock by which the named work has to be done.

    ``clock`` is a parameter so that tests can move time by hand.
    """

    seconds: float
    what: str
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    start: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", self.clock())

    @property
    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.start + self.seconds - self.clock())

    @property
    def expired(self) -> bool:
        """Whether nothing is left."""
        return self.remaining <= 0.0

    def check(self) -> float:
        """Seconds left; raises TimedOut when there are none."""
        left = self.remaining
        if left <= 0.0:
            raise TimedOut(f"{self.what}: no end after {self.seconds:g} s")
        return left

    def within(self, seconds: float, what: str) -> Deadline:
        """A part of this deadline: at most ``seconds``, never beyond the whole."""
        return Deadline(min(seconds, self.remaining), what, self.clock)
