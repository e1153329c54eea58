"""A session with the agent: requests by number, several at a time, over any transport."""

from __future__ import annotations

import threading
import time
from collections import deque
from types import TracebackType

from flexkit.deadline import Deadline
from flexkit.errors import BoardLost
from flexkit.link import protocol, records
from flexkit.link.link import Link, State
from flexkit.link.protocol import Field, Message, Msg, Tag
from flexkit.link.transport import Transport

_TICK_SECONDS = 0.5


class Exchange:
    """One request: its events, then its end. Not for several threads at once."""

    def __init__(self, connection: Connection, number: int, what: str) -> None:
        self.number = number
        self.what = what
        self.ended = False
        self.messages: deque[Message] = deque()
        self._connection = connection

    def next(self, deadline: Deadline) -> Message:
        """The next message of this request. Raises BoardLost, or TimedOut at the deadline."""
        return self._connection.wait_message(self, deadline)

    def poll(self) -> Message | None:
        """The next message if one has come."""
        return self._connection.poll_message(self)

    def send(self, kind: Msg, fields: list[Field]) -> None:
        """More for this request: INPUT of a program."""
        self._connection.send(kind, self.number, fields)


class Connection:
    """Opens the session at once; ``wait_open`` tells when the agent has answered.

    Three threads meet here: the transport's reader (``_feed``), the writer (``_work``), and the callers. ``_changed``
    guards everything; nothing is written while it is held.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self._link = Link()
        self._lines = records.LineSplitter()
        self._changed = threading.Condition()
        self._exchanges: dict[int, Exchange] = {}
        self._number = 0
        self._lost = ""
        self._closed = False
        self._writer = threading.Thread(target=self._work, name=f"write {transport.name}", daemon=True)
        transport.start(self._feed)
        self._writer.start()

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def resent(self) -> int:
        """Records that had to be sent again so far."""
        return self._link.resent

    def wait_open(self, deadline: Deadline) -> None:
        """Wait until the agent has welcomed this session."""
        with self._changed:
            while self._link.state is State.CALLING and not self._lost:
                self._changed.wait(min(_TICK_SECONDS, deadline.check()))
            self._check()

    def request(self, kind: Msg, fields: list[Field], what: str) -> Exchange:
        """Send a request; its answers come to the Exchange. ``what`` names it in errors."""
        with self._changed:
            self._check()
            self._number += 1
            exchange = Exchange(self, self._number, what)
            self._exchanges[exchange.number] = exchange
        self.send(kind, exchange.number, fields)
        return exchange

    def send(self, kind: Msg, number: int, fields: list[Field]) -> None:
        """Queue a message."""
        data = protocol.encode(kind, number, fields)
        with self._changed:
            self._check()
            self._link.send(data)
            self._changed.notify_all()

    def cancel(self, exchange: Exchange) -> None:
        """Ask the agent to end a request; its end still comes to it."""
        if not exchange.ended:
            self.request(Msg.CANCEL, [(Tag.TARGET, exchange.number)], f"cancel {exchange.what}")

    def wait_message(self, exchange: Exchange, deadline: Deadline) -> Message:
        """The next message of an exchange. Raises TimedOut, BoardLost."""
        with self._changed:
            while not exchange.messages:
                self._check()
                self._changed.wait(min(_TICK_SECONDS, deadline.check()))
            return exchange.messages.popleft()

    def poll_message(self, exchange: Exchange) -> Message | None:
        """One of an exchange that has come already, if there is one."""
        with self._changed:
            if not exchange.messages:
                self._check()
                return None
            return exchange.messages.popleft()

    def close(self) -> None:
        """End the session and let the transport go."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._link.bye()
            self._changed.notify_all()
        self._writer.join(_TICK_SECONDS * 4)
        self.transport.close()

    def _check(self) -> None:
        if self._lost:
            raise BoardLost(f"{self.transport.name}: {self._lost}")
        if self._closed:
            raise BoardLost(f"{self.transport.name}: this session is closed")

    def _lose(self, why: str) -> None:
        self._lost = self._lost or why
        self._changed.notify_all()

    def _feed(self, chunk: bytes) -> None:
        with self._changed:
            if not chunk:
                self._lose("the connection to the board is gone")
                return
            now = time.monotonic()
            for line in self._lines.feed(chunk):
                record = records.decode(line)
                if record is not None:
                    self._link.take(record, now)
            self._deliver()
            self._changed.notify_all()

    def _deliver(self) -> None:
        try:
            for message in protocol.take(self._link.received):
                exchange = self._exchanges.get(message.request)
                if exchange is None:
                    continue
                exchange.messages.append(message)
                if message.kind in (Msg.RESULT, Msg.ERROR):
                    exchange.ended = True
                    del self._exchanges[message.request]
        except protocol.ProtocolError as error:
            self._lose(f"the agent's answer cannot be read: {error}")

    def _work(self) -> None:
        while True:
            with self._changed:
                now = time.monotonic()
                self._link.run(now)
                if self._link.state is State.LOST and not self._closed:
                    self._lose("the agent does not answer any more")
                data = bytes(self._link.wire)
                self._link.wire.clear()
                if not data:
                    if self._closed or self._lost:
                        return
                    self._changed.wait(self._link.patience(now))
                    continue
            try:
                self.transport.write(data)
            except BoardLost as error:
                with self._changed:
                    self._lose(error.message)
                return
