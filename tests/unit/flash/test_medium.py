"""Writing by chunks to media that lie."""

from __future__ import annotations

import errno
import hashlib
import os
import random
from pathlib import Path

import pytest

from flexkit.deadline import Deadline
from flexkit.drivers.protocols import Medium
from flexkit.errors import FlashError, TimedOut
from flexkit.flash.medium import FileMedium, write_region
from flexkit.flash.plan import Write

CHUNK = 1000
SIZE = 10_000


def soon() -> Deadline:
    return Deadline(20, "flash")


class Lying(Medium):
    """Writes and reads go wrong with a probability of ``percent``, as a bad cable makes them (FIELD F1)."""

    def __init__(self, percent: int, seed: int) -> None:
        self.name = "lying"
        self.size = SIZE
        self.data = bytearray(SIZE)
        self.writes: list[int] = []
        self._percent = percent
        self._random = random.Random(seed)

    def _maybe_harm(self, data: bytes) -> bytes:
        if self._random.randrange(100) >= self._percent:
            return data
        at = self._random.randrange(len(data))
        return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]

    def read(self, offset: int, count: int, deadline: Deadline) -> bytes:
        return self._maybe_harm(bytes(self.data[offset : offset + count]))

    def write(self, offset: int, data: bytes, deadline: Deadline) -> None:
        self.writes.append(offset)
        self.data[offset : offset + len(data)] = self._maybe_harm(data)


def image(tmp_path: Path, data: bytes) -> Write:
    (tmp_path / "image").write_bytes(data)
    return Write("m", "r", 2000, len(data), "image", tmp_path / "image", hashlib.sha256(data).hexdigest(), False)


def test_only_what_differs_is_written(tmp_path: Path) -> None:
    data = os.urandom(5500)
    medium = Lying(0, 0)
    medium.data[2000:7500] = data
    medium.data[4321] ^= 1
    steps: list[tuple[int, int]] = []
    outcome = write_region(medium, image(tmp_path, data), CHUNK, soon(), lambda *step: steps.append(step))
    assert medium.writes == [4000]
    assert (outcome.chunks, outcome.written, outcome.repeated) == (6, 1, 0)
    assert bytes(medium.data[2000:7500]) == data
    assert steps[-1] == (5500, 5500)


@pytest.mark.parametrize("seed", range(10))
def test_a_channel_that_lies_both_ways_is_outvoted(tmp_path: Path, seed: int) -> None:
    data = os.urandom(6000)
    medium = Lying(20, seed)
    outcome = write_region(medium, image(tmp_path, data), CHUNK, soon(), lambda *_: None)
    assert bytes(medium.data[2000:8000]) == data
    assert outcome.written == 6


def test_a_medium_that_never_takes_it_is_refused(tmp_path: Path) -> None:
    medium = Lying(100, 1)
    with pytest.raises(FlashError, match=r"lying: bytes at 0x7d0 \(region r\) do not read back"):
        write_region(medium, image(tmp_path, os.urandom(3000)), CHUNK, soon(), lambda *_: None)
    assert len(medium.writes) == 12


def test_an_image_that_was_changed_since_the_build_is_refused(tmp_path: Path) -> None:
    write = image(tmp_path, b"a" * 3000)
    (tmp_path / "image").write_bytes(b"b" * 3000)
    medium = Lying(0, 0)
    with pytest.raises(FlashError, match="is not what was built"):
        write_region(medium, write, CHUNK, soon(), lambda *_: None)
    assert medium.writes == [], "not one byte of it"


def test_an_image_that_is_gone_is_refused(tmp_path: Path) -> None:
    write = image(tmp_path, b"a")
    (tmp_path / "image").unlink()
    with pytest.raises(FlashError, match="No such file"):
        write_region(Lying(0, 0), write, CHUNK, soon(), lambda *_: None)


def test_a_file_is_a_medium(tmp_path: Path) -> None:
    medium = FileMedium("m", tmp_path / "deep" / "m.img", SIZE)
    assert medium.fresh
    data = os.urandom(3000)
    write_region(medium, image(tmp_path, data), CHUNK, soon(), lambda *_: None)
    medium.close()
    assert (tmp_path / "deep" / "m.img").read_bytes()[2000:5000] == data
    again = FileMedium("m", tmp_path / "deep" / "m.img", SIZE)
    assert not again.fresh
    assert write_region(again, image(tmp_path, data), CHUNK, soon(), lambda *_: None).written == 0
    again.close()


def test_erasing_a_blank_region_takes_no_space(tmp_path: Path) -> None:
    medium = FileMedium("m", tmp_path / "m.img", 1 << 26)
    erase = Write("m", "r", 0, 1 << 26, None, None, "", True)
    assert write_region(medium, erase, 1 << 20, soon(), lambda *_: None).written == 0
    medium.write(5000, b"x", soon())
    assert write_region(medium, erase, 1 << 20, soon(), lambda *_: None).written == 1
    medium.close()
    assert (tmp_path / "m.img").stat().st_blocks * 512 < 1 << 22


def test_a_full_disk_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    medium = FileMedium("m", tmp_path / "m.img", SIZE)
    write = image(tmp_path, b"a" * 3000)
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(FlashError, match="no space left") as caught:
        write_region(medium, write, CHUNK, soon(), lambda *_: None)
    assert "cache prune" in caught.value.mend


def test_the_deadline_holds_while_writing(tmp_path: Path) -> None:
    medium = FileMedium("m", tmp_path / "m.img", SIZE)
    with pytest.raises(TimedOut):
        write_region(medium, image(tmp_path, b"a" * 3000), CHUNK, Deadline(0.0, "flash"), lambda *_: None)
    medium.close()
