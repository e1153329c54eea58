"""What the engine asks of a way to a medium, whatever tool is underneath, and the two ways in which one fails."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from flexkit.deadline import Deadline
from flexkit.deployed.plan import Write
from flexkit.drivers.protocols import Medium
from flexkit.errors import FlashError


class Trouble(FlashError):
    """One call failed, hung or lost the device. The engine lets the driver recover and goes on where it was."""


class NeedsHands(FlashError):
    """The device is there in a state, or gone in a way, that only a person can end; ``mend`` says how."""


class FlashMedium(Medium):
    """A medium that can be flashed. Between ``open`` and ``close`` one process has it.

    ``look`` is how a chunk is judged: what the medium holds, or a digest of it that the board itself computed; it
    equals ``evidence(data)`` when the medium holds ``data``. Every method ends by its deadline, and raises Trouble for
    what recovering may mend, NeedsHands for what only a person can, FlashError for what nothing will.
    """

    block: int = 1
    """Offsets and counts are multiples of this; the engine fills up an image's last block with zeros."""
    whole: bool = False
    """True: regions go in one piece, since the tool cannot address inside one."""
    proof: str = "read back"
    """How a chunk is judged, for log and ledger."""
    hands_seconds: float = 120.0
    """How long to wait for somebody to do what only hands can."""
    fresh: bool = False
    """True when the medium is known to be blank."""
    read_step: int = 1 << 20
    """The most that one ``read`` should be asked for."""
    read_speed: int = 0
    """Bytes a second of ``read``, where that is so slow that a person wants to know; 0: it is not."""

    def open(self, deadline: Deadline) -> None:
        """Find the device and have it. A degraded one is refused here, before anything is asked of it (FIELD F2)."""

    def close(self) -> None:
        """Let it go. May be called at any time, more than once."""

    def look(self, offset: int, count: int, deadline: Deadline) -> bytes:
        """Evidence of what the medium holds."""
        return self.read(offset, count, deadline)

    def evidence(self, data: bytes) -> bytes:
        """What ``look`` gives where the medium holds ``data``."""
        return data

    def settle(self, deadline: Deadline) -> None:
        """Make what was written survive a loss of power, and later looks come from the medium, not from a cache."""

    def release(self, deadline: Deadline) -> None:
        """All of it is right: let a board that was held for flashing go on."""

    @abstractmethod
    def recover(self, deadline: Deadline) -> None:
        """After Trouble: reset, wait until the device shows again, open it (FIELD F19)."""

    @abstractmethod
    def describe(self, write: Write) -> Sequence[str]:
        """The commands by which a person would do the same, for ``flash --plan``."""
