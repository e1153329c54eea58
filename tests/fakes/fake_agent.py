"""The agent built for this machine, and ways to it that lose and damage what they carry. One place for all tests."""

from __future__ import annotations

import atexit
import os
import pty
import random
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from wire import DescriptorTransport

from flexkit import proc
from flexkit.deadline import Deadline
from flexkit.link.transport import Sink, Transport

TOP = Path(__file__).resolve().parents[2]
AGENT_ID = "00112233445566778899aabbccddeeff"


@cache
def host_agent() -> Path:
    """flexagent for this machine, built once in a test run."""
    folder = Path(tempfile.mkdtemp(prefix="flexagent-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    command = ["make", "-s", f"-j{os.cpu_count()}", "-C", str(TOP / "firmware/agent")]
    proc.run([*command, f"BUILD={folder}", f"FLEX_BUILD_ID={AGENT_ID}"], Deadline(300, "build the agent"))
    return folder / "flexagent"


class Harm(Transport):
    """Another transport with a bad cable: of the lines in either direction, ``percent`` are dropped, damaged, repeated,
    or split by a kernel message. The seed makes a failure happen again."""

    def __init__(self, inner: Transport, percent: int, seed: int) -> None:
        self.name = f"bad cable to {inner.name}"
        self.harmed = 0
        self._inner = inner
        self._percent = percent
        self._random = random.Random(seed)
        self._rest = b""

    def start(self, sink: Sink) -> None:
        def harm(chunk: bytes) -> None:
            if not chunk:
                sink(chunk)
                return
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            worse = b"".join(self._harm(line + b"\n") for line in lines)
            if worse:
                sink(worse)

        self._inner.start(harm)

    def write(self, data: bytes) -> None:
        for line in data.splitlines(keepends=True):
            self._inner.write(self._harm(line))

    def close(self) -> None:
        self._inner.close()

    def _harm(self, line: bytes) -> bytes:
        if self._random.randrange(100) >= self._percent:
            return line
        self.harmed += 1
        at = self._random.randrange(len(line))
        match self._random.randrange(4):
            case 0:
                return b""
            case 1:
                return line[:at] + bytes([line[at] ^ (1 << self._random.randrange(7))]) + line[at + 1 :]
            case 2:
                return line + line
            case _:
                return line[:at] + b"[   12.345678] usb 1-1: new device\r\n" + line[at:]


class ConsoleAgent:
    """An agent on a terminal, as on a board's console. ``master`` is the cable."""

    def __init__(self) -> None:
        self.master, self._slave = pty.openpty()  # the slave held open, so that the cable stays when the agent goes
        self.start()

    def start(self) -> None:
        """An agent at the end of the cable, as init does it."""
        self.process = subprocess.Popen(
            [host_agent(), "--console", os.ttyname(self._slave)], stdin=subprocess.DEVNULL, start_new_session=True
        )

    def transport(self) -> Transport:
        """The cable; closing it ends the agent."""
        return DescriptorTransport(self.master, "pty")

    def stop(self) -> None:
        proc.stop(self.process)
        os.close(self._slave)
