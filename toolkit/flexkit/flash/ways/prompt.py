"""U-Boot's prompt over a serial console that may drop, add and change characters (FIELD F10, F12).

A command is typed without its end of line, and only when its echo came back unharmed is it sent off; else it is wiped
away. Its answer ends in a mark that no echo contains, with its status.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections import deque

from flexkit.boards.schema import UBoot
from flexkit.deadline import Deadline
from flexkit.errors import BoardLost
from flexkit.flash.protocol import Trouble
from flexkit.link.transport import Transport

_TYPING_SECONDS = 1.0
_KNOCK_SECONDS = 0.3
_QUIET_SECONDS = 0.5
_ATTEMPTS = 8
_CANCEL = b"\x03"
_PIECE = 16  # characters in one burst: less than the smallest FIFO


class Prompt:
    """Reads ``transport`` from now until ``close``."""

    def __init__(self, transport: Transport, uboot: UBoot) -> None:
        self.name = transport.name
        self._transport = transport
        self._uboot = uboot
        self._changed = threading.Condition()
        self._text = bytearray()
        self._raw: deque[int] | None = None
        self._gone = False
        self._waiting = False  # the prompt was seen, and nothing typed since
        transport.start(self._feed)

    def close(self) -> None:
        self._transport.close()

    def catch(self, deadline: Deadline) -> None:
        """Get to the prompt: whether U-Boot counts down, waits there already, or has just been switched on. The key is
        pressed again until a command is answered (F10)."""
        mark = f"here{secrets.token_hex(3)}"
        while True:
            deadline.check()
            self._clear()
            self._write(self._uboot.key.encode() + _CANCEL + f"echo {mark}\n".encode())
            limit = deadline.within(_KNOCK_SECONDS, "U-Boot's prompt")
            while not limit.expired:
                self._wait(limit)
                if re.search(rf"^{mark}\r?$", self.text, re.MULTILINE):
                    self._settle()
                    return

    def run(self, command: str, deadline: Deadline) -> str:
        """Run a command; returns what it printed. Trouble when it fails or its answer does not come."""
        mark = f"done{secrets.token_hex(3)}"
        self._type(f"{command}; echo {mark}:$?", deadline)
        self._clear()
        self._write(b"\n")
        pattern = re.compile(rf"^{mark}:(\d+)\r?$", re.MULTILINE)
        while True:
            found = pattern.search(self.text)
            if found is not None:
                break
            if deadline.expired:
                raise Trouble(f"{self.name}: U-Boot does not answer {command!r}")
            if self._back_without_answer(deadline):
                raise Trouble(f"{self.name}: U-Boot's answer to {command!r} arrived garbled")
        said = self.text[: found.start()]
        self._waiting = self._prompted(deadline)
        if found.group(1) != "0":
            raise Trouble(f"{self.name}: U-Boot's {command!r} failed: {' '.join(said.split())[-200:]}")
        return said

    def _back_without_answer(self, deadline: Deadline) -> bool:
        """Whether the prompt is back and the line quiet: what has not come by now does not come."""
        before = self.text
        self._wait(deadline.within(_QUIET_SECONDS, "the answer"))
        return before == self.text and before.endswith(self._uboot.prompt)

    def start(self, command: str, deadline: Deadline) -> None:
        """Send a command off and do not wait for it: it takes the line over (YMODEM), or never ends (boot)."""
        self._type(command, deadline)
        with self._changed:
            self._raw = deque()
        self._write(b"\n")

    def take(self, deadline: Deadline) -> bytes:
        """The next raw byte after ``start``; nothing when the time is over."""
        with self._changed:
            assert self._raw is not None
            while not self._raw:
                if self._gone or deadline.expired:
                    return b""
                self._changed.wait(max(0.001, min(0.2, deadline.remaining)))
            return bytes([self._raw.popleft()])

    def cooked(self) -> None:
        """Back from raw bytes to commands."""
        with self._changed:
            self._raw = None

    def write(self, data: bytes) -> None:
        """Raw bytes to the board."""
        self._write(data)

    @property
    def text(self) -> str:
        """What came since the last command."""
        with self._changed:
            return self._text.decode(errors="replace")

    def _type(self, line: str, deadline: Deadline) -> None:
        """Type a line and see it echoed, character by character."""
        for _ in range(_ATTEMPTS):
            deadline.check()
            self._clear()
            if not self._waiting:
                self._write(_CANCEL)
                self._prompted(deadline)
                self._settle()
            self._waiting = False
            self._clear()
            if self._echoed(line, deadline):
                return
        raise Trouble(f"{self.name}: U-Boot's echo differs from what was typed, {_ATTEMPTS} times")

    def _prompted(self, deadline: Deadline) -> bool:
        """Whether the prompt comes, soon."""
        limit = deadline.within(_TYPING_SECONDS, "the prompt")
        while not self.text.endswith(self._uboot.prompt):
            if limit.expired:
                return False
            self._wait(limit)
        return True

    def _echoed(self, line: str, deadline: Deadline) -> bool:
        for begin in range(0, len(line), _PIECE):
            typed = line[: begin + _PIECE]
            self._write(line[begin : begin + _PIECE].encode())
            limit = deadline.within(_TYPING_SECONDS, "the echo")
            while self.text != typed:
                if limit.expired or not typed.startswith(self.text):
                    return False
                self._wait(limit)
        return True

    def _settle(self) -> None:
        """Let what is still coming come."""
        before = -1
        while before != len(self._text):
            before = len(self._text)
            time.sleep(0.02)

    def _clear(self) -> None:
        with self._changed:
            self._text.clear()

    def _write(self, data: bytes) -> None:
        try:
            self._transport.write(data)
        except BoardLost as error:
            raise Trouble(error.message) from error

    def _wait(self, deadline: Deadline) -> None:
        with self._changed:
            if self._gone:
                raise Trouble(f"{self.name}: its console is closed")
            self._changed.wait(max(0.001, min(_QUIET_SECONDS, deadline.remaining)))

    def _feed(self, chunk: bytes) -> None:
        with self._changed:
            if not chunk:
                self._gone = True
            elif self._raw is not None:
                self._raw.extend(chunk)
            else:
                self._text += chunk
            self._changed.notify_all()
