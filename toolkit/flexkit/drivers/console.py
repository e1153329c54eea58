"""A board's console: read all the time by a thread of its own, every line stamped and logged, boot stages recognised.

Whoever talks to the agent over it, or a person, is a tap on the same bytes: nothing is lost while nobody looks.
"""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from flexkit.boards.schema import Stage
from flexkit.deadline import Deadline
from flexkit.drivers.diagnosis import Seen
from flexkit.errors import BoardLost
from flexkit.link import records
from flexkit.link.transport import Sink, Transport

_TAIL_LINES = 12
_POLL_SECONDS = 0.2
_GRACE_SECONDS = 2.0
_LAST_WORDS_SECONDS = 0.7
_QUIET_SECONDS = 8.0  # longer than a boot loader's countdown, which typing would stop
_LAST_STAGE = "last stage reached"


class Console:
    """Reads from ``transport`` until ``close``. ``alive`` tells whether the board's machinery still runs; it returns
    an empty string, or why not. ``advise`` tells what to try when the board fell silent."""

    def __init__(
        self,
        name: str,
        transport: Transport,
        stages: Sequence[Stage],
        log: Path,
        alive: Callable[[], str] = lambda: "",
        advise: Callable[[Seen], str] = lambda seen: "",
    ) -> None:
        self.name = name
        self.log = log
        self.boots = 0
        """How often the first stage was seen."""
        self._transport = transport
        self._stages = [(stage.name, re.compile(stage.pattern)) for stage in stages]
        self._alive = alive
        self._advise = advise
        self._seen = Seen()
        self._heard = time.monotonic()
        self._changed = threading.Condition()
        self._reached: list[str] = []
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._lines = records.LineSplitter()
        self._taps: list[Sink] = []
        self._greeting = b""
        self._gone = False
        self._begin = time.monotonic()
        self._log: BinaryIO = log.open("ab", buffering=0)
        transport.note = self._note
        transport.start(self._feed)

    def close(self) -> None:
        """Stop reading and let the port go."""
        self._transport.close()
        with self._changed:
            self._gone = True
            self._log.close()
            self._changed.notify_all()

    def write(self, data: bytes) -> None:
        """Send bytes to the board. Raises BoardLost."""
        self._transport.write(data)

    def tap(self, sink: Sink) -> None:
        """Hand every byte from now on to ``sink`` too (from the reader's thread); an empty chunk at the end."""
        with self._changed:
            self._taps.append(sink)

    def when_ready(self, data: bytes) -> None:
        """Send bytes once, when the last stage is reached."""
        with self._changed:
            self._greeting = data

    def untap(self, sink: Sink) -> None:
        """Stop handing chunks to this subscriber."""
        with self._changed:
            if sink in self._taps:
                self._taps.remove(sink)

    @property
    def reached(self) -> str:
        """The last stage that was seen; empty: none yet."""
        with self._changed:
            return self._reached[-1] if self._reached else ""

    @property
    def tail(self) -> str:
        """The last lines of text."""
        with self._changed:
            return "\n".join(self._tail)

    def switched(self, on: bool) -> None:
        """The board is switched now. Off: what it reached before counts no longer, and its port may go with it."""
        self._transport.expect_gap(not on)
        if on:
            return
        with self._changed:
            self._reached, self._seen, self.boots = [], Seen(), 0
            self._tail.clear()
            self._heard = time.monotonic()

    def answered(self) -> None:
        """Somebody there answered: it is ready, whether or not the line that says so was seen."""
        with self._changed:
            self._reached = [name for name, _ in self._stages]

    def wait_stage(self, name: str, deadline: Deadline) -> None:
        """Wait until a stage was reached. Raises BoardLost with the last one seen when the board goes or the deadline
        passes: a silent board is lost, and where it fell silent is the diagnosis."""
        self._wait(name, deadline, None)

    def wait_ready(self, deadline: Deadline) -> bool:
        """Wait for the last stage. False: it did not come, but the board came to one that is known and is quiet now, so
        that the line may have been lost on the way (FIELD F12) and asking the board does no harm. Raises BoardLost."""
        return self._wait(self._stages[-1][0], deadline, _QUIET_SECONDS)

    def _wait(self, name: str, deadline: Deadline, patience: float | None) -> bool:
        """``patience``: give up, False, when a board that reached any stage says nothing for so long."""
        with self._changed:
            while name not in self._reached:
                why = self._alive() or self.why_gone()
                if why:
                    self._read_out()
                    raise self.lost(why)
                if deadline.expired:
                    raise self.silent(f"{name!r} was not reached within {deadline.seconds:.3g} s")
                if patience is not None and self._reached and time.monotonic() - self._heard >= patience:
                    return False
                self._changed.wait(min(_POLL_SECONDS, max(deadline.remaining, 0.01)))
        return True

    def _read_out(self) -> None:
        """What a dead board said last may still be on its way: the diagnosis goes by it. Lock held."""
        limit = Deadline(_LAST_WORDS_SECONDS, "the board's last words")
        while not self._gone and not limit.expired:
            self._changed.wait(_POLL_SECONDS)

    def why_gone(self) -> str:
        """Empty while it is read, else what ended it, which may show a moment later."""
        with self._changed:
            limit = Deadline(_GRACE_SECONDS, "the end of the board")
            while self._gone and not limit.expired:
                if why := self._alive():
                    return why
                self._changed.wait(_POLL_SECONDS)
            return (self._transport.ended or "its console is closed") if self._gone else ""

    def why_lost(self) -> str:
        """As ``why_gone``, when another way to the board broke: that the board itself went may show a moment later."""
        limit = Deadline(_GRACE_SECONDS, "the end of the board")
        with self._changed:
            while not (self._gone or self._alive() or limit.expired):
                self._changed.wait(_POLL_SECONDS)
        return self._alive() or self.why_gone()

    def silent(self, why: str) -> BoardLost:
        """The error for a board that may be there and does not speak: with what to try."""
        error = self.lost(why)
        reached = self._reached[-1] if self._reached else ""
        advice = self._advise(replace(self._seen, reached=reached))
        return BoardLost(error.message, mend="\n  ".join(each for each in (advice, error.mend) if each))

    def lost(self, why: str) -> BoardLost:
        """The error for a board that is gone, with what was seen of it last."""
        seen = self._reached[-1] if self._reached else "none"
        tail = "\n".join(f"  | {line}" for line in self._tail)
        return BoardLost(
            f"{self.name}: {why}; {_LAST_STAGE}: {seen}" + (f"\n{tail}" if tail else ""),
            mend=f"the whole console is in {self.log}",
        )

    @staticmethod
    def explains(error: BoardLost) -> bool:
        """Whether an error came from ``lost`` already."""
        return _LAST_STAGE in error.message

    def _feed(self, chunk: bytes) -> None:
        with self._changed:
            if not self._gone:
                self._seen = self._seen.take(chunk)
                self._heard = time.monotonic()
                for line in self._lines.feed(chunk):
                    self._take_line(line)
            if not chunk:
                self._gone = True
            taps = list(self._taps)
            greeting = b""
            if self._greeting and self._stages[-1][0] in self._reached:
                greeting, self._greeting = self._greeting, b""
            self._changed.notify_all()
        if greeting:
            with suppress(BoardLost):  # the reader finds out for itself
                self._transport.write(greeting)
        for sink in taps:
            sink(chunk)

    def _take_line(self, line: bytes) -> None:
        record = records.decode(line)
        if record is not None:
            where = f"{record.kind.value} {record.sequence} of session {record.session:04x}"
            text = f"<record {where}, {len(record.data)} bytes>"
        else:
            text = line.decode(errors="replace").rstrip("\r\n")
            self._recognise(text)
            if text.strip():
                self._tail.append(text)
        self._write_log(text)

    def _note(self, text: str) -> None:
        """What happened to the port goes into the log, among what came over it."""
        with self._changed:
            if not self._gone:
                self._write_log(f"<{text}>")

    def _write_log(self, text: str) -> None:
        self._log.write(f"[{time.monotonic() - self._begin:12.6f}] {text}\n".encode())

    def _recognise(self, text: str) -> None:
        for index, (_, pattern) in enumerate(self._stages):
            if pattern.search(text):
                if index == 0:
                    self.boots += 1
                self._reached = [each for each, _ in self._stages[: index + 1]]
                return


class ConsoleTransport(Transport):
    """The console as a way for records."""

    def __init__(self, console: Console) -> None:
        self.name = console.name
        self._console = console
        self._sink: Sink | None = None

    def start(self, sink: Sink) -> None:
        self._sink = sink
        self._console.tap(sink)

    def write(self, data: bytes) -> None:
        self._console.write(data)

    def close(self) -> None:
        if self._sink is not None:
            self._console.untap(self._sink)
