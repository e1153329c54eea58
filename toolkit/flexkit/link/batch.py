"""A batch: requests written down, carried out by the agent without a host, and their answers read afterwards.

The same ``Client`` calls serve for both ends: planned, a call leaves its request; answered, it gets what came back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeVar

from flexkit.deadline import Deadline
from flexkit.errors import BoardLost
from flexkit.link import protocol, records
from flexkit.link.client import Client
from flexkit.link.connection import Exchange
from flexkit.link.protocol import Field, Message, Msg

T = TypeVar("T")
DONE = b"flexkit: batch done"
"""FLEX_BATCH_DONE of firmware/agent/batch.h: the line after the last answer."""


class _Planned(Exception):
    """A call has said what it asks for; its answer will come later."""


class _Kept(Exchange):
    """The messages that answered one request."""

    def __init__(self, number: int, what: str, messages: Iterable[Message] = ()) -> None:
        self.number = number
        self.what = what
        self.ended = False
        self.messages = deque(messages)

    def next(self, deadline: Deadline) -> Message:
        if not self.messages:
            raise BoardLost(f"{self.what}: the board's answer ends early")
        return self.messages.popleft()


class Batch:
    """Requests in their order. ``bytes`` is what the agent reads."""

    def __init__(self) -> None:
        self.bytes = bytearray()
        self._count = 0
        self._answers: dict[int, list[Message]] = {}

    def plan(self, call: Callable[[Client], object]) -> int:
        """Note down the one request that this call makes. Returns its number, for ``answer``."""
        try:
            call(Client(_Planner(self)))
        except _Planned:
            return self._count
        raise ValueError("a call that asked the board nothing")

    def take(self, console: bytes) -> None:
        """Sort in the answers out of what the board printed. Raises BoardLost when they are not all there."""
        stream = bytearray()
        lines = console.split(b"\n")
        if not any(line.rstrip(b"\r") == DONE for line in lines):
            raise BoardLost("the board did not come to the end of its batch")
        for line in lines:
            record = records.decode(line)
            if record is None:
                continue
            if record.sequence * records.DATA_MAX != len(stream):
                raise BoardLost(f"record {record.sequence} of the batch's answers is not the one that is due")
            stream += record.data
        for message in protocol.take(stream):
            self._answers.setdefault(message.request, []).append(message)

    def answer(self, number: int, call: Callable[[Client], T]) -> T:
        """What this call gets: the result, or the error that the board answered with."""
        return call(Client(_Answered(self._answers.get(number, []))))

    def add(self, kind: Msg, fields: list[Field]) -> None:
        self._count += 1
        self.bytes += protocol.encode(kind, self._count, fields)


class _Planner:
    """Writes a request down instead of sending it."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    def request(self, kind: Msg, fields: list[Field], what: str) -> Exchange:
        self._batch.add(kind, fields)
        raise _Planned

    def cancel(self, exchange: Exchange) -> None:
        """There is nothing under way."""

    def close(self) -> None:
        """There is nothing open."""


class _Answered:
    """Answers the one request that is made with what the board said to it."""

    def __init__(self, messages: list[Message]) -> None:
        self._messages = messages

    def request(self, kind: Msg, fields: list[Field], what: str) -> Exchange:
        return _Kept(0, what, self._messages)

    def cancel(self, exchange: Exchange) -> None:
        """It has ended long ago."""

    def close(self) -> None:
        """There is nothing open."""
