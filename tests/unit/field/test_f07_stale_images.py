"""F7: an older, broken pair of images replaced the good one, and was used for days."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from fake_site import BUILD, Site

from flexkit.deadline import Deadline
from flexkit.deployed import Ledger, make_plan
from flexkit.drivers import qemu
from flexkit.errors import FlashError
from flexkit.events import Bus
from flexkit.flash import deploy, golden, rollback, set_golden

STALE = "cd" * 16


def soon() -> Deadline:
    return Deadline(300, "flash")


def booted(identity: str, good: bool = True) -> None:
    Ledger("qemu-virt").append("boot", "flex", identity, good, {})


def on_medium() -> bytes:
    with (qemu.media_folder("qemu-virt", "flex") / "pflash.img").open("rb") as source:
        source.seek(0x40000)
        return source.read(100).rstrip(b"\0")


@pytest.mark.field("F7")
def test_an_older_pair_put_in_the_place_of_the_good_one_is_not_flashed(site: Site, tmp_path: Path) -> None:
    good, stale = site.images(BUILD), site.images(STALE)
    images = tmp_path / "images"
    images.mkdir()
    for pair in (good, stale):  # a script copies "the" images by name; the last one to copy wins
        for name in ("bl1", "fip"):
            shutil.copyfile(pair[name].path, images / name)
    card = tmp_path / "card"
    card.write_bytes((images / "bl1").read_bytes() + (images / "fip").read_bytes())
    assert STALE.encode() in card.read_bytes(), "nothing told the two apart"

    shutil.copyfile(stale["fip"].path, good["fip"].path)
    os.utime(good["fip"].path, (0, 0))
    plan = make_plan(site.instance.type, BUILD, "flex", good, {})
    with pytest.raises(FlashError, match="fip is not what was built"):
        deploy(site.instance, plan, {}, "release", Bus(), soon())
    assert on_medium() == f"{BUILD} fip".encode()


@pytest.mark.field("F7")
def test_a_rollback_passes_over_what_failed_or_did_not_boot(site: Site) -> None:
    booted(BUILD)
    for number in range(20):
        site.flash({}, f"{number:032x}")
        booted(f"{number:032x}", good=False)
    assert on_medium() == f"{19:032x} fip".encode(), "the last one, broken, is what is used"

    assert rollback(site.instance, "flex", Bus(), soon()).identity == BUILD
    assert on_medium() == f"{BUILD} fip".encode()


@pytest.mark.field("F7")
def test_golden_recovery_needs_nothing_but_the_host(site: Site) -> None:
    """The build, its sources and twelve later deployments may all be gone or broken."""
    set_golden(site.instance, "flex")
    for number in range(12):
        site.flash({}, f"{number:032x}")
    shutil.rmtree(site.runtime / "images")
    assert golden(site.instance, "flex", Bus(), soon()).identity == BUILD
    assert on_medium() == f"{BUILD} fip".encode()
