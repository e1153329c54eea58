"""Writing a medium by chunks: what is there already is left, what was written is read back, and only what reads back
right counts. A tool's own "success" is no evidence (FIELD F1)."""

from __future__ import annotations

import errno
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from flexkit.deadline import Deadline
from flexkit.drivers.protocols import Medium
from flexkit.errors import FlashError
from flexkit.flash.plan import Write

_ATTEMPTS = 12  # at 20 % of transfers damaged (FIELD F1) one chunk in ten million would still fail
_MORE_READS = 2


class FileMedium(Medium):
    """A medium that is a file: the emulated board's, or a rehearsal of a real one. Made sparse, full of zeros."""

    def __init__(self, name: str, path: Path, size: int) -> None:
        self.name = name
        self.path = path
        self.size = size
        self.fresh = not path.exists()
        """True when the file had to be made: a blank medium."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o664)
        if os.fstat(self._descriptor).st_size != size:
            os.ftruncate(self._descriptor, size)

    def close(self) -> None:
        os.close(self._descriptor)

    def read(self, offset: int, count: int, deadline: Deadline) -> bytes:
        deadline.check()
        return os.pread(self._descriptor, count, offset)

    def write(self, offset: int, data: bytes, deadline: Deadline) -> None:
        deadline.check()
        try:
            done = 0
            while done < len(data):
                done += os.pwrite(self._descriptor, data[done:], offset + done)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise FlashError(f"{self.path}: no space left", mend="free some: flexkit cache prune") from error
            raise FlashError(f"{self.path}: {error.strerror}") from error

    def flush(self) -> None:
        os.fdatasync(self._descriptor)


@dataclass
class Outcome:
    """What writing one region took: chunks in it, those that differed and were written, writes that had to be repeated,
    and reads that disagreed with others of the same chunk."""

    chunks: int = 0
    written: int = 0
    repeated: int = 0
    disagreed: int = 0


def write_region(
    medium: Medium, write: Write, chunk: int, deadline: Deadline, progress: Callable[[int, int], None]
) -> Outcome:
    """Bring a region to its image's bytes and prove it. Raises FlashError when it cannot, or when the image is not what
    was built."""
    _check_image(write)
    outcome = Outcome()
    for offset, wanted in _chunks(write, chunk):
        outcome.chunks += 1
        _bring(medium, write, offset, wanted, outcome, deadline)
        progress(offset - write.offset + len(wanted), write.size)
    return outcome


def _check_image(write: Write) -> None:
    """Before a byte is written: is the image still what was built?"""
    if write.path is None:
        return
    try:
        with write.path.open("rb") as source:
            found = hashlib.file_digest(source, "sha256").hexdigest()
    except OSError as error:
        raise FlashError(f"{write.path}: {error.strerror}", mend="run: flexkit build") from error
    if found != write.sha256:
        raise FlashError(f"{write.path} is not what was built (its SHA-256 differs)", mend="run: flexkit build")


def _chunks(write: Write, chunk: int) -> Iterator[tuple[int, bytes]]:
    """Offset on the medium and bytes; zeros for an erased region."""
    if write.path is None:
        for begin in range(0, write.size, chunk):
            yield write.offset + begin, bytes(min(chunk, write.size - begin))
        return
    try:
        with write.path.open("rb") as source:
            begin = 0
            while data := source.read(chunk):
                yield write.offset + begin, data
                begin += len(data)
    except OSError as error:
        raise FlashError(f"{write.path}: {error.strerror}", mend="run: flexkit build") from error


def _bring(medium: Medium, write: Write, offset: int, wanted: bytes, outcome: Outcome, deadline: Deadline) -> None:
    if _reads_as(medium, offset, wanted, outcome, deadline):
        return
    outcome.written += 1
    for attempt in range(_ATTEMPTS):
        medium.write(offset, wanted, deadline)
        if _reads_as(medium, offset, wanted, outcome, deadline):
            return
        outcome.repeated += 1 if attempt + 1 < _ATTEMPTS else 0
    raise FlashError(
        f"{medium.name}: bytes at {offset:#x} (region {write.region}) do not read back after {_ATTEMPTS} writes",
        mend="check cable and supply, try another medium",
    )


def _reads_as(medium: Medium, offset: int, wanted: bytes, outcome: Outcome, deadline: Deadline) -> bool:
    """Whether the medium has these bytes: by one read when it agrees, else by the majority of three, since the way to
    the medium may lie in both directions."""
    reads = [medium.read(offset, len(wanted), deadline)]
    if reads[0] == wanted:
        return True
    reads += [medium.read(offset, len(wanted), deadline) for _ in range(_MORE_READS)]
    best, votes = Counter(reads).most_common(1)[0]
    outcome.disagreed += len(reads) - votes
    return best == wanted and votes > 1
