"""An update of a slot over SSH: what is refused before a board is touched. What it does to one: tests/system."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from fake_site import BUILD, Site

from flexkit import boards
from flexkit.boards import Instance
from flexkit.deadline import Deadline
from flexkit.deployed import Ledger, Plan, make_plan
from flexkit.deployed.ledger import KeptImage
from flexkit.errors import BadInput, FlashError
from flexkit.events import Bus
from flexkit.flash import deploy, slots
from flexkit.flash.ways.choose import Ways, shown

OTHER = "cd" * 16


def soon() -> Deadline:
    return Deadline(300, "update")


def plan(instance: Instance, folder: Path, identity: str, *changed: str) -> Plan:
    """Small images, of which those that changed say so."""
    folder.mkdir(exist_ok=True)
    images = {}
    for medium in instance.type.media:
        for region in medium.regions:
            if region.image is not None:
                data = (identity if region.image in changed else BUILD).encode() + region.image.encode()
                path = folder / f"{identity[:2]}-{region.image}"
                path.write_bytes(data)
                images[region.image] = KeptImage(path, hashlib.sha256(data).hexdigest(), len(data))
    return make_plan(instance.type, identity, "flex", images, {})


@pytest.fixture
def wired(site: Site, tmp_path: Path) -> Instance:
    """A board with a pair of slots on a bench, flashed."""
    lab = tmp_path / "lab.toml"
    lab.write_text('[board.bench]\ntype = "qemu-virt-uboot"\nserial = "/dev/ttyNONE"\nssh = "127.0.0.1:1"\n')
    found = boards.resolve("bench", lab)
    first = plan(found, tmp_path / "images", BUILD)
    deploy(found, first, {}, "release", Bus(), soon(), Ways(folder=tmp_path / "card"))
    return found


def update(instance: Instance, wanted: Plan) -> None:
    slots.update(instance, wanted, {}, "release", Bus(), soon())


def test_a_board_without_a_pair_is_told_so(site: Site) -> None:
    with pytest.raises(BadInput, match="qemu-virt has no pair of slots"):
        update(site.instance, make_plan(site.instance.type, OTHER, "flex", site.images(OTHER), {}))


def test_an_emulated_board_forgets_its_runs_and_says_so(site: Site, tmp_path: Path) -> None:
    board = boards.resolve("qemu-virt-uboot")
    with pytest.raises(BadInput, match="forgets what a run writes"):
        update(board, plan(board, tmp_path / "images", OTHER, "boot"))


def test_what_is_not_in_the_slots_has_to_go_another_way(wired: Instance, tmp_path: Path) -> None:
    with pytest.raises(FlashError, match=r"pflash\.fip, disk\.root would have to change too") as caught:
        update(wired, plan(wired, tmp_path / "images", OTHER, "boot", "fip", "rootfs"))
    assert "another way" in caught.value.mend
    assert len(list(Ledger("bench").entries())) == 1, "nothing was tried"


def test_a_board_that_was_never_flashed_has_nothing_to_fall_back_to(
    wired: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = plan(wired, tmp_path / "images", OTHER, "boot")
    monkeypatch.setenv("FLEXKIT_STATE", str(tmp_path / "empty"))
    with pytest.raises(FlashError, match="has no verified deployment"):
        update(wired, wanted)


def test_a_write_that_is_not_inside_its_slot_is_refused(wired: Instance, tmp_path: Path) -> None:
    wanted = plan(wired, tmp_path / "images", OTHER, "boot")
    astray = replace(wanted, writes=tuple(replace(write, offset=write.offset + 512) for write in wanted.writes))
    with pytest.raises(FlashError, match="is not inside that region"):
        update(wired, astray)


def test_a_plan_shows_what_would_go_over_ssh(wired: Instance, tmp_path: Path) -> None:
    wanted = plan(wired, tmp_path / "images", OTHER, "boot")
    write = next(each for each in wanted.writes if each.region == "boot-b")
    tool, commands = shown(wired, wired.type.medium("disk"), write, Ways("ssh"), "flex")
    assert tool == "ssh"
    assert list(commands) == [
        f"ssh BOARD dd of=/dev/vda bs=512 seek={write.offset // 512} conv=notrunc,fsync <{write.path}"
    ]
