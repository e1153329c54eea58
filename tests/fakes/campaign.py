"""Flash cycles over a medium that fails in every way at once, and the one thing that may never happen."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field, replace
from pathlib import Path

from faulty_medium import NONE, SECTOR, Faults, FaultyMedium, HostDied, Store

from flexkit import boards
from flexkit.boards import Instance, Medium
from flexkit.deadline import Deadline
from flexkit.deployed import Ledger, make_plan
from flexkit.deployed.ledger import KeptImage
from flexkit.deployed.plan import Plan
from flexkit.errors import FlexError
from flexkit.events import Bus
from flexkit.flash import deploy, golden, set_golden

CHUNK = 4096
LARGEST = 24 * CHUNK
CYCLE_SECONDS = 300.0
FLAVOUR = "flex"


@dataclass
class Tally:
    """How cycles ended. ``wrong``: called right though the medium is not: each is told in full."""

    cycles: int = 0
    verified: int = 0
    refused: int = 0
    died: int = 0
    golden: int = 0
    wrong: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)


class Campaign:
    """Builds of random images, changed a little from cycle to cycle, flashed onto one board's media. ``folder`` takes
    the images; the caller has set ``FLEXKIT_STATE``."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.seed = seed
        self.tally = Tally()
        self._chance = random.Random(seed)
        self._folder = folder
        found = boards.resolve("qemu-virt")
        media = tuple(replace(medium, chunk=CHUNK) for medium in found.type.media)
        self._instance = replace(found, type=replace(found.type, media=media))
        self._stores = {medium.name: Store() for medium in media}
        self._faults = NONE
        self._hands = True
        self._images: dict[str, bytes] = {}

    def run(self, cycles: int) -> Tally:
        self._change_images()
        self._flash(self._plan(0))
        set_golden(self._instance, FLAVOUR)
        first = dict(self._images)
        for cycle in range(1, cycles + 1):
            self.tally.cycles += 1
            self._change_images()
            self._faults = self._draw()
            self._hands = self._chance.random() < 0.7
            self._cycle(self._plan(cycle), f"seed {self.seed}, cycle {cycle}")
            for store in self._stores.values():
                store.lose_power(self._chance)  # between cycles somebody pulls the plug
            if Ledger(self._instance.name).current(FLAVOUR) is None:
                self._rescue(first, f"seed {self.seed}, cycle {cycle}")
        return self.tally

    def _cycle(self, plan: Plan, where: str) -> None:
        """One flash; after the host died, the next attempt at the same build."""
        for _ in range(4):
            try:
                self._flash(plan)
            except HostDied:
                self.tally.died += 1
                continue
            except FlexError as error:
                self.tally.refused += 1
                if "stage " not in error.message:
                    self.tally.unnamed.append(f"{where}: {error.message}")
                return
            self.tally.verified += 1
            self._compare(self._images, f"{where} was called right")
            return

    def _rescue(self, first: dict[str, bytes], where: str) -> None:
        """What failed can be put back to the golden images, over a way that works."""
        self._faults, self._hands = NONE, True
        golden(self._instance, FLAVOUR, Bus(), Deadline(CYCLE_SECONDS, "golden"), self._open)
        self.tally.golden += 1
        self._compare(first, f"{where}, golden")
        self._images = dict(first)

    def _flash(self, plan: Plan) -> None:
        parts = {"kernel": plan.build}
        limit = Deadline(CYCLE_SECONDS, "flash")
        deploy(self._instance, plan, parts, "release", Bus(), limit, self._open)

    def _open(self, instance: Instance, medium: Medium, flavour: str) -> FaultyMedium:
        way = FaultyMedium(medium.name, medium.size, self._stores[medium.name], self._faults, self._chance)
        way.hands_come = self._hands
        return way

    def _draw(self) -> Faults:
        """20 % of chunks damaged in either direction in every cycle; the rest now and then."""
        chance = self._chance

        def sometimes(most: float) -> float:
            return chance.choice((0.0, 0.0, chance.random() * most))

        return Faults(
            corrupt_write=0.2,
            corrupt_read=0.2,
            stale_read=sometimes(1.0),
            drop_write=sometimes(0.3),
            reset=sometimes(0.03),
            unplug=sometimes(0.03),
            lost=sometimes(0.003),
            power_loss=sometimes(0.02),
            host_dies=sometimes(0.003),
        )

    def _change_images(self) -> None:
        """Some images change, in a few places or as a whole; some stay."""
        names = [region.image for medium in self._instance.type.media for region in medium.regions if region.image]
        for name in names:
            fate = self._chance.randrange(3) if name in self._images else 0
            if fate == 0:
                self._images[name] = self._chance.randbytes(self._chance.randrange(1, LARGEST))
            elif fate == 1:
                data = bytearray(self._images[name])
                data[self._chance.randrange(len(data))] ^= 0xFF
                self._images[name] = bytes(data)

    def _plan(self, cycle: int) -> Plan:
        pieces = {}
        for name, data in self._images.items():
            path = self._folder / name
            path.write_bytes(data)
            pieces[name] = KeptImage(path, hashlib.sha256(data).hexdigest(), len(data))
        return make_plan(self._instance.type, f"{cycle:032x}", FLAVOUR, pieces, {})

    def _compare(self, images: dict[str, bytes], what: str) -> None:
        """What would still be there after a loss of power, byte by byte, padding too."""
        for medium in self._instance.type.media:
            for region in medium.regions:
                if region.image is None or region.protected:
                    continue
                data = images[region.image]
                wanted = data + bytes(-len(data) % SECTOR)
                if self._stores[medium.name].get(region.offset, len(wanted), settled_only=True) != wanted:
                    self.tally.wrong.append(f"{what}, but {medium.name}.{region.name} is not")
