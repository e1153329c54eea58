"""An SD card in a reader of this host, or behind an SD mux: a block device, opened for this process alone.

Not by bmaptool, which copies what its map names and believes the card: it checks the image that it reads, and reads
nothing back; a card that takes 19 of 20 writes passes. Here each chunk is read back from the card, what is right
already is not written, and a write that broke off is resumed. What bmaptool is made for, a card written where this tool
is not, ``flash --rehearse`` provides for: the card as a file, and its block map (flash/bmap.py).
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Sequence
from pathlib import Path

from flexkit import proc
from flexkit.deadline import Deadline
from flexkit.deployed.plan import Write
from flexkit.errors import Busy, FlashError, MissingTool
from flexkit.flash.protocol import FlashMedium, NeedsHands, Trouble

_BLKFLSBUF = 0x1261  # linux/fs.h: forget what is cached, so that reads come from the device
_POLL_SECONDS = 0.2
_MUX_SECONDS = 15.0
_GONE = (errno.ENODEV, errno.ENXIO, errno.EIO, errno.ENOMEDIUM, errno.ENOENT)


class BlockMedium(FlashMedium):
    """``mux``: the control device of an SD mux that usbsdmux knows; the card is the host's while this is open."""

    block = 512

    def __init__(
        self, name: str, size: int, path: Path, enumerate_seconds: float = 30.0, mux: str | None = None
    ) -> None:
        self.name = name
        self.size = size
        self.path = path
        self._seconds = enumerate_seconds
        self._mux = mux
        self._descriptor = -1

    def open(self, deadline: Deadline) -> None:
        if self._descriptor >= 0:
            return
        self._switch("host", deadline)
        limit = deadline.within(self._seconds, f"wait for {self.path}")
        while True:
            try:
                self._descriptor = os.open(self.path, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC)
                break
            except OSError as error:
                if error.errno not in _GONE:
                    raise self._refused(error) from error
                if limit.expired:
                    raise NeedsHands(f"{self.name}: {self.path} is not there", mend="put the card in") from error
                time.sleep(min(_POLL_SECONDS, limit.remaining))
        self._check()

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            self._switch("dut", Deadline(_MUX_SECONDS, "SD mux"))

    def read(self, offset: int, count: int, deadline: Deadline) -> bytes:
        deadline.check()
        try:
            data = os.pread(self._descriptor, count, offset)
        except OSError as error:
            raise self._trouble(error) from error
        if len(data) != count:
            raise Trouble(f"{self.name}: {self.path} ends at {offset + len(data):#x}")
        return data

    def write(self, offset: int, data: bytes, deadline: Deadline) -> None:
        deadline.check()
        try:
            done = 0
            while done < len(data):
                done += os.pwrite(self._descriptor, data[done:], offset + done)
            os.fdatasync(self._descriptor)
            self._forget()
        except OSError as error:
            raise self._trouble(error) from error

    def settle(self, deadline: Deadline) -> None:
        deadline.check()
        try:
            os.fsync(self._descriptor)
            self._forget()
        except OSError as error:
            raise self._trouble(error) from error

    def recover(self, deadline: Deadline) -> None:
        self.close()
        self.open(deadline)

    def describe(self, write: Write) -> Sequence[str]:
        return [f"dd if={write.path} of={self.path} bs=512 seek={write.offset // 512} conv=fsync"]

    def _forget(self) -> None:
        """Reads that the kernel answers from its cache are no proof."""
        if stat.S_ISBLK(os.fstat(self._descriptor).st_mode):
            fcntl.ioctl(self._descriptor, _BLKFLSBUF)
        os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def _check(self) -> None:
        found = os.lseek(self._descriptor, 0, os.SEEK_END)
        if found < self.size:
            self.close()
            raise FlashError(
                f"{self.name}: {self.path} has {found} bytes, the board wants {self.size}", mend="a larger card"
            )

    def _refused(self, error: OSError) -> FlashError | Busy:
        if error.errno == errno.EBUSY:
            return Busy(f"{self.path} is in use (mounted?)", mend=f"umount {self.path}*")
        if error.errno in (errno.EACCES, errno.EPERM):
            return FlashError(
                f"{self.path} may not be written by this user", mend="flexkit doctor --fix, then log in again"
            )
        return FlashError(f"{self.path}: {error.strerror}")

    def _trouble(self, error: OSError) -> Trouble:
        return Trouble(f"{self.name}: {self.path}: {error.strerror}")

    def _switch(self, side: str, deadline: Deadline) -> None:
        if self._mux is None:
            return
        try:
            limit = deadline.within(_MUX_SECONDS, "SD mux")
            proc.run(["usbsdmux", self._mux, side], limit, error=FlashError)
        except MissingTool as missing:
            raise MissingTool(missing.message, mend="apt-get install usbsdmux") from missing
        except FlashError as error:
            raise Trouble(f"{self.name}: the SD mux {self._mux} does not switch: {error.message}") from error
