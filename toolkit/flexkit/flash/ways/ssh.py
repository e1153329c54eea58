"""A board that runs, over its shell: the slot of an A/B pair that it does not run from is written."""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

from flexkit.deadline import Deadline
from flexkit.deployed.plan import Write
from flexkit.drivers.protocols import Shell, Transfer
from flexkit.errors import BoardLost, FlashError, TimedOut
from flexkit.flash.protocol import NeedsHands, Trouble
from flexkit.flash.ways.tool import Limits, ToolMedium

_DIGEST = re.compile(r"^([0-9a-f]{64})\b", re.MULTILINE)
_REMOTE = PurePosixPath("/tmp/flexkit-chunk")

Connect = Callable[[Deadline], tuple[Shell, Transfer]]
"""Opens a connection; again, after the last one was lost."""


class SshMedium(ToolMedium):
    """``device``: Linux's name of the medium on the board; ``running``: bytes of it, as ranges, that the board runs
    from and that are never written."""

    program = "ssh"
    proof = "read back by the board, SHA-256"

    def __init__(
        self, name: str, size: int, device: str, connect: Connect, limits: Limits, running: Sequence[range] = ()
    ) -> None:
        super().__init__(name, size, limits, "see that the board runs and is on the network")
        self._device = device
        self._connect = connect
        self._running = running
        self._shell: Shell | None = None
        self._files: Transfer | None = None

    def open(self, deadline: Deadline) -> None:
        if self._shell is not None:
            return
        try:
            self._shell, self._files = self._connect(deadline.within(self._limits.enumerate, "SSH"))
        except (BoardLost, TimedOut) as error:
            raise NeedsHands(f"{self.name}: {error.message}", mend=self._hands) from error
        self._run(f"test -b {self._device} || test -f {self._device}", deadline)

    def close(self) -> None:
        super().close()
        self._shell = self._files = None

    def read(self, offset: int, count: int, deadline: Deadline) -> bytes:
        said = self._run(f"{self._dd_from(offset, count)} | base64", deadline, moved=count)
        try:
            data = base64.b64decode("".join(said.split()), validate=True)
        except ValueError as error:
            raise Trouble(f"{self.name}: what was read arrived damaged") from error
        if len(data) != count:
            raise Trouble(f"{self.name}: {len(data)} bytes were read instead of {count}")
        return data

    def look(self, offset: int, count: int, deadline: Deadline) -> bytes:
        found = _DIGEST.search(self._run(f"{self._dd_from(offset, count)} | sha256sum", deadline, moved=count))
        if found is None:
            raise Trouble(f"{self.name}: the board does not say a digest")
        return bytes.fromhex(found.group(1))

    def evidence(self, data: bytes) -> bytes:
        return hashlib.sha256(data).digest()

    def write(self, offset: int, data: bytes, deadline: Deadline) -> None:
        for used in self._running:
            if offset < used.stop and used.start < offset + len(data):
                raise FlashError(
                    f"{self.name}: the board runs from the bytes at {offset:#x}; the other slot is to be written"
                )
        local = self._file("chunk")
        local.write_bytes(data)
        assert self._files is not None
        try:
            self._files.put(local, str(_REMOTE), deadline.within(self._limits.seconds(len(data)), "send a chunk"))
        except (BoardLost, TimedOut) as error:
            deadline.check()
            raise Trouble(f"{self.name}: {error.message}") from error
        target = f"of={self._device} bs={self.block} seek={offset // self.block}"
        self._run(f"dd if={_REMOTE} {target} conv=notrunc,fsync 2>/dev/null", deadline, moved=len(data))

    def settle(self, deadline: Deadline) -> None:
        """Reads that the board answers from its page cache are no proof."""
        self._run("sync && { echo 3 > /proc/sys/vm/drop_caches; } 2>/dev/null; true", deadline)

    def recover(self, deadline: Deadline) -> None:
        self._shell = None
        super().recover(deadline)

    def describe(self, write: Write) -> Sequence[str]:
        return [f"ssh BOARD dd of={self._device} bs=512 seek={write.offset // 512} conv=notrunc,fsync <{write.path}"]

    def _dd_from(self, offset: int, count: int) -> str:
        first, blocks = offset // self.block, count // self.block
        return f"dd if={shlex.quote(self._device)} bs={self.block} skip={first} count={blocks} 2>/dev/null"

    def _run(self, command: str, deadline: Deadline, moved: int = 0) -> str:
        deadline.check()
        if self._shell is None:
            raise Trouble(f"{self.name}: there is no connection")
        limit = deadline.within(self._limits.seconds(moved), "a command on the board")
        try:
            status, said = self._shell.run(command, limit)
        except (BoardLost, TimedOut) as error:
            deadline.check()
            raise Trouble(f"{self.name}: {error.message}") from error
        if status != 0:
            said = said.strip()[-200:]
            raise Trouble(f"{self.name}: {command[:40]!r} on the board failed with status {status}: {said}")
        return said
