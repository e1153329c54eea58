"""Which of a board's USB modes is there, before anything is asked of it (FIELD F2)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flexkit.boards.schema import Usb
from flexkit.deadline import Deadline
from flexkit.errors import FlashError
from flexkit.flash.protocol import NeedsHands, Trouble

SYSFS = Path("/sys/bus/usb/devices")
_POLL_SECONDS = 0.2
_STORAGE_CLASS = "08"


@dataclass(frozen=True)
class UsbDevice:
    """A device as the kernel lists it. ``port``: the path that labs name it by (``1-1.4``)."""

    port: str
    id: str
    storage: bool


def devices(root: Path = SYSFS) -> list[UsbDevice]:
    """All USB devices that are there."""
    found = []
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        try:
            identity = f"{(folder / 'idVendor').read_text().strip()}:{(folder / 'idProduct').read_text().strip()}"
        except OSError:
            continue  # an interface, or a device that has just left
        classes = [_class_of(interface) for interface in root.glob(f"{folder.name}:*")]
        found.append(UsbDevice(folder.name, identity, _STORAGE_CLASS in classes))
    return found


def _class_of(interface: Path) -> str:
    try:
        return (interface / "bInterfaceClass").read_text().strip()
    except OSError:
        return ""


class UsbTarget:
    """One board's place on USB. ``modes``: how its type shows, from the board file; ``port``: where it hangs, None when
    the site did not say."""

    def __init__(self, name: str, modes: Sequence[Usb], port: str | None, root: Path = SYSFS) -> None:
        self.name = name
        self._modes = {mode.id: mode for mode in reversed(modes)}  # of modes that share an id, the first
        self._port = port
        self._root = root

    def find(self) -> Usb:
        """The mode that it is in. Trouble when it is not there, NeedsHands when it is there but degraded, FlashError
        when it might be any of several."""
        here = [device for device in devices(self._root) if self._port in (None, device.port)]
        ours = [device for device in here if self._is_ours(device)]
        if not ours:
            where = f"on USB port {self._port}" if self._port else "on USB"
            raise Trouble(f"{self.name}: no device of this board {where} ({', '.join(sorted(self._modes))})")
        if len(ours) > 1:
            ports = ", ".join(device.port for device in ours)
            raise FlashError(
                f"{self.name}: {len(ours)} devices on USB may be it ({ports})", mend="say which: usb = PORT in lab.toml"
            )
        mode = self._modes.get(ours[0].id)
        if mode is None or mode.mode == "mass-storage" or ours[0].storage:
            raise NeedsHands(
                f"{self.name}: USB port {ours[0].port} shows {ours[0].id} as mass storage: degraded, calls would hang",
                mend=self._hands_of("mass-storage") or "switch it off, wait, and bring it into its flash mode again",
            )
        return mode

    def wait(self, deadline: Deadline) -> Usb:
        """Until it shows, or Trouble at the deadline."""
        while True:
            try:
                return self.find()
            except Trouble:
                if deadline.expired:
                    raise
                time.sleep(min(_POLL_SECONDS, deadline.remaining))

    def hands(self) -> str:
        """What a person does to bring it into a mode in which it can be flashed."""
        texts = [mode.hands for mode in reversed(self._modes.values()) if mode.hands and mode.mode != "mass-storage"]
        return texts[0] if texts else "bring the board into its flash mode, and check cable and port"

    def _is_ours(self, device: UsbDevice) -> bool:
        vendors = {identity.split(":")[0] for identity in self._modes}
        return device.id in self._modes or (device.storage and device.id.split(":")[0] in vendors)

    def _hands_of(self, mode: str) -> str:
        return next((each.hands for each in self._modes.values() if each.mode == mode), "")
