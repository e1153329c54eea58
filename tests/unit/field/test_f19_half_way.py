"""F19: a flash failed half way; the next attempt failed too, until a person cycled the power."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_uboot import sparse_read
from faulty_medium import HostDied
from vendor_tools import FakeBoard, ToolFaults

from flexkit.boards.schema import Usb
from flexkit.deadline import Deadline
from flexkit.deployed.plan import Write
from flexkit.errors import FlashError
from flexkit.flash.engine import write_region
from flexkit.flash.journal import Journal
from flexkit.flash.protocol import NeedsHands
from flexkit.flash.ways.rockusb import RockUsb
from flexkit.flash.ways.tool import Limits, Rescue
from flexkit.flash.ways.usb import UsbTarget

CHUNK, CHUNKS = 4096, 6
OFFSET = 64 * 512
LIMITS = Limits(call=20.0, enumerate=0.5, speed=100_000_000)
MODES = [Usb("2207:350b", "maskrom", "hold MASKROM while plugging in")]
WEDGED = ToolFaults(fail=1.0)


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeBoard:
    """It wedges after half of an image, and only its power mends that."""
    made = FakeBoard(tmp_path / "board", "loader")
    monkeypatch.setenv("PATH", str(made.install(tmp_path / "bin")), prepend=os.pathsep)
    (made.folder / "loader.bin").write_bytes(b"loader")
    return made


def image(tmp_path: Path) -> Write:
    data = random.Random(19).randbytes(CHUNK * CHUNKS)
    (tmp_path / "image").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    return Write("emmc", "root", OFFSET, len(data), "root", tmp_path / "image", digest)


def medium(board: FakeBoard, rescue: Rescue | None = None) -> RockUsb:
    target = UsbTarget("lab-1", MODES, "1-1.4", board.usb)
    made = RockUsb("emmc", 1 << 30, target, board.folder / "loader.bin", LIMITS, rescue)
    made.hands_seconds = 0.1
    return made


def wedge_half_way(board: FakeBoard) -> Callable[[int, int], None]:
    wedged: list[int] = []

    def progress(done: int, total: int) -> None:
        if done >= total // 2 and not wedged:
            wedged.append(done)
            board.faults(WEDGED)

    return progress


def cycle(board: FakeBoard) -> None:
    """What a person did in the end: power off and on, into the mask ROM."""
    board.faults(ToolFaults())
    board.enter("maskrom")


def soon() -> Deadline:
    return Deadline(120, "flash")


def is_right(board: FakeBoard, write: Write) -> bool:
    assert write.path is not None
    return sparse_read(board.medium, OFFSET, write.size) == write.path.read_bytes()


@pytest.mark.field("F19")
def test_the_sites_power_is_cycled_and_the_flash_goes_on_where_it_was(board: FakeBoard, tmp_path: Path) -> None:
    write = image(tmp_path)
    naive = ["rkdeveloptool", "wl", str(OFFSET // 512), str(write.path)]
    board.faults(WEDGED)
    for _ in range(3):
        assert subprocess.run(naive, capture_output=True, timeout=60, check=False).returncode != 0, (
            "and again, and again"
        )
    cycle(board)

    cycles: list[float] = []

    def enter(deadline: Deadline) -> None:
        cycles.append(deadline.remaining)
        cycle(board)

    way = medium(board, Rescue(enter))
    way.open(soon())
    (board.folder / "log").unlink()
    outcome = write_region(way, write, CHUNK, soon(), wedge_half_way(board))
    way.close()
    assert is_right(board, write)
    assert len(cycles) == 1
    assert outcome.recovered == 1
    written = [int(call.split()[2]) for call in board.calls() if " wl " in call]
    assert written.count(OFFSET // 512) == 1, "what was there already was not written again"


@pytest.mark.field("F19")
def test_where_only_hands_help_it_says_so_and_waits_for_the_device(board: FakeBoard, tmp_path: Path) -> None:
    asked: list[str] = []

    def hands(need: NeedsHands) -> None:
        asked.append(need.mend)
        cycle(board)

    write, way = image(tmp_path), medium(board)
    way.open(soon())
    way.hands_seconds = 60.0
    write_region(way, write, CHUNK, soon(), wedge_half_way(board), ask=hands)
    way.close()
    assert is_right(board, write)
    assert asked == ["hold MASKROM while plugging in"]


@pytest.mark.field("F19")
def test_without_power_and_hands_the_error_says_what_they_would_do(board: FakeBoard, tmp_path: Path) -> None:
    write, way = image(tmp_path), medium(board)
    way.open(soon())
    with pytest.raises(FlashError, match=r"emmc\.root: stage recover: .* does not reach the device") as caught:
        write_region(way, write, CHUNK, soon(), wedge_half_way(board))
    way.close()
    assert caught.value.mend == "hold MASKROM while plugging in"


@pytest.mark.field("F19")
def test_the_next_attempt_begins_at_the_first_unverified_chunk(
    board: FakeBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flexkit.flash.engine._SETTLE_BYTES", CHUNK)
    journal = tmp_path / "journal"
    write, way = image(tmp_path), medium(board)
    way.open(soon())

    def die(done: int, total: int) -> None:
        if done >= total // 2:
            raise HostDied

    with pytest.raises(HostDied):
        write_region(way, write, CHUNK, soon(), die, Journal(journal))
    way.close()
    cycle(board)
    (board.folder / "log").unlink()
    again = medium(board)
    again.open(soon())
    outcome = write_region(again, write, CHUNK, soon(), lambda *_: None, Journal(journal))
    again.close()
    assert outcome.resumed_at >= CHUNKS // 2 - 1
    first = next(int(call.split()[2]) for call in board.calls() if " wl " in call)
    assert first >= (OFFSET + (CHUNKS // 2 - 1) * CHUNK) // 512
    assert is_right(board, write)
