"""Descriptors as tests have them: one as a way to an agent, and a wire between two."""

from __future__ import annotations

import os
import select
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from flexkit import proc
from flexkit.link.transport import ThreadedTransport

End = Callable[[], int]
"""The descriptor as it is now: one that is negative or closed is a cable that is not plugged in."""

_POLL_SECONDS = 0.02
_CHUNK = 4096


@contextmanager
def wired(one: End, other: End) -> Iterator[None]:
    """Copy bytes both ways; what comes while an end is not there is lost.

    No thread is left at the end: a descriptor that is closed under its reader may be another file's by the next read.
    """
    over = threading.Event()

    def pump(source: End, sink: End) -> None:
        while not over.is_set():
            try:
                if select.select([source()], [], [], _POLL_SECONDS)[0]:
                    os.write(sink(), os.read(source(), _CHUNK))
            except (OSError, ValueError):
                over.wait(_POLL_SECONDS)

    threads = [threading.Thread(target=pump, args=ends) for ends in ((one, other), (other, one))]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


class ProcessTransport(ThreadedTransport):
    """Standard input and output of a child process."""

    def __init__(self, command: Sequence[str], name: str) -> None:
        super().__init__(name)
        self.process = subprocess.Popen(
            list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, bufsize=0
        )

    def _read(self) -> bytes:
        assert self.process.stdout is not None
        return os.read(self.process.stdout.fileno(), 65536)

    def _write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        while data:
            data = data[os.write(self.process.stdin.fileno(), data) :]

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            proc.stop(self.process)
            self._await_reader()
            for stream in (self.process.stdin, self.process.stdout):
                if stream is not None:
                    stream.close()


class DescriptorTransport(ThreadedTransport):
    """An open file descriptor of a pty or a pipe. It is closed with this."""

    def __init__(self, descriptor: int, name: str) -> None:
        super().__init__(name)
        self._descriptor = descriptor

    def _read(self) -> bytes:
        while not self._closing:
            if select.select([self._descriptor], [], [], _POLL_SECONDS)[0]:
                return os.read(self._descriptor, _CHUNK)
        return b""

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._descriptor, data) :]

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._await_reader()
            os.close(self._descriptor)
