"""What would be written where."""

from __future__ import annotations

from pathlib import Path

import pytest

from flexkit import boards
from flexkit.deployed import make_plan
from flexkit.deployed.ledger import KeptImage
from flexkit.errors import BadInput, FlashError

BOARD = boards.load("qemu-virt")
IMAGES = {
    region.image: KeptImage(Path("/x") / region.image, "0" * 64, 100)
    for medium in BOARD.media
    for region in medium.regions
    if region.image is not None
}


def test_offsets_are_the_board_files() -> None:
    plan = make_plan(BOARD, "b" * 32, "flex", IMAGES, {})
    found = {(write.medium, write.region): write.offset for write in plan.writes}
    for medium in BOARD.media:
        for region in medium.regions:
            if region.image is not None and not region.protected:
                assert found.pop((medium.name, region.name)) == region.offset
    assert found == {}
    assert plan.missing == {}


def test_protected_regions_stay_unless_named() -> None:
    plan = make_plan(BOARD, "b" * 32, "flex", IMAGES, {})
    assert plan.left["disk.identity"].startswith("protected")
    assert plan.left["disk.data"].startswith("protected")
    named = make_plan(BOARD, "b" * 32, "flex", IMAGES, {}, ["data"])
    assert [(write.region, write.image, write.destructive) for write in named.writes] == [("data", None, True)]


def test_a_region_can_be_named_with_its_medium() -> None:
    plan = make_plan(BOARD, "b" * 32, "flex", IMAGES, {}, ["pflash.fip", "root"])
    assert [write.region for write in plan.writes] == ["fip", "root"]


def test_an_unknown_region_is_bad_input() -> None:
    with pytest.raises(BadInput, match="no region 'fipp'") as caught:
        make_plan(BOARD, "b" * 32, "flex", IMAGES, {}, ["fipp"])
    assert "pflash.fip" in caught.value.mend


def test_an_image_that_is_too_large_is_refused() -> None:
    large = IMAGES | {"bl1": KeptImage(Path("/x/bl1"), "0" * 64, 0x40001)}
    with pytest.raises(FlashError, match=r"bl1 has 262145 bytes, region pflash\.bl1 holds 262144"):
        make_plan(BOARD, "b" * 32, "flex", large, {})


def test_what_is_missing_is_listed_with_where_it_comes_from() -> None:
    some = {name: image for name, image in IMAGES.items() if name not in ("fip", "rootfs")}
    plan = make_plan(BOARD, "b" * 32, "flex", some, {"fip": "the vendor's BSP"})
    assert plan.missing == {"fip": "the vendor's BSP", "rootfs": "the build did not make it"}
