"""U-Boot's fastboot, by fastboot or uuu: a chunk is sent to memory, U-Boot writes it, reads it back and says its CRC.

`flash PARTITION` is not used: it goes by the partition table that happens to be on the medium (FIELD F3), cannot write
a part, and cannot be read back. U-Boot needs FASTBOOT_OEM_RUN (fastboot) or FASTBOOT_UUU_SUPPORT (uuu).
"""

from __future__ import annotations

import re
import zlib
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

from flexkit.deadline import Deadline
from flexkit.deployed.plan import Write
from flexkit.errors import FlashError
from flexkit.flash.protocol import NeedsHands, Trouble
from flexkit.flash.ways.storage import Storage
from flexkit.flash.ways.tool import Limits, Rescue, ToolMedium
from flexkit.flash.ways.usb import UsbTarget

_VARIABLE = "flexkit"  # U-Boot answers getvar from its environment: fastboot.flexkit
_CRC = re.compile(r"crc-([0-9a-f]{1,8})-")
_COMMAND_BYTES = 64  # a command of the protocol, "oem run:" included


class UBootFastboot(ToolMedium):
    """What both tools share."""

    proof = "read back by the board, CRC-32"

    def __init__(
        self, name: str, size: int, target: UsbTarget, storage: Storage, limits: Limits, rescue: Rescue | None = None
    ) -> None:
        super().__init__(name, size, limits, target.hands(), rescue)
        self._target = target
        self._storage = storage

    def open(self, deadline: Deadline) -> None:
        try:
            mode = self._target.wait(deadline.within(self._limits.enumerate, "wait for USB")).mode
        except Trouble as gone:
            raise NeedsHands(gone.message, mend=self._hands) from gone
        self._arrive(mode, deadline)
        self._uboot(self._storage.select(), deadline)

    def read(self, offset: int, count: int, deadline: Deadline) -> bytes:
        raise FlashError(
            f"{self.name}: {self.program} cannot read a medium, so what is there cannot be backed up",
            mend="name another way: flexkit flash --via …",
        )

    def write(self, offset: int, data: bytes, deadline: Deadline) -> None:
        path = self._file("chunk")
        path.write_bytes(data)
        self._send(path, len(data), deadline)
        self._uboot(self._storage.write(offset, len(data)), deadline, moved=len(data))

    def look(self, offset: int, count: int, deadline: Deadline) -> bytes:
        """U-Boot reads the chunk into other memory than it was sent to, and says its CRC."""
        storage = self._storage
        self._uboot(storage.read(offset, count), deadline, moved=count)
        self._uboot(storage.crc(count), deadline)
        self._uboot(f"setexpr.l fk *{storage.digest:x}", deadline)
        self._uboot(f"setenv fastboot.{_VARIABLE} crc-${{fk}}-", deadline)
        found = _CRC.search(self._variable(deadline))
        if found is None:
            raise Trouble(f"{self.name}: {self.program} does not say the CRC")
        return int(found.group(1), 16).to_bytes(4, "little")

    def evidence(self, data: bytes) -> bytes:
        return zlib.crc32(data).to_bytes(4, "big")

    def settle(self, deadline: Deadline) -> None:
        """U-Boot writes through; it must still answer."""
        self._uboot(self._storage.select(), deadline)

    @abstractmethod
    def _arrive(self, mode: str, deadline: Deadline) -> None:
        """From the mode that it is in to fastboot."""

    @abstractmethod
    def _send(self, path: Path, size: int, deadline: Deadline) -> None:
        """A file to fastboot's buffer."""

    @abstractmethod
    def _uboot(self, command: str, deadline: Deadline, moved: int = 0) -> None:
        """Let U-Boot run a command. Trouble when that fails."""

    @abstractmethod
    def _variable(self, deadline: Deadline) -> str:
        """What the tool says when asked for the variable."""


class Fastboot(UBootFastboot):
    """By Android's fastboot. ``port``: the USB port, None when there is one device only."""

    program = "fastboot"

    def __init__(
        self,
        name: str,
        size: int,
        target: UsbTarget,
        storage: Storage,
        limits: Limits,
        rescue: Rescue | None = None,
        port: str | None = None,
    ) -> None:
        super().__init__(name, size, target, storage, limits, rescue)
        self._select = ("-s", f"usb:{port}") if port else ()

    def describe(self, write: Write) -> Sequence[str]:
        command = self._storage.write(write.offset, write.size + -write.size % self.block)
        return [f"fastboot stage {write.path}", f"fastboot oem run:'{command}'"]

    def _arrive(self, mode: str, deadline: Deadline) -> None:
        if mode != "fastboot":
            raise NeedsHands(f"{self.name}: the board is in mode {mode}, not in fastboot", mend=self._hands)

    def _reset(self, deadline: Deadline) -> None:
        self._target.find()
        self._call(deadline, *self._select, "reboot", "bootloader")

    def _send(self, path: Path, size: int, deadline: Deadline) -> None:
        self._call(deadline, *self._select, "stage", path, moved=size)

    def _uboot(self, command: str, deadline: Deadline, moved: int = 0) -> None:
        assert len("oem run:" + command) <= _COMMAND_BYTES
        self._call(deadline, *self._select, "oem", f"run:{command}", moved=moved)

    def _variable(self, deadline: Deadline) -> str:
        return self._call(deadline, *self._select, "getvar", _VARIABLE, merged=True)


class Uuu(UBootFastboot):
    """By NXP's uuu. ``loader``: the boot loader that the boot ROM is sent first, which then stays in fastboot."""

    program = "uuu"

    def __init__(
        self,
        name: str,
        size: int,
        target: UsbTarget,
        storage: Storage,
        limits: Limits,
        rescue: Rescue | None = None,
        port: str | None = None,
        loader: Path | None = None,
    ) -> None:
        super().__init__(name, size, target, storage, limits, rescue)
        self._select = ("-m", port.replace("-", ":", 1)) if port else ()
        self._loader = loader

    def describe(self, write: Write) -> Sequence[str]:
        command = self._storage.write(write.offset, write.size + -write.size % self.block)
        first = [f"uuu SDPS: boot -f {self._loader.name}"] if self._loader else []
        return [*first, f"uuu FB: download -f {write.path}", f"uuu FB: ucmd {command}"]

    def _arrive(self, mode: str, deadline: Deadline) -> None:
        if mode != "sdp":
            return
        if self._loader is None:
            raise FlashError(f"{self.name}: the boot ROM wants a boot loader first, and the build has none")
        self._call(deadline, *self._select, "SDPS:", "boot", "-f", self._loader, moved=self._loader.stat().st_size)
        self._target.wait(deadline.within(self._limits.enumerate, "wait for fastboot"))

    def _send(self, path: Path, size: int, deadline: Deadline) -> None:
        self._call(deadline, *self._select, "FB:", "download", "-f", path, moved=size)

    def _uboot(self, command: str, deadline: Deadline, moved: int = 0) -> None:
        self._call(deadline, *self._select, "FB:", "ucmd", *command.split(), moved=moved)

    def _variable(self, deadline: Deadline) -> str:
        return self._call(deadline, *self._select, "-v", "FB:", "getvar", _VARIABLE)
