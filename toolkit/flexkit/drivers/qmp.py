"""QEMU's monitor protocol, as much as a board driver needs: a command, its answer. Events are passed over."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from flexkit.deadline import Deadline
from flexkit.errors import BoardLost, TimedOut

_POLL_SECONDS = 0.02


class Qmp:
    """A connection to one emulator. Its socket takes one client at a time: keep it short."""

    def __init__(self, path: Path, deadline: Deadline) -> None:
        self._path = path
        self._socket = self._connect(deadline)
        self._file = self._socket.makefile("rb")
        self._receive(deadline)  # the greeting
        self.execute("qmp_capabilities", deadline)

    def __enter__(self) -> Qmp:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._socket.close()

    def _connect(self, deadline: Deadline) -> socket.socket:
        """The emulator makes its socket a moment after it starts."""
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(str(self._path))
                return connection
            except OSError as error:
                connection.close()
                if deadline.expired:
                    raise BoardLost(f"the emulator's monitor {self._path} does not answer: {error}") from error
                time.sleep(_POLL_SECONDS)

    def _receive(self, deadline: Deadline) -> dict[str, Any]:
        self._socket.settimeout(max(deadline.check(), _POLL_SECONDS))
        try:
            line = self._file.readline()
        except TimeoutError:
            raise TimedOut(f"{deadline.what}: the emulator's monitor did not answer") from None
        except OSError as error:
            raise BoardLost(f"the emulator's monitor is gone: {error}") from error
        if not line:
            raise BoardLost("the emulator's monitor is gone")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def execute(self, command: str, deadline: Deadline, **arguments: Any) -> Any:
        """Run a command; its return value. Raises BoardLost when the emulator refuses it or is gone."""
        request: dict[str, Any] = {"execute": command}
        if arguments:
            request["arguments"] = arguments
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise BoardLost(f"the emulator's monitor is gone: {error}") from error
        while True:
            answer = self._receive(deadline)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise BoardLost(f"the emulator refuses {command!r}: {answer['error'].get('desc', '')}")
