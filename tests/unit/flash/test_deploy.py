"""Deployments: written, entered, kept, gone back to."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from fake_site import BUILD, Site

from flexkit import lock, paths
from flexkit.boards import Instance, Medium, Way
from flexkit.deadline import Deadline
from flexkit.deployed import Ledger, make_plan
from flexkit.drivers import qemu
from flexkit.drivers.staging import stage
from flexkit.errors import FlashError
from flexkit.events import Bus
from flexkit.flash import deploy, golden, rehearse, rollback, set_golden
from flexkit.flash.protocol import FlashMedium
from flexkit.flash.ways.choose import Ways

OTHER = "cd" * 16
THIRD = "ef" * 16


def soon() -> Deadline:
    return Deadline(300, "flash")


def on_medium(region: str = "fip", medium: str = "pflash") -> bytes:
    path = qemu.media_folder("qemu-virt", "flex") / f"{medium}.img"
    with path.open("rb") as source:
        source.seek(0x40000 if region == "fip" else 0)
        return source.read(100).rstrip(b"\0")


def same(one: Path, other: Path) -> bool:
    return subprocess.run(["cmp", "-s", one, other], check=False, timeout=120).returncode == 0


def booted(identity: str, good: bool = True) -> None:
    Ledger("qemu-virt").append("boot", "flex", identity, good, {})


def test_what_was_built_is_on_the_medium_and_in_the_ledger(site: Site) -> None:
    assert on_medium() == f"{BUILD} fip".encode()
    current = Ledger("qemu-virt").current("flex")
    assert current is not None
    assert current.identity == BUILD
    assert Ledger("qemu-virt").current("stock") is None
    (entry,) = Ledger("qemu-virt").entries()
    assert entry.detail["regions"]["pflash.fip"]["written"] == 1


def test_the_ledger_is_for_the_group_and_survives_a_cut_line(site: Site) -> None:
    book = Ledger("qemu-virt")
    assert book.path.stat().st_mode & stat.S_IRGRP
    assert book.path.parent.stat().st_mode & stat.S_IWGRP
    with book.path.open("a") as sink:
        sink.write('{"time": "2026-')
    assert len(list(book.entries())) == 1


def test_missing_pieces_keep_the_medium_as_it_is(site: Site) -> None:
    plan = make_plan(site.instance.type, OTHER, "flex", {}, {"fip": "the vendor's BSP"})
    with pytest.raises(FlashError, match="MISSING fip: the vendor's BSP"):
        deploy(site.instance, plan, {}, "release", Bus(), soon())
    assert on_medium() == f"{BUILD} fip".encode()


def test_a_write_that_failed_is_no_deployment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(FlashError, match="no space left"):
        site.flash({}, OTHER)
    assert Ledger("qemu-virt").current("flex") is None
    monkeypatch.undo()


def test_rollback_is_to_the_last_one_that_booted_right(site: Site) -> None:
    booted(BUILD)
    site.flash({}, OTHER)
    booted(OTHER, good=False)
    site.flash({}, THIRD)
    assert rollback(site.instance, "flex", Bus(), soon()).identity == BUILD
    assert on_medium() == f"{BUILD} fip".encode()
    current = Ledger("qemu-virt").current("flex")
    assert current is not None
    assert current.identity == BUILD


def test_rollback_without_a_proven_one_is_refused(site: Site) -> None:
    booted(BUILD)
    with pytest.raises(FlashError, match="no earlier deployment"):
        rollback(site.instance, "flex", Bus(), soon())


def test_what_is_sent_to_a_board_first_is_kept_for_going_back(site: Site, tmp_path: Path) -> None:
    """A boot ROM takes nothing before its loader: without it there is no way back."""
    media = tuple(replace(medium, ways=(Way("file", loader="rk-loader"),)) for medium in site.instance.type.media)
    instance = replace(site.instance, type=replace(site.instance.type, media=media))
    loader = tmp_path / "loader.bin"
    loader.write_bytes(b"the loader")
    plan = make_plan(instance.type, OTHER, "flex", site.images(OTHER), {})
    deploy(instance, plan, {}, "release", Bus(), soon(), Ways(images={"rk-loader": loader}))
    loader.unlink()
    kept = set_golden(instance, "flex").images["rk-loader"]
    assert kept.path.read_bytes() == b"the loader"
    asked: list[dict[str, Path]] = []

    class Seeing(Ways):
        def make(self, instance: Instance, medium: Medium, way: Way, flavour: str) -> FlashMedium:
            asked.append(self.loaders(instance))
            return super().make(instance, medium, way, flavour)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules[deploy.__module__], "Ways", Seeing)
        golden(instance, "flex", Bus(), soon())
    assert asked[0] == {"rk-loader": kept.path}


def test_golden_recovery(site: Site) -> None:
    with pytest.raises(FlashError, match="marked as golden"):
        golden(site.instance, "flex", Bus(), soon())
    set_golden(site.instance, "flex")
    for number in range(12):
        site.flash({}, f"{number:032x}")
    (site.runtime / "images" / BUILD / "fip").write_bytes(b"gone")
    assert golden(site.instance, "flex", Bus(), soon()).identity == BUILD
    assert on_medium() == f"{BUILD} fip".encode()


def test_old_deployments_go(site: Site) -> None:
    for number in range(12):
        site.flash({}, f"{number:032x}")
    kept = [path for path in (paths.state() / "deployments" / "qemu-virt").iterdir() if path.is_dir()]
    assert len(kept) == 6


def test_a_protected_region_is_backed_up_before_it_is_erased(site: Site) -> None:
    region = site.instance.type.medium("disk").region("identity")
    image = qemu.media_folder("qemu-virt", "flex") / "disk.img"
    with image.open("r+b") as sink:
        sink.seek(region.offset)
        sink.write(b"keys")
    plan = make_plan(site.instance.type, BUILD, "flex", {}, {}, ["identity"])
    deploy(site.instance, plan, {}, "release", Bus(), soon())
    with image.open("rb") as source:
        source.seek(region.offset)
        assert source.read(4) == bytes(4)
    (backup,) = (paths.state() / "backups" / "qemu-virt").glob("*.img")
    assert backup.read_bytes()[:4] == b"keys"
    assert backup.stat().st_size == region.size


def test_models_are_staged_once_into_a_file_system(site: Site, tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(os.urandom(100_000))
    models = {"abc.gguf": tmp_path / "m"}
    assert stage(site.instance, "flex", models, soon())
    assert not stage(site.instance, "flex", models, soon())
    region = site.instance.type.medium("disk").region("data")
    with (qemu.media_folder("qemu-virt", "flex") / "disk.img").open("rb") as source:
        source.seek(region.offset + 1024 + 56)
        assert source.read(2) == b"\x53\xef", "the magic number of ext4"
    assert stage(site.instance, "flex", models | {"def.gguf": tmp_path / "m"}, soon())


# ---- what is written, and what is refused ---------------------------------------------------------------------


def test_unchanged_images_write_nothing_and_a_changed_kernel_its_region_alone(site: Site) -> None:
    site.flash({}, BUILD)
    *_, same = Ledger("qemu-virt").entries()
    assert [each["written"] for each in same.detail["regions"].values()] == [0] * len(same.detail["regions"])
    images = site.images(BUILD) | site.images(OTHER, only="kernel-fip")
    plan = make_plan(site.instance.type, OTHER, "flex", images, {})
    done = deploy(site.instance, plan, {}, "release", Bus(), soon())
    assert [place for place, each in done.items() if each["written"]] == ["pflash.kernel"]


@pytest.mark.field("F18")
def test_f18_half_of_a_blank_medium_is_refused(site: Site) -> None:
    for medium in qemu.media_folder("qemu-virt", "flex").glob("*.img"):
        medium.unlink()
    plan = make_plan(site.instance.type, OTHER, "flex", site.images(OTHER), {}, ["kernel"])
    with pytest.raises(FlashError, match="pflash is blank, and would lack bl1, fip") as caught:
        deploy(site.instance, plan, {}, "release", Bus(), soon())
    assert "--provision" in caught.value.mend


@pytest.mark.field("F18")
def test_f18_a_plan_is_rehearsed_on_files(site: Site, tmp_path: Path) -> None:
    plan = make_plan(site.instance.type, OTHER, "flex", site.images(OTHER), {})
    before = list(Ledger("qemu-virt").entries())
    rehearse(site.instance, plan, tmp_path / "card", Bus(), soon())
    for medium in site.instance.type.media:
        card = tmp_path / "card" / f"{medium.name}.img"
        assert card.stat().st_size == medium.size
        for region in medium.regions:
            if region.image is not None:
                wanted = f"{OTHER} {region.image}".encode()
                with card.open("rb") as content:
                    content.seek(region.offset)
                    assert content.read(len(wanted)) == wanted
        check = ["bmaptool", "copy", str(card), str(tmp_path / "copy")]
        subprocess.run(check, check=True, capture_output=True, timeout=120)
        assert same(card, tmp_path / "copy"), "the packaged bmaptool makes the same card of it"
        wrong = bytearray(card.with_suffix(".bmap").read_bytes())
        wrong[wrong.index(b"chksum=") + 8] ^= 1
        (tmp_path / "wrong.bmap").write_bytes(wrong)
        check[2:2] = ["--bmap", str(tmp_path / "wrong.bmap")]
        assert subprocess.run(check, check=False, capture_output=True, timeout=120).returncode != 0
    assert list(Ledger("qemu-virt").entries()) == before
    partial = make_plan(site.instance.type, OTHER, "flex", {}, {"fip": "the vendor"})
    with pytest.raises(FlashError, match="MISSING fip: the vendor"):
        rehearse(site.instance, partial, tmp_path / "other", Bus(), soon())


def test_the_ledger_and_its_locks_are_the_hosts(site: Site) -> None:
    with lock.acquire("qemu-virt"):
        pass
    for path in (
        paths.state() / "locks" / "qemu-virt.lock",
        Ledger("qemu-virt").path,
        qemu.media_folder("qemu-virt", "flex") / "disk.img",
    ):
        assert path.stat().st_mode & stat.S_IWGRP, "another user of the group may write it"
        assert path.parent.stat().st_mode & stat.S_ISGID, "and what they make stays the group's"
