"""A file as a medium."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from flexkit.deadline import Deadline
from flexkit.deployed.plan import Write
from flexkit.errors import FlashError, TimedOut
from flexkit.flash.engine import write_region
from flexkit.flash.medium import FileMedium

CHUNK = 1000
SIZE = 10_000


def soon() -> Deadline:
    return Deadline(120, "flash")


def image(tmp_path: Path, data: bytes) -> Write:
    (tmp_path / "image").write_bytes(data)
    return Write("m", "r", 2000, len(data), "image", tmp_path / "image", hashlib.sha256(data).hexdigest(), False)


def opened(path: Path, size: int) -> FileMedium:
    medium = FileMedium("m", path, size)
    medium.open(soon())
    return medium


def test_a_file_is_a_medium(tmp_path: Path) -> None:
    medium = opened(tmp_path / "deep" / "m.img", SIZE)
    assert medium.fresh
    data = os.urandom(3000)
    write_region(medium, image(tmp_path, data), CHUNK, soon(), lambda *_: None)
    medium.close()
    assert (tmp_path / "deep" / "m.img").read_bytes()[2000:5000] == data
    again = opened(tmp_path / "deep" / "m.img", SIZE)
    assert not again.fresh
    assert write_region(again, image(tmp_path, data), CHUNK, soon(), lambda *_: None).written == 0
    again.close()


def test_erasing_a_blank_region_takes_no_space(tmp_path: Path) -> None:
    medium = opened(tmp_path / "m.img", 1 << 26)
    erase = Write("m", "r", 0, 1 << 26, None, None, "", True)
    assert write_region(medium, erase, 1 << 20, soon(), lambda *_: None).written == 0
    medium.write(5000, b"x", soon())
    assert write_region(medium, erase, 1 << 20, soon(), lambda *_: None).written == 1
    medium.close()
    assert (tmp_path / "m.img").stat().st_blocks * 512 < 1 << 22


def test_a_full_disk_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    medium = opened(tmp_path / "m.img", SIZE)
    write = image(tmp_path, b"a" * 3000)
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(FlashError, match="no space left") as caught:
        write_region(medium, write, CHUNK, soon(), lambda *_: None)
    assert "cache prune" in caught.value.mend


def test_a_folder_that_may_not_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FlashError, match=r"Not a directory|File exists"):
        FileMedium("m", tmp_path / "file" / "m.img", SIZE).open(soon())


def test_the_deadline_holds_while_writing(tmp_path: Path) -> None:
    medium = opened(tmp_path / "m.img", SIZE)
    with pytest.raises(TimedOut):
        write_region(medium, image(tmp_path, b"a" * 3000), CHUNK, Deadline(0.0, "flash"), lambda *_: None)
    medium.close()
