"""F3: a script parsed a partition table, got it wrong, and wrote 64 MB at LBA 0."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from flexkit import boards
from flexkit.boards import Instance, LabBoard
from flexkit.build import gpt
from flexkit.deadline import Deadline
from flexkit.deployed import make_plan
from flexkit.deployed.ledger import KeptImage
from flexkit.errors import BadInput, FlashError
from flexkit.events import Bus
from flexkit.flash import deploy
from flexkit.flash.medium import FileMedium
from flexkit.flash.ways.choose import Ways

LARGE = 64 << 20
TABLE_BYTES = 0x8000
LOADER = b"the loader that the boot ROM looks for at sector 64"
# The script of the record, in short: where the table has no such name, $start is empty, and the shell goes on.
SCRIPT = """
start=$(sfdisk --dump "$1" 2>/dev/null | sed -n 's/.*start= *\\([0-9]*\\).*name="'"$2"'".*/\\1/p')
dd if="$3" of="$1" bs=512 seek=$((start + 0)) conv=notrunc 2>/dev/null && echo successfully
"""


@pytest.fixture
def rock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Instance:
    """A Rockchip board whose card is a file: the board file's layout from sector 0, its table as a loader left it."""
    monkeypatch.setenv("FLEXKIT_STATE", str(tmp_path / "state"))
    board = boards.load("rock-5b")
    sd = replace(board.medium("card"), chunk=1 << 20)
    with card(tmp_path).open("wb") as sink:
        sink.write(gpt.primary(sd).replace("boot".encode("utf-16-le"), "Boot".encode("utf-16-le")))
        sink.seek(sd.region("idbloader").offset)
        sink.write(LOADER)
        sink.truncate(sd.size)
    return Instance("rock", replace(board, media=(sd,)), LabBoard("rock-5b", sd="/dev/CARD"))


def card(tmp_path: Path) -> Path:
    return tmp_path / "card.img"


def first_bytes(tmp_path: Path, count: int) -> bytes:
    with card(tmp_path).open("rb") as source:
        return source.read(count)


def piece(tmp_path: Path, size: int) -> dict[str, KeptImage]:
    path = tmp_path / "boot.ext4"
    path.write_bytes(b"\xb0" * size)
    return {"boot": KeptImage(path, hashlib.sha256(path.read_bytes()).hexdigest(), size)}


@pytest.mark.field("F3")
def test_a_table_that_is_wrong_moves_nothing(rock: Instance, tmp_path: Path) -> None:
    before = first_bytes(tmp_path, 1 << 20)
    images = piece(tmp_path, LARGE)
    words = ["sh", "-c", SCRIPT, "sh", str(card(tmp_path)), "boot", str(images["boot"].path)]
    said = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout
    assert said == "successfully\n"
    assert first_bytes(tmp_path, LARGE) == b"\xb0" * LARGE, "64 MB at LBA 0: table and loader are gone"
    with card(tmp_path).open("r+b") as sink:
        sink.write(before)
        sink.write(bytes(LARGE - len(before)))

    plan = make_plan(rock.type, "ab" * 16, "flex", images, {}, ["boot"])
    deploy(rock, plan, {}, "release", Bus(), Deadline(300, "flash"), Ways(folder=tmp_path))
    boot = rock.type.media[0].region("boot")
    assert first_bytes(tmp_path, 1 << 20) == before
    with card(tmp_path).open("rb") as source:
        source.seek(boot.offset)
        assert source.read(LARGE) == b"\xb0" * LARGE, "where the board file has it, whatever the table says"


@pytest.mark.field("F3")
def test_what_would_reach_beyond_its_region_is_refused(rock: Instance, tmp_path: Path) -> None:
    """One byte too many would be the next region's first."""
    boot = rock.type.media[0].region("boot")
    images = {"boot": KeptImage(tmp_path / "boot.ext4", "0" * 64, boot.size + 1)}
    with pytest.raises(FlashError, match=rf"boot has {boot.size + 1} bytes, region card\.boot holds {boot.size}"):
        make_plan(rock.type, "ab" * 16, "flex", images, {}, ["boot"])


@pytest.mark.field("F3")
def test_the_table_and_what_is_the_users_are_written_only_when_they_are_named(rock: Instance) -> None:
    sd = rock.type.media[0]
    everything = {each.image: KeptImage(Path("/x"), "0" * 64, 512) for each in sd.regions if each.image is not None}
    plan = make_plan(rock.type, "ab" * 16, "flex", everything, {})
    written = {write.region for write in plan.writes}
    assert written == {each.name for each in sd.regions if each.image is not None and not each.protected}
    assert min(write.offset for write in plan.writes) >= TABLE_BYTES
    assert {place for place, why in plan.left.items() if "protected" in why} >= {
        "card.gpt",
        "card.identity",
        "card.data",
    }
    named = make_plan(rock.type, "ab" * 16, "flex", everything, {}, ["gpt"])
    assert [write.region for write in named.writes] == ["gpt"]
    with pytest.raises(BadInput, match="no region 'sda1'"):
        make_plan(rock.type, "ab" * 16, "flex", everything, {}, ["sda1"])


@pytest.mark.field("F3")
def test_a_write_that_is_none_of_its_plans_is_refused(rock: Instance, tmp_path: Path) -> None:
    """A plan that was made for another board file cannot put bytes where this one protects some."""
    images = piece(tmp_path, 4096)
    plan = make_plan(rock.type, "ab" * 16, "flex", images, {}, ["boot"])
    astray = replace(plan, writes=tuple(replace(write, offset=0) for write in plan.writes))
    with pytest.raises(FlashError, match=r"card\.boot: 0x0 to 0x1000 is not inside that region"):
        deploy(rock, astray, {}, "release", Bus(), Deadline(300, "flash"), Ways(folder=tmp_path))
    assert FileMedium("card", card(tmp_path), rock.type.media[0].size).fresh is False
    assert LOADER in first_bytes(tmp_path, 1 << 20)
