"""U-Boot's DFU, by dfu-util. An alternate setting is one region, as U-Boot's dfu_alt_info names it; there is no way to
address inside one, so a region goes in one piece both ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flexkit.deadline import Deadline
from flexkit.deployed.plan import Write
from flexkit.errors import FlashError
from flexkit.flash.protocol import NeedsHands, Trouble
from flexkit.flash.ways.tool import Limits, Rescue, ToolMedium
from flexkit.flash.ways.usb import UsbTarget


@dataclass(frozen=True)
class Setting:
    """An alternate setting by its name, and the bytes of the medium that it stands for."""

    name: str
    offset: int
    size: int


class Dfu(ToolMedium):
    """``settings`` by the offset at which each begins."""

    program = "dfu-util"
    whole = True

    def __init__(
        self,
        name: str,
        size: int,
        target: UsbTarget,
        settings: Mapping[int, Setting],
        limits: Limits,
        rescue: Rescue | None = None,
        port: str | None = None,
    ) -> None:
        super().__init__(name, size, limits, target.hands(), rescue)
        self._target = target
        self._settings = settings
        self._select = ("-p", port) if port else ()

    def open(self, deadline: Deadline) -> None:
        try:
            mode = self._target.wait(deadline.within(self._limits.enumerate, "wait for USB")).mode
        except Trouble as gone:
            raise NeedsHands(gone.message, mend=self._hands) from gone
        if mode != "dfu":
            raise NeedsHands(f"{self.name}: the board is in mode {mode}, not in DFU", mend=self._hands)
        self._call(deadline, *self._select, "-l")

    def read(self, offset: int, count: int, deadline: Deadline) -> bytes:
        setting = self._setting(offset)
        path = self._file("read")
        path.unlink(missing_ok=True)
        self._call(deadline, *self._select, "-a", setting.name, "-U", path, moved=setting.size)
        data = path.read_bytes() if path.is_file() else b""
        if len(data) < count:
            raise Trouble(f"{self.name}: dfu-util gave {len(data)} bytes of {setting.name!r} instead of {count}")
        return data[:count]

    def write(self, offset: int, data: bytes, deadline: Deadline) -> None:
        path = self._file("write")
        path.write_bytes(data)
        self._call(deadline, *self._select, "-a", self._setting(offset).name, "-D", path, moved=len(data))

    def describe(self, write: Write) -> Sequence[str]:
        return [f"dfu-util -a {self._setting(write.offset).name} -D {write.path}"]

    def _reset(self, deadline: Deadline) -> None:
        """A USB reset, which brings a stuck DFU back to its idle state."""
        self._target.find()
        self._call(deadline, *self._select, "-e", "-R")

    def _setting(self, offset: int) -> Setting:
        if offset not in self._settings:
            raise FlashError(f"{self.name}: no DFU setting begins at {offset:#x}")
        return self._settings[offset]
