"""A medium that does what real ones were seen to do: damages transfers both ways, claims to have written, answers from
a cache, is reset or unplugged under a call, and loses what it had not settled when its power goes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from flexkit.deadline import Deadline
from flexkit.deployed.plan import Write
from flexkit.flash.protocol import FlashMedium, NeedsHands, Trouble

SECTOR = 512


@dataclass(frozen=True)
class Faults:
    """Probabilities of each fault in one call. ``host_dies``: the process that flashes ends there and then."""

    corrupt_write: float = 0.0
    corrupt_read: float = 0.0
    stale_read: float = 0.0  # what was sent last, until it settles, instead of what the medium holds
    drop_write: float = 0.0  # "successfully", and nothing was written
    reset: float = 0.0
    unplug: float = 0.0  # comes back after a few attempts to open it
    lost: float = 0.0  # comes back by hands only, which may not be there
    power_loss: float = 0.0
    host_dies: float = 0.0


NONE = Faults()


class HostDied(BaseException):
    """The process that flashes was killed."""


class Store:
    """What the medium really holds: settled sectors, and sectors that a loss of power may still take."""

    def __init__(self) -> None:
        self.settled: dict[int, bytes] = {}
        self.cached: dict[int, bytes] = {}

    def get(self, offset: int, count: int, *, settled_only: bool = False) -> bytes:
        first, last = offset // SECTOR, -(-(offset + count) // SECTOR)
        data = b"".join(self._sector(number, settled_only) for number in range(first, last))
        return data[offset % SECTOR : offset % SECTOR + count]

    def _sector(self, number: int, settled_only: bool) -> bytes:
        found = None if settled_only else self.cached.get(number)
        return found if found is not None else self.settled.get(number, bytes(SECTOR))

    def put(self, offset: int, data: bytes) -> None:
        assert offset % SECTOR == 0
        assert len(data) % SECTOR == 0
        for at in range(0, len(data), SECTOR):
            self.cached[(offset + at) // SECTOR] = data[at : at + SECTOR]

    def settle(self) -> None:
        self.settled |= self.cached
        self.cached = {}

    def lose_power(self, chance: random.Random) -> None:
        """Each sector on its way is written, lost or torn; and a settled neighbour goes with it now and then."""
        for number, data in self.cached.items():
            fate = chance.randrange(3)
            if fate == 1:
                self.settled[number] = data
            elif fate == 2:
                self.settled[number] = data[: SECTOR // 2] + chance.randbytes(SECTOR // 2)
                if chance.random() < 0.2 and number + 1 in self.settled:
                    self.settled[number + 1] = bytes([0xFF]) * SECTOR
        self.cached = {}


class FaultyMedium(FlashMedium):
    """A way to a ``Store`` with faults from ``chance``. ``calls`` counts; ``writes`` are offsets in their order."""

    block = SECTOR

    def __init__(self, name: str, size: int, store: Store, faults: Faults, chance: random.Random) -> None:
        self.name = name
        self.size = size
        self.store = store
        self.faults = faults
        self.hands_seconds = 0.05
        self.hands_come = True
        self.writes: list[int] = []
        self.recoveries = 0
        self._chance = chance
        self._gone = 0
        self._lost = False
        self._open = False
        self._sent = (-1, b"")

    def open(self, deadline: Deadline) -> None:
        deadline.check()
        self._gone = max(0, self._gone - 1)
        if self._gone or (self._lost and not self.hands_come):
            raise Trouble(f"{self.name}: no such device")
        self._lost = False
        self._open = True

    def close(self) -> None:
        self._open = False

    def read(self, offset: int, count: int, deadline: Deadline) -> bytes:
        self._call(deadline)
        if self._sent[0] == offset and len(self._sent[1]) == count and self._happens(self.faults.stale_read):
            return self._sent[1]
        return self._harm(self.store.get(offset, count), self.faults.corrupt_read)

    def write(self, offset: int, data: bytes, deadline: Deadline) -> None:
        self.writes.append(offset)
        cut = len(data) // SECTOR // 2 * SECTOR
        try:
            self._call(deadline)
        except Trouble:
            if self._open:
                self.store.put(offset, data[:cut])  # the reset came half way
            raise
        self._sent = (offset, data)
        if not self._happens(self.faults.drop_write):
            self.store.put(offset, self._harm(data, self.faults.corrupt_write))

    def settle(self, deadline: Deadline) -> None:
        self._call(deadline)
        self._sent = (-1, b"")
        self.store.settle()

    def recover(self, deadline: Deadline) -> None:
        self.recoveries += 1
        self.close()
        if self._lost:
            raise NeedsHands(f"{self.name}: stays away", mend="hold the recovery button and plug it in again")
        while not self._open:
            with suppress(Trouble):
                self.open(deadline)

    def describe(self, write: Write) -> Sequence[str]:
        return [f"{write.region} at {write.offset}"]

    def _call(self, deadline: Deadline) -> None:
        """What may happen to any call."""
        deadline.check()
        if not self._open:
            raise Trouble(f"{self.name}: not open")
        if self._happens(self.faults.host_dies):
            raise HostDied
        if self._happens(self.faults.power_loss):
            self.store.lose_power(self._chance)
            self._leave(gone=2)
        if self._happens(self.faults.lost):
            self._lost = True
            self._leave(gone=0)
        if self._happens(self.faults.unplug):
            self._leave(gone=self._chance.randrange(1, 4))
        if self._happens(self.faults.reset):
            raise Trouble(f"{self.name}: was reset")

    def _leave(self, gone: int) -> None:
        self._gone = gone
        self._open = False
        raise Trouble(f"{self.name}: no such device")

    def _happens(self, probability: float) -> bool:
        return probability > 0 and self._chance.random() < probability

    def _harm(self, data: bytes, probability: float) -> bytes:
        if not data or not self._happens(probability):
            return data
        at = self._chance.randrange(len(data))
        return data[:at] + bytes([data[at] ^ (1 << self._chance.randrange(8))]) + data[at + 1 :]
