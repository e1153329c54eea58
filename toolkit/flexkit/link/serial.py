"""A serial port that may come and go: boards that power their own USB converter take it along when they are switched
off, and a loose cable is no reason to lose a run."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable

import serial

from flexkit.errors import BoardLost, Busy, FlexError
from flexkit.link.transport import ThreadedTransport

_READ_SECONDS = 0.2
_RETRY_SECONDS = 0.05
_HOPELESS_SECONDS = 1.0
_MISSING = (errno.ENOENT, errno.ENODEV, errno.ENXIO)


class SerialTransport(ThreadedTransport):
    """A port by pyserial: a device, ``socket://HOST:PORT`` or ``rfc2217://HOST:PORT``. A device is had alone.

    ``patience``: seconds for which a port that is gone is waited for, at the beginning too when ``awaited``; bytes that
    are written meanwhile wait with it, those that were under way are lost as noise would lose them. ``hopeless`` is
    asked now and then meanwhile, unless a gap is expected; what it answers ends the wait.
    Raises Busy when another process has the port, BoardLost when it cannot be opened.
    """

    def __init__(
        self,
        port: str,
        baud: int,
        patience: float = 0.0,
        *,
        awaited: bool = False,
        hopeless: Callable[[], str] = lambda: "",
    ) -> None:
        super().__init__(port)
        self._hopeless = hopeless
        self._gap = awaited
        self._baud = baud
        self._patience = patience
        self._asked = 0.0
        self._changed = threading.Condition()
        self._port: serial.SerialBase | None = None
        try:
            self._port = self._open()
        except BoardLost:
            if not awaited:
                raise

    def _open(self) -> serial.SerialBase:
        try:
            return serial.serial_for_url(self.name, baudrate=self._baud, timeout=_READ_SECONDS, exclusive=True)
        except (serial.SerialException, ValueError, OSError) as error:
            if "exclusively lock" in str(error):
                raise Busy(
                    f"serial port {self.name} is in use by another program", mend=f"see who: fuser {self.name}"
                ) from error
            missing = getattr(error, "errno", None) in _MISSING
            why = "is not there" if missing else f"cannot be opened: {error}"
            raise BoardLost(
                f"serial port {self.name} {why}",
                mend="check lab.toml and the cable; a board's own port comes with its power",
            ) from error

    def _read(self) -> bytes:
        while not self._closing:
            try:
                port = self._port or self._wait_for_it()
                chunk: bytes = port.read(max(1, port.in_waiting))
            except (OSError, TypeError, ValueError, AttributeError) as error:  # the last three: closed under its read
                self._vanish(error)
                continue
            except BoardLost as error:
                self.ended = error.message
                return b""
            if chunk:
                return chunk
        return b""

    def _vanish(self, error: Exception) -> None:
        with self._changed:
            if self._port is not None and not self._closing:
                self.note(f"serial port {self.name} is gone: {error}")
                self._port.close()
                self._port = None

    def expect_gap(self, expected: bool) -> None:
        self._gap = expected

    def _wait_for_it(self) -> serial.SerialBase:
        """In the reader's thread: the port again, once it can be opened. Raises BoardLost after ``patience``."""
        begin = time.monotonic()
        while True:
            try:
                port = self._open()
            except (BoardLost, Busy) as error:
                self._give_up(begin, error)
                time.sleep(_RETRY_SECONDS)
                continue
            with self._changed:
                self._port = port
                self._changed.notify_all()
            self.note(f"serial port {self.name} is there")
            return port

    def _give_up(self, begin: float, error: FlexError) -> None:
        """Raises BoardLost when there is no use in waiting any longer."""
        now = time.monotonic()
        if self._closing or now > begin + self._patience:
            raise BoardLost(f"{error.message}, not within {self._patience:g} s either") from error
        if not self._gap and now > self._asked + _HOPELESS_SECONDS:
            if why := self._hopeless():
                raise BoardLost(f"{error.message}: {why}") from error
            self._asked = time.monotonic()

    def _write(self, data: bytes) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: self._port is not None or self._closing, self._patience):
                raise BoardLost(self.ended or f"serial port {self.name} is not there")
            port = self._port
        if port is None:
            return
        try:
            port.write(data)
        except OSError as error:
            self._vanish(error)  # lost as noise would lose it: the reader brings the port back

    def close(self) -> None:
        with self._changed:
            if self._closing:
                return
            self._closing = True
            self._changed.notify_all()
        self._await_reader()
        if self._port is not None:
            self._port.close()
