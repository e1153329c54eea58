"""The link: a reliable, ordered stream of bytes made of records. The state table is in ``firmware/agent/link.h``;
this is the host's half, which opens the session. No clock and no input or output of its own: tests bring both."""

from __future__ import annotations

import secrets
from collections import deque
from enum import Enum

from flexkit.link.records import DATA_MAX, Kind, Record, encode

WINDOW = 8
HELLO_SECONDS = 0.5
RESEND_SECONDS = 0.3
RESEND_MAX_SECONDS = 2.4
LOST_SECONDS = 20.0


class State(Enum):
    CALLING = "calling"
    OPEN = "open"
    LOST = "lost"


class Link:
    """Feed it records with ``take``, bytes with ``send``; call ``run`` after either, and when ``patience`` is over.
    Lines to write gather in ``wire``, bytes that came in ``received``."""

    def __init__(self, session: int | None = None) -> None:
        self.state = State.CALLING
        self.session = secrets.randbelow(0x10000) if session is None else session
        self.wire = bytearray()
        self.received = bytearray()
        self.resent = 0
        """Records sent again since the beginning: what the line cost."""
        self._queue = bytearray()
        self._window: deque[Record] = deque()
        self._base = 0
        self._expected = 0
        self._repeated = False
        self._progress = 0.0
        self._resend_at = 0.0
        self._timeout = RESEND_SECONDS

    def send(self, data: bytes) -> None:
        """Queue bytes for the board."""
        self._queue += data

    def take(self, record: Record, now: float) -> None:
        """A record from the board. Those of other sessions are ignored."""
        if record.session != self.session or self.state is State.LOST:
            return
        if record.kind is Kind.WELCOME and self.state is State.CALLING:
            self.state = State.OPEN
            self._progress = now
        elif self.state is not State.OPEN:
            return
        elif record.kind is Kind.DATA:
            self._take_data(record)
        elif record.kind is Kind.ACK:
            self._take_ack(record.sequence, now)
        elif record.kind is Kind.BYE:
            self.state = State.LOST

    def run(self, now: float) -> None:
        """Send what the window has room for, and again what was not answered in time."""
        if self.state is State.CALLING:
            self._call(now)
        elif self.state is State.OPEN:
            self._fill(now)
            self._repeat(now)

    def patience(self, now: float) -> float | None:
        """Seconds until ``run`` has something to do by itself; None for never."""
        if self.state is State.LOST or (self.state is State.OPEN and not self._window):
            return None
        return max(0.0, self._resend_at - now)

    def bye(self) -> None:
        """End the session: the board stops what it does for it."""
        if self.state is State.OPEN:
            self._put(Record(Kind.BYE, self.session))
        self.state = State.LOST

    def _put(self, record: Record) -> None:
        self.wire += encode(record)

    def _call(self, now: float) -> None:
        if now >= self._resend_at:
            self._put(Record(Kind.HELLO, self.session))
            self._resend_at = now + HELLO_SECONDS

    def _take_data(self, record: Record) -> None:
        if record.sequence == self._expected:
            self.received += record.data
            self._expected += 1
        self._put(Record(Kind.ACK, self.session, self._expected))

    def _take_ack(self, expected: int, now: float) -> None:
        advance = expected - self._base
        if not 0 <= advance <= len(self._window):
            return
        if advance == 0:
            if self._window and not self._repeated:
                self._repeated = True  # once: the rest of this window repeats the same complaint
                self._send_window(now)
            return
        for _ in range(advance):
            self._window.popleft()
        self._base = expected
        self._repeated = False
        self._progress = now
        self._timeout = RESEND_SECONDS
        self._resend_at = now + self._timeout

    def _fill(self, now: float) -> None:
        while self._queue and len(self._window) < WINDOW:
            if not self._window:
                self._progress = now
                self._resend_at = now + self._timeout
            record = Record(Kind.DATA, self.session, self._base + len(self._window), bytes(self._queue[:DATA_MAX]))
            del self._queue[:DATA_MAX]
            self._window.append(record)
            self._put(record)

    def _repeat(self, now: float) -> None:
        if not self._window:
            return
        if now - self._progress >= LOST_SECONDS:
            self.state = State.LOST
        elif now >= self._resend_at:
            self._timeout = min(2 * self._timeout, RESEND_MAX_SECONDS)
            self._send_window(now)

    def _send_window(self, now: float) -> None:
        for record in self._window:
            self._put(record)
        self.resent += len(self._window)
        self._resend_at = now + self._timeout
