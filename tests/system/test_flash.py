"""Flashing for real: over U-Boot's serial console and TFTP into the emulated medium, judged by the file it lies in."""

from __future__ import annotations

from pathlib import Path

import pytest

from flexkit import boards, build
from flexkit.boards import Instance, Medium, Way
from flexkit.build.manifest import Manifest
from flexkit.deadline import Deadline
from flexkit.deployed import Ledger, make_plan
from flexkit.drivers import qemu
from flexkit.events import Bus, Event, Phase
from flexkit.flash import deploy
from flexkit.flash.protocol import FlashMedium
from flexkit.flash.ways.choose import Ways
from flexkit.flash.ways.emulated import EmulatedUBoot

BOARD = "qemu-virt-uboot"
STEP = 1 << 20


class Remembering(Ways):
    """Ways that remember what they made last."""

    made: FlashMedium | None = None

    def make(self, instance: Instance, medium: Medium, way: Way, flavour: str) -> FlashMedium:
        self.made = super().make(instance, medium, way, flavour)
        return self.made


@pytest.fixture(scope="module")
def built() -> Manifest:
    return build.run(boards.load(BOARD), bus=Bus(), deadline=Deadline(3600, "build"))


@pytest.fixture(scope="module")
def flashed(state: Path, built: Manifest) -> Instance:
    """A blank board, its boot loader put on by a programmer as in a lab, and all else by that boot loader."""
    found = boards.resolve(BOARD)
    plan = make_plan(found.type, built.identity, built.flavour, built.images, built.missing)
    deploy(found, plan, built.parts, built.profile, Bus(), Deadline(400, "flash"), Ways("uboot"))
    return found


def differences(instance: Instance, built: Manifest) -> list[str]:
    """Regions whose bytes are not their image's."""
    found = []
    for medium in instance.type.media:
        with (qemu.media_folder(instance.name, "flex") / f"{medium.name}.img").open("rb") as card:
            for region in medium.regions:
                if region.image is None:
                    continue
                card.seek(region.offset)
                with built.images[region.image].path.open("rb") as image:
                    while data := image.read(STEP):
                        if card.read(len(data)) != data:
                            found.append(f"{medium.name}.{region.name}")
                            break
    return found


def test_everything_arrived_over_the_console(flashed: Instance, built: Manifest) -> None:
    assert differences(flashed, built) == []
    *_, entry = Ledger(flashed.identity).entries()
    assert entry.good
    proofs = {place.split(".")[0]: each["proof"] for place, each in entry.detail["regions"].items()}
    assert proofs == {"pflash": "read back", "disk": "read back by the board, CRC-32"}


def test_what_differs_alone_is_written_again(flashed: Instance, built: Manifest) -> None:
    region = flashed.type.medium("disk").region("boot-a")
    with (qemu.media_folder(flashed.name, "flex") / "disk.img").open("r+b") as card:
        card.seek(region.offset + 3 * STEP)
        data = card.read(8)
        card.seek(region.offset + 3 * STEP)
        card.write(bytes(byte ^ 0xFF for byte in data))
    assert differences(flashed, built) == ["disk.boot-a"]
    plan = make_plan(flashed.type, built.identity, built.flavour, built.images, built.missing, ["boot-a"])
    done = deploy(flashed, plan, built.parts, built.profile, Bus(), Deadline(200, "flash"), Ways("uboot"))
    assert done["disk.boot-a"]["written"] == 1
    assert differences(flashed, built) == []


def test_power_lost_half_way_is_recovered_from(flashed: Instance, built: Manifest) -> None:
    """F19: the board goes off in the middle of a write; it is started again, and the flash goes on where it was."""
    region = flashed.type.medium("disk").region("boot-a")
    with (qemu.media_folder(flashed.name, "flex") / "disk.img").open("r+b") as card:
        card.seek(region.offset)
        card.write(b"\xee" * 4 * STEP)
    ways = Remembering("uboot")
    killed: list[int] = []

    def pull_the_plug(event: Event) -> None:
        if event.phase is Phase.PROGRESS and event.done == 2 * STEP and not killed:
            assert isinstance(ways.made, EmulatedUBoot)
            process = ways.made._rig._power._process
            assert process is not None
            killed.append(process.pid)
            process.kill()

    plan = make_plan(flashed.type, built.identity, built.flavour, built.images, built.missing, ["boot-a"])
    bus = Bus([pull_the_plug])
    done = deploy(flashed, plan, built.parts, built.profile, bus, Deadline(200, "flash"), ways)
    assert len(killed) == 1
    assert done["disk.boot-a"]["recovered"] >= 1
    assert differences(flashed, built) == []
