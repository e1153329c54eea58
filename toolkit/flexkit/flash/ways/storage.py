"""U-Boot's commands for a medium, as console, fastboot and uuu send them."""

from __future__ import annotations

from dataclasses import dataclass

from flexkit.errors import BadInput

BLOCK = 512


@dataclass(frozen=True)
class Storage:
    """``device`` is U-Boot's own name (``mmc 0``, ``virtio 0``, ``sf``). A chunk is received at ``buffer``, and read
    back ``gap`` bytes behind it; the digest lies behind both."""

    device: str
    buffer: int
    gap: int

    def __post_init__(self) -> None:
        if self._kind not in ("mmc", "virtio", "scsi", "nvme", "usb", "sf"):
            raise BadInput(f"U-Boot has no storage called {self.device!r}", mend="for example: mmc 0, virtio 0, sf")

    @property
    def _kind(self) -> str:
        return self.device.split()[0] if self.device.split() else ""

    @property
    def scratch(self) -> int:
        """Where a chunk is read back to."""
        return self.buffer + self.gap

    @property
    def digest(self) -> int:
        """Where a digest of it is put."""
        return self.buffer + 2 * self.gap

    def select(self) -> str:
        """Makes the device the current one."""
        number = self.device.split()[1] if " " in self.device else "0"
        return "sf probe" if self._kind == "sf" else f"{self._kind} dev {number}"

    def write(self, offset: int, count: int) -> str:
        """From the buffer to the medium."""
        if self._kind == "sf":
            return f"sf update {self.buffer:x} {offset:x} {count:x}"
        return f"{self._kind} write {self.buffer:x} {offset // BLOCK:x} {count // BLOCK:x}"

    def read(self, offset: int, count: int) -> str:
        """From the medium to the scratch buffer."""
        if self._kind == "sf":
            return f"sf read {self.scratch:x} {offset:x} {count:x}"
        return f"{self._kind} read {self.scratch:x} {offset // BLOCK:x} {count // BLOCK:x}"

    def crc(self, count: int) -> str:
        """CRC-32 of the scratch buffer, put at ``digest`` in network byte order."""
        return f"crc32 {self.scratch:x} {count:x} {self.digest:x}"
