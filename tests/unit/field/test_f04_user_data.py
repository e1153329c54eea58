"""F4: a "full flash" overwrote user data by default, and the board no longer booted."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from fake_site import BUILD, Site

from flexkit import paths
from flexkit.deadline import Deadline
from flexkit.deployed import Ledger, make_plan
from flexkit.deployed.plan import Plan
from flexkit.drivers import qemu
from flexkit.errors import BadInput, FlashError
from flexkit.events import Bus
from flexkit.flash import backups, deploy, restore
from flexkit.flash.medium import FileMedium

OTHER = "cd" * 16
MODELS, KEYS = b"a user's models", b"keys"


def soon() -> Deadline:
    return Deadline(300, "flash")


def medium(site: Site) -> Path:
    return qemu.media_folder(site.instance.name, "flex") / "disk.img"


def put(site: Site, region: str, data: bytes, at: int = 0) -> None:
    with medium(site).open("r+b") as sink:
        sink.seek(site.instance.type.medium("disk").region(region).offset + at)
        sink.write(data)


def get(site: Site, region: str, count: int, at: int = 0) -> bytes:
    with medium(site).open("rb") as source:
        source.seek(site.instance.type.medium("disk").region(region).offset + at)
        return source.read(count)


def erasing(site: Site, region: str) -> Plan:
    return make_plan(site.instance.type, BUILD, "flex", {}, {}, [region])


@pytest.mark.field("F4")
def test_a_full_flash_leaves_what_is_the_users(site: Site, tmp_path: Path) -> None:
    put(site, "data", MODELS)
    whole = (
        tmp_path / "whole.img"
    )  # what a vendor's tool calls a full flash: one image from the first sector to the last
    data = site.instance.type.medium("disk").region("data")
    with whole.open("wb") as sink:
        sink.truncate(data.end)
    copy = tmp_path / "disk.img"
    words = f"cp --sparse=always '{medium(site)}' '{copy}' && cp '{whole}' '{copy}'"
    subprocess.run(["sh", "-c", words], timeout=60, check=True)
    with copy.open("rb") as source:
        source.seek(data.offset)
        assert source.read(len(MODELS)) == bytes(len(MODELS)), "the models are gone, and nobody was asked"

    site.flash({}, OTHER)
    assert get(site, "data", len(MODELS)) == MODELS
    *_, entry = Ledger(site.instance.identity).entries()
    assert entry.detail["backups"] == {}, "nothing was destroyed, so nothing had to be kept"


@pytest.mark.field("F4")
def test_what_is_named_is_kept_before_it_is_overwritten_and_can_be_had_back(site: Site) -> None:
    put(site, "identity", KEYS)
    deploy(site.instance, erasing(site, "identity"), {}, "release", Bus(), soon())
    assert get(site, "identity", 4) == bytes(4)
    (kept,) = backups(site.instance)
    assert (kept.place, kept.flavour) == ("disk.identity", "flex")
    done = restore(site.instance, kept.name, Bus(), soon())
    assert done["disk.identity"]["written"] == 1
    assert get(site, "identity", 4) == KEYS


@pytest.mark.field("F4")
def test_a_restore_is_itself_kept_and_can_be_undone(site: Site) -> None:
    put(site, "identity", KEYS)
    deploy(site.instance, erasing(site, "identity"), {}, "release", Bus(), soon())
    put(site, "identity", b"new!")
    (first,) = backups(site.instance)
    restore(site.instance, first.name, Bus(), soon())
    newest, oldest = backups(site.instance)
    assert oldest == first
    restore(site.instance, newest.name, Bus(), soon())
    assert get(site, "identity", 4) == b"new!"
    assert Ledger(site.instance.identity).current("flex") is not None, "what was flashed is on the board as before"


@pytest.mark.field("F4")
def test_the_newest_backup_of_a_region_goes_by_its_name(site: Site) -> None:
    for content in (b"1st.", b"2nd."):
        put(site, "identity", content)
        deploy(site.instance, erasing(site, "identity"), {}, "release", Bus(), soon())
    restore(site.instance, "identity", Bus(), soon())
    assert get(site, "identity", 4) == b"2nd."
    with pytest.raises(BadInput, match="no backup called 'nothing'") as caught:
        restore(site.instance, "nothing", Bus(), soon())
    assert "flexkit flash restore --list" in caught.value.mend


@pytest.mark.field("F4")
def test_a_backup_that_was_damaged_since_is_not_put_back(site: Site) -> None:
    put(site, "identity", KEYS)
    deploy(site.instance, erasing(site, "identity"), {}, "release", Bus(), soon())
    (kept,) = backups(site.instance)
    with kept.path.open("r+b") as sink:
        sink.write(b"other")
    with pytest.raises(FlashError, match="is not what was backed up"):
        restore(site.instance, kept.name, Bus(), soon())
    assert get(site, "identity", 4) == bytes(4)


@pytest.mark.field("F4")
def test_a_second_attempt_does_not_back_up_what_the_first_had_half_erased(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = site.instance.type.medium("disk").region("identity").size
    put(site, "identity", KEYS)
    put(site, "identity", KEYS, size - 4)
    written: list[int] = []

    def die(target: FileMedium, offset: int, data: bytes, deadline: Deadline) -> None:
        if written:
            raise FlashError("the host's disk failed")
        written.append(offset)
        os.pwrite(target._descriptor, data, offset)

    with monkeypatch.context() as patch:
        patch.setattr(FileMedium, "write", die)
        with pytest.raises(FlashError, match="disk failed"):
            deploy(site.instance, erasing(site, "identity"), {}, "release", Bus(), soon())
    deploy(site.instance, erasing(site, "identity"), {}, "release", Bus(), soon())
    (kept,) = backups(site.instance)
    data = kept.path.read_bytes()
    assert (data[:4], data[-4:]) == (KEYS, KEYS)
    assert kept.path.is_relative_to(paths.state())
