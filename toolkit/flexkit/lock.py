"""One user of a board at a time: a flock, which the kernel releases when its holder dies, however it dies."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from flexkit import paths
from flexkit.deadline import Deadline
from flexkit.errors import Busy

_POLL_SECONDS = 0.2


def user() -> str:
    """Who runs this program, by name where the machine knows one."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _file(board: str) -> Path:
    folder = paths.state() / "locks"
    shared_folder(folder)
    return folder / f"{board}.lock"


def shared_folder(folder: Path) -> None:
    """Makes a folder, and those above it, that every user of the host's group can write to."""
    if not folder.is_dir():
        shared_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        folder.chmod(0o2775)


def shared_file(descriptor: int) -> None:
    """Lets every user of the host's group write to an open file, whatever its maker's umask. Of somebody else's file
    that is theirs to say, and was said when they made it."""
    with suppress(PermissionError):
        os.fchmod(descriptor, 0o664)


def holder(board: str) -> str:
    """Who has the board, in words; empty when nobody has."""
    with _open(board) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _describe(descriptor)
    return ""


@contextmanager
def _open(board: str) -> Iterator[int]:
    descriptor = os.open(_file(board), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o664)
    try:
        shared_file(descriptor)
        yield descriptor
    finally:
        os.close(descriptor)


def _describe(descriptor: int) -> str:
    try:
        who = json.loads(os.pread(descriptor, 4096, 0))
        return f"{who['user']} (process {who['pid']}: {who['command']}, since {who['since']})"
    except (ValueError, KeyError, TypeError):
        return "somebody"


@contextmanager
def acquire(board: str, deadline: Deadline | None = None) -> Iterator[None]:
    """Have the board until the block ends. Raises Busy, which names the holder: at once, or at the deadline if one is
    given to wait for."""
    with _open(board) as descriptor:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if deadline is None or deadline.expired:
                    raise Busy(f"{board} is in use by {_describe(descriptor)}") from None
                time.sleep(_POLL_SECONDS)
        who = {
            "user": user(),
            "pid": os.getpid(),
            "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:200],
            "since": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        }
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(who).encode(), 0)
        try:
            yield
        finally:
            os.ftruncate(descriptor, 0)
