"""Ways to carry lines: each reads in a thread of its own and hands every byte on, so that nothing is lost while
somebody thinks."""

from __future__ import annotations

import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress

from flexkit.errors import BoardLost

Sink = Callable[[bytes], None]
"""Takes bytes as they come; an empty chunk means that the other end is gone."""

_CHUNK = 65536
_READER_SECONDS = 5.0


class Transport(ABC):
    """Bytes both ways. ``name`` says which one in messages."""

    name: str
    ended: str = ""
    """Why there is no more to read, where that is known."""
    note: Callable[[str], None] = staticmethod(lambda text: None)
    """Told what happens to the connection itself; whoever keeps a log sets it before ``start``."""

    @abstractmethod
    def start(self, sink: Sink) -> None:
        """Begin to read; ``sink`` is called from another thread until an empty chunk or ``close``."""

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Write all of it; may block. Raises BoardLost when the other end is gone."""

    @abstractmethod
    def close(self) -> None:
        """Let go. May be called more than once."""

    def expect_gap(self, expected: bool) -> None:  # noqa: B027
        """Whether the other end is off on purpose: what goes with it comes back, and nobody need be asked."""


class ThreadedTransport(Transport):
    """The common part: a reader thread over a blocking ``_read``."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._closing = False
        self._reader: threading.Thread | None = None

    def start(self, sink: Sink) -> None:
        self._reader = threading.Thread(target=self._loop, args=(sink,), name=f"read {self.name}", daemon=True)
        self._reader.start()

    def _await_reader(self) -> None:
        """Before a descriptor is closed: its number may be another file's by the time its reader reads on."""
        if self._reader is not None and self._reader is not threading.current_thread():
            self._reader.join(_READER_SECONDS)

    def _loop(self, sink: Sink) -> None:
        chunk = b"-"
        while chunk:
            try:
                chunk = self._read()
            except (OSError, ValueError, TypeError):  # TypeError: pyserial, when the port is closed under its read
                chunk = b""
            if self._closing:
                return
            sink(chunk)

    def write(self, data: bytes) -> None:
        try:
            self._write(data)
        except (OSError, ValueError) as error:
            raise BoardLost(f"{self.name}: the board does not take data any more ({error})") from error

    @abstractmethod
    def _read(self) -> bytes: ...

    @abstractmethod
    def _write(self, data: bytes) -> None: ...


class SocketTransport(ThreadedTransport):
    """A connected stream socket."""

    def __init__(self, connection: socket.socket, name: str) -> None:
        super().__init__(name)
        self._socket = connection

    def _read(self) -> bytes:
        return self._socket.recv(_CHUNK)

    def _write(self, data: bytes) -> None:
        self._socket.sendall(data)

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        with suppress(OSError):  # it may be gone already
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
