"""Ways to carry lines: each reads in a thread of its own and hands every byte on, so that nothing is lost while
somebody thinks."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress

import serial

from flexkit import proc
from flexkit.errors import BoardLost

Sink = Callable[[bytes], None]
"""Takes bytes as they come; an empty chunk means that the other end is gone."""

_CHUNK = 65536


class Transport(ABC):
    """Bytes both ways. ``name`` says which one in messages."""

    name: str

    @abstractmethod
    def start(self, sink: Sink) -> None:
        """Begin to read; ``sink`` is called from another thread until an empty chunk or ``close``."""

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Write all of it; may block. Raises BoardLost when the other end is gone."""

    @abstractmethod
    def close(self) -> None:
        """Let go. May be called more than once."""


class ThreadedTransport(Transport):
    """The common part: a reader thread over a blocking ``_read``."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._closing = False

    def start(self, sink: Sink) -> None:
        threading.Thread(target=self._loop, args=(sink,), name=f"read {self.name}", daemon=True).start()

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


class DescriptorTransport(ThreadedTransport):
    """An open file descriptor of a terminal (a pty, an already configured serial port). It is closed with this."""

    def __init__(self, descriptor: int, name: str) -> None:
        super().__init__(name)
        self._descriptor = descriptor

    def _read(self) -> bytes:
        return os.read(self._descriptor, _CHUNK)

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._descriptor, data) :]

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            os.close(self._descriptor)


class SerialTransport(ThreadedTransport):
    """A serial port by pyserial, opened exclusively."""

    def __init__(self, port: str, baud: int) -> None:
        super().__init__(port)
        try:
            self._port = serial.serial_for_url(port, baudrate=baud, timeout=0.2, exclusive=True)
        except (serial.SerialException, ValueError) as error:
            raise BoardLost(
                f"serial port {port} cannot be opened: {error}", mend="check lab.toml and the cable"
            ) from error

    def _read(self) -> bytes:
        while not self._closing:
            chunk: bytes = self._port.read(max(1, self._port.in_waiting))
            if chunk:
                return chunk
        return b""

    def _write(self, data: bytes) -> None:
        self._port.write(data)

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._port.close()


class ProcessTransport(ThreadedTransport):
    """Standard input and output of a child process."""

    def __init__(self, command: Sequence[str], name: str) -> None:
        super().__init__(name)
        self.process = subprocess.Popen(
            list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, bufsize=0
        )

    def _read(self) -> bytes:
        assert self.process.stdout is not None
        return os.read(self.process.stdout.fileno(), _CHUNK)

    def _write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        while data:
            data = data[os.write(self.process.stdin.fileno(), data) :]

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            proc.stop(self.process)
            for stream in (self.process.stdin, self.process.stdout):
                if stream is not None:
                    stream.close()
