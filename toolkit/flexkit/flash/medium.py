"""A medium that is a file: the emulated board's, or a rehearsal of a real one."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

from flexkit.deadline import Deadline
from flexkit.deployed.plan import Write
from flexkit.errors import FlashError
from flexkit.flash.protocol import FlashMedium
from flexkit.lock import shared_file, shared_folder


class FileMedium(FlashMedium):
    """Made sparse and full of zeros if there is none yet."""

    def __init__(self, name: str, path: Path, size: int) -> None:
        self.name = name
        self.path = path
        self.size = size
        self.fresh = not path.exists()
        self._descriptor = -1

    def open(self, deadline: Deadline) -> None:
        deadline.check()
        if self._descriptor >= 0:
            return
        try:
            shared_folder(self.path.parent)
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o664)
            shared_file(self._descriptor)
            if os.fstat(self._descriptor).st_size != self.size:
                os.ftruncate(self._descriptor, self.size)
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def read(self, offset: int, count: int, deadline: Deadline) -> bytes:
        deadline.check()
        try:
            return os.pread(self._descriptor, count, offset)
        except OSError as error:
            raise self._failed(error) from error

    def write(self, offset: int, data: bytes, deadline: Deadline) -> None:
        deadline.check()
        try:
            done = 0
            while done < len(data):
                done += os.pwrite(self._descriptor, data[done:], offset + done)
        except OSError as error:
            raise self._failed(error) from error

    def settle(self, deadline: Deadline) -> None:
        deadline.check()
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            raise self._failed(error) from error

    def recover(self, deadline: Deadline) -> None:
        """A file has no way to be reset: what failed fails again, and says why."""
        self.close()
        self.open(deadline)

    def describe(self, write: Write) -> Sequence[str]:
        if write.path is None:
            return [f"truncate -s {self.size} {self.path}"]
        return [f"dd if={write.path} of={self.path} bs=512 seek={write.offset // 512} conv=notrunc"]

    def _failed(self, error: OSError) -> FlashError:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return FlashError(f"{self.path}: no space left", mend="free some: flexkit cache prune")
        return FlashError(f"{self.path}: {error.strerror}")
