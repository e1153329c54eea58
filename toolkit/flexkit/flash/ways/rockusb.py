"""Rockchip's mask ROM and loader, by rkdeveloptool."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from flexkit.deadline import Deadline
from flexkit.deployed.plan import Write
from flexkit.errors import FlashError
from flexkit.flash.protocol import NeedsHands, Trouble
from flexkit.flash.ways.tool import Limits, Rescue, ToolMedium
from flexkit.flash.ways.usb import UsbTarget

_LISTED = re.compile(r"^DevNo=\d+\s.*\s(Maskrom|Loader)\s*$", re.MULTILINE)
_TO_MASKROM = "3"


class RockUsb(ToolMedium):
    """``loader``: what the mask ROM has to be sent before it can reach a medium; None: there is none here."""

    program = "rkdeveloptool"

    def __init__(
        self, name: str, size: int, target: UsbTarget, loader: Path | None, limits: Limits, rescue: Rescue | None = None
    ) -> None:
        super().__init__(name, size, limits, target.hands(), rescue)
        self._target = target
        self._loader = loader

    def open(self, deadline: Deadline) -> None:
        """The device is looked for by the kernel's own list first: the tool would hang on a degraded one."""
        limit = deadline.within(self._limits.enumerate, "wait for USB")
        try:
            self._target.wait(limit)
        except Trouble as gone:
            raise NeedsHands(gone.message, mend=self._hands) from gone
        if self._mode(deadline) == "Maskrom":
            if self._loader is None:
                raise FlashError(f"{self.name}: the mask ROM wants a loader first, and the build has none")
            self._call(deadline, "db", self._loader, moved=self._loader.stat().st_size)
            self._target.wait(deadline.within(self._limits.enumerate, "wait for the loader"))
        self._call(deadline, "td")

    def read(self, offset: int, count: int, deadline: Deadline) -> bytes:
        path = self._file("read")
        path.unlink(missing_ok=True)
        self._call(deadline, "rl", str(offset // self.block), str(count // self.block), path, moved=count)
        return self._content(path, count)

    def write(self, offset: int, data: bytes, deadline: Deadline) -> None:
        path = self._file("write")
        path.write_bytes(data)
        self._call(deadline, "wl", str(offset // self.block), path, moved=len(data))

    def settle(self, deadline: Deadline) -> None:
        """The loader writes through, and has no command to flush; it must still answer."""
        self._call(deadline, "td")

    def describe(self, write: Write) -> Sequence[str]:
        first = ["rkdeveloptool db " + (self._loader.name if self._loader else "LOADER")]
        return [*first, f"rkdeveloptool wl {write.offset // self.block} {write.path}"]

    def _reset(self, deadline: Deadline) -> None:
        self._target.find()  # a degraded device would only hang the tool
        self._call(deadline, "rd", _TO_MASKROM)

    def _mode(self, deadline: Deadline) -> str:
        listed = _LISTED.findall(self._call(deadline, "ld"))
        if len(listed) > 1:
            raise FlashError(
                f"{self.name}: {len(listed)} Rockchip devices are connected, and rkdeveloptool cannot choose",
                mend="unplug the others",
            )
        if not listed:
            raise Trouble(f"{self.name}: rkdeveloptool does not list the device")
        return str(listed[0])

    def _content(self, path: Path, count: int) -> bytes:
        """What the tool wrote; it says success for a short one too."""
        data = path.read_bytes() if path.is_file() else b""
        if len(data) != count:
            raise Trouble(f"{self.name}: rkdeveloptool gave {len(data)} bytes instead of {count}")
        return data
