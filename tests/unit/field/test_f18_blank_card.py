"""F18: a blank SD card never booted: nothing wrote the boot ROM's region, and which bytes belong there was guessed.

Played on an RK3588: its boot ROM reads sector 64 of the card, where mkimage's header has to be, and the SPL that lies
there reads sector 16384. Nothing else on a card makes it boot."""

from __future__ import annotations

import subprocess
import zlib
from pathlib import Path

import pytest

from flexkit import boards, build
from flexkit.boards import Instance, LabBoard
from flexkit.build import gpt, layout
from flexkit.deadline import Deadline
from flexkit.deployed import make_plan
from flexkit.digest import sha256_of
from flexkit.errors import FlashError
from flexkit.events import Bus
from flexkit.flash import rehearse

SECTOR = 512
ID_BLOCK, FIT = b"RKNS", bytes.fromhex("d00dfeed")
BOARD = boards.load("rock-5b")
CARD = BOARD.medium("card")
EVERYTHING = [f"card.{region.name}" for region in CARD.regions if region.image]


def soon() -> Deadline:
    return Deadline(60, "rehearse")


def boots(card: Path) -> str:
    """How far a board with this card in it comes: "" when nothing is lacking."""
    with card.open("rb") as content:
        content.seek(64 * SECTOR)
        if content.read(4) != ID_BLOCK:
            return "the boot ROM finds nothing at sector 64"
        content.seek(16384 * SECTOR)
        if content.read(4) != FIT:
            return "SPL finds nothing at sector 16384"
    parts = subprocess.run(["/usr/sbin/sfdisk", "--dump", card], capture_output=True, text=True, check=False).stdout
    return "" if all(f'name="{name}"' in parts for name in ("boot", "root")) else "U-Boot finds no partition"


def images(folder: Path, *, without: str = "") -> dict[str, build.Image]:
    """Small stand-ins that begin as the real ones do, and the real partition tables."""
    begin = {"idbloader": ID_BLOCK, "u-boot-itb": FIT, "boot": b"\0", "rootfs": b"\0"}
    contents = {name: head + name.encode() * 100 for name, head in begin.items()}
    contents["disk-gpt"] = gpt.primary(CARD)
    contents["disk-gpt-backup"] = gpt.backup(CARD, CARD.region("gpt-backup").size)
    found = {}
    for name, data in contents.items():
        if name != without:
            path = folder / name
            path.write_bytes(data)
            found[name] = build.Image(path, sha256_of(path), len(data))
    return found


def instance() -> Instance:
    return Instance("rock-5b", BOARD, LabBoard("rock-5b"))


@pytest.mark.field("F18")
def test_a_card_that_got_its_partitions_alone_does_not_boot(tmp_path: Path) -> None:
    """What was done in the lab: a partition table, and an image into each partition."""
    made, card = images(tmp_path), tmp_path / "card.img"
    with card.open("wb") as content:
        content.truncate(CARD.size)
        for region in CARD.regions:
            if region.image in made and (region.partition != "none" or region.name.startswith("gpt")):
                content.seek(region.offset)
                content.write(made[region.image].path.read_bytes())
    assert boots(card) == "the boot ROM finds nothing at sector 64"


@pytest.mark.field("F18")
def test_a_provisioned_card_boots_and_was_rehearsed_on_a_file(tmp_path: Path) -> None:
    plan = make_plan(BOARD, "ab" * 16, "flex", images(tmp_path), {}, EVERYTHING)
    rehearse(instance(), plan, tmp_path / "rehearsed", Bus(), soon())
    card = tmp_path / "rehearsed/card.img"
    assert card.stat().st_size == CARD.size
    assert boots(card) == ""
    with card.open("rb") as content:  # the table at the other end agrees with the first
        content.seek(CARD.size - SECTOR)
        header = content.read(SECTOR)
    assert header[:8] == b"EFI PART"
    bare = header[:16] + bytes(4) + header[20:92]
    assert zlib.crc32(bare) == int.from_bytes(header[16:20], "little")


@pytest.mark.field("F18")
@pytest.mark.parametrize("lacking", ["idbloader", "u-boot-itb"])
def test_a_plan_that_lacks_a_piece_is_refused_and_says_where_it_comes_from(lacking: str, tmp_path: Path) -> None:
    """Which bytes belong there is never guessed."""
    missing = {lacking: "nowhere"} | layout.missing(BOARD, {}, monitor=True)
    plan = make_plan(BOARD, "ab" * 16, "flex", images(tmp_path, without=lacking), missing, EVERYTHING)
    with pytest.raises(FlashError, match=f"MISSING {lacking}: ") as refused:
        rehearse(instance(), plan, tmp_path / "rehearsed", Bus(), soon())
    assert lacking != "idbloader" or "rkbin" in str(refused.value)
    assert not (tmp_path / "rehearsed").exists() or not any((tmp_path / "rehearsed").iterdir())


@pytest.mark.field("F18")
@pytest.mark.parametrize("name", [name for name in boards.known() if not boards.load(name).emulated])
def test_every_byte_that_a_boot_rom_reads_is_some_regions_from_sector_0(name: str) -> None:
    """Regions of each card begin at its first sector, and none that an image belongs into is left to chance."""
    card = boards.load(name).medium("card")
    first = min(card.regions, key=lambda region: region.offset)
    assert first.offset == 0
    assert first.image is not None
    assert {region.image for region in card.regions if not region.destructive} >= {"rootfs"}
    assert all(region.image for region in card.regions if not region.destructive)
