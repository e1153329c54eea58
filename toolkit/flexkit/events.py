"""Steps as an event bus: the code that works reports what it does, and whoever listens prints, logs or counts it.

Nothing below ``flexkit.cli`` prints. A step is opened with ``bus.step("build kernel")``; subscribers get its begin,
its progress and its end with the outcome.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum


class Phase(Enum):
    BEGIN = "begin"
    PROGRESS = "progress"
    NOTE = "note"
    END = "end"


@dataclass(frozen=True)
class Event:
    """What happened in a step. ``done``/``total`` count in the step's own unit; ``seconds`` is set at the end."""

    phase: Phase
    step: str
    detail: str = ""
    done: int = 0
    total: int = 0
    seconds: float = 0.0
    error: BaseException | None = None


Subscriber = Callable[[Event], None]


@dataclass
class Bus:
    """Delivers events to its subscribers, in order of subscription."""

    subscribers: list[Subscriber] = field(default_factory=list)

    def emit(self, event: Event) -> None:
        """To every subscriber, in this thread."""
        for subscriber in self.subscribers:
            subscriber(event)

    def note(self, step: str, detail: str) -> None:
        """A detail of a step that is told on request."""
        self.emit(Event(Phase.NOTE, step, detail))

    @contextmanager
    def step(self, name: str, detail: str = "") -> Iterator[Callable[[int, int], None]]:
        """Announce a step; yields ``progress(done, total)``. The end event carries the exception, if any."""
        self.emit(Event(Phase.BEGIN, name, detail))
        start = time.monotonic()

        def progress(done: int, total: int) -> None:
            self.emit(Event(Phase.PROGRESS, name, detail, done, total))

        try:
            yield progress
        except BaseException as error:
            self.emit(Event(Phase.END, name, detail, seconds=time.monotonic() - start, error=error))
            raise
        self.emit(Event(Phase.END, name, detail, seconds=time.monotonic() - start))
