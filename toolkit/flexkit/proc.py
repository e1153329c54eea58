"""External commands: each with a deadline, each ended by its own handle."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from flexkit.deadline import Deadline
from flexkit.errors import FlexError, MissingTool, TimedOut

_GRACE_SECONDS = 5.0
_TAIL_LINES = 25


def stop(process: subprocess.Popen[bytes], grace: float = _GRACE_SECONDS) -> int:
    """End a child and its process group: SIGTERM, then SIGKILL after ``grace`` seconds. Returns its exit status.

    The child must have been started with ``start_new_session=True``.
    """
    for sig, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, None)):
        if process.poll() is not None:
            break
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sig)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue
    return process.wait()


def run(
    command: Sequence[str | os.PathLike[str]],
    deadline: Deadline,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    log: Path | None = None,
    error: type[FlexError] = FlexError,
) -> str:
    """Run a command to its end and return its standard output (standard error is mixed in only in the log).

    Raises MissingTool when the program is not installed, TimedOut at the deadline, and ``error`` with the last lines
    of output when it fails. ``log`` gets the whole output, appended.
    """
    words = [os.fspath(word) for word in command]
    if shutil.which(words[0], path=(env or os.environ).get("PATH")) is None:
        raise MissingTool(f"{words[0]} is not installed", mend="run: flexkit doctor --fix")
    process = subprocess.Popen(
        words,
        cwd=cwd,
        env=None if env is None else dict(env),
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(stdin, timeout=deadline.check())
    except subprocess.TimeoutExpired:
        stop(process)
        raise TimedOut(f"{deadline.what}: {words[0]} had not ended after {deadline.seconds:g} s") from None
    except BaseException:
        stop(process)
        raise
    if log is not None:
        with log.open("ab") as sink:
            sink.write(b"$ " + " ".join(words).encode() + b"\n" + out + err)
    if process.returncode != 0:
        tail = "\n".join((out + err).decode(errors="replace").splitlines()[-_TAIL_LINES:])
        where = f"\nwhole log: {log}" if log else ""
        raise error(f"{words[0]} failed with status {process.returncode} ({deadline.what})\n{tail}{where}")
    return out.decode(errors="replace")
