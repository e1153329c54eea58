"""Logs of consoles: one file for each time that a board's console is read, the newest ones kept. Whoever has the board
writes it; everybody else reads along there, since a serial port has one reader."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from flexkit import paths
from flexkit.deadline import Deadline
from flexkit.lock import shared_folder

_KEPT = 40
_POLL_SECONDS = 0.1


def _folder(board: str) -> Path:
    return paths.state() / "console" / board


def new_log(board: str) -> Path:
    """A file for a console's log, not made; the oldest ones go."""
    folder = _folder(board)
    shared_folder(folder)
    for old in sorted(folder.glob("*.log"))[:-_KEPT]:
        old.unlink(missing_ok=True)
    return folder / f"{_stamp(datetime.now(UTC))}.log"


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%f")


def copy_logs(board: str, since: datetime, folder: Path) -> None:
    """The logs that were begun since then, into FOLDER/console, which has nothing else afterwards: a report's own."""
    target = folder / "console"
    if target.is_dir():
        shutil.rmtree(target)
    found = [path for path in sorted(_folder(board).glob("*.log")) if path.stem >= _stamp(since)]
    if found:
        target.mkdir(parents=True)
    for path in found:
        shutil.copyfile(path, target / path.name)


def newest_log(board: str) -> Path | None:
    """The log that is being written, or was last."""
    return max(_folder(board).glob("*.log"), default=None)


def follow_logs(board: str, deadline: Deadline) -> Iterator[str]:
    """The newest log from its beginning, then what is added to it, then the next one, until the deadline."""
    path: Path | None = None
    source: TextIO | None = None
    try:
        while not deadline.expired:
            newest = newest_log(board)
            if newest is not None and newest != path:
                if source is not None:
                    yield source.read()
                    source.close()
                path, source = newest, newest.open(encoding="utf-8", errors="replace")
            text = source.read() if source is not None else ""
            if text:
                yield text
            else:
                time.sleep(_POLL_SECONDS)
    finally:
        if source is not None:
            source.close()
