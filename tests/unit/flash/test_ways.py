"""The drivers of real media, over doubles of the packaged tools: real programs that fail as FIELD.md recorded it."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_uboot import sparse_read, sparse_write
from vendor_tools import FakeBoard, ToolFaults

from flexkit.boards.schema import Usb
from flexkit.deadline import Deadline
from flexkit.deployed.plan import Write
from flexkit.errors import FlashError, MissingTool
from flexkit.flash.engine import Outcome, write_region
from flexkit.flash.protocol import NeedsHands
from flexkit.flash.ways.dfu import Dfu, Setting
from flexkit.flash.ways.fastboot import Fastboot, Uuu
from flexkit.flash.ways.rockusb import RockUsb
from flexkit.flash.ways.storage import Storage
from flexkit.flash.ways.tool import Limits, Rescue, ToolMedium
from flexkit.flash.ways.usb import UsbTarget

CHUNK = 8192
OFFSET = 64 * 512
SIZE = 1 << 30
BUFFER = 0x10000
MODES = [
    Usb("2207:350b", "maskrom", "hold MASKROM while plugging in"),
    Usb("2207:0010", "mass-storage", "unplug, wait ten seconds, hold MASKROM, plug in"),
    Usb("18d1:d00d", "fastboot", "run fastboot in U-Boot"),
    Usb("1fc9:0146", "sdp", "set the switches to serial download"),
    Usb("1f3a:efe8", "dfu", "run dfu in U-Boot"),
]
# Generous, since each call starts a program on a machine that may be busy; short where every call is to end by it.
LIMITS = Limits(call=30.0, enumerate=0.5, speed=100_000_000)
PATIENT = Limits(call=5.0, enumerate=0.5, speed=100_000_000)
HASTY = Limits(call=0.7, enumerate=0.5, speed=100_000_000)
Make = Callable[[FakeBoard], ToolMedium]


def rockusb(board: FakeBoard) -> RockUsb:
    loader = board.folder / "loader.bin"
    loader.write_bytes(b"loader")
    return RockUsb("emmc", SIZE, UsbTarget("lab-1", MODES, "1-1.4", board.usb), loader, LIMITS)


def fastboot(board: FakeBoard) -> Fastboot:
    target = UsbTarget("lab-1", MODES, "1-1.4", board.usb)
    return Fastboot("emmc", SIZE, target, Storage("mmc 0", BUFFER, CHUNK + 4096), LIMITS, port="1-1.4")


def uuu(board: FakeBoard) -> Uuu:
    target = UsbTarget("lab-1", MODES, "1-1.4", board.usb)
    loader = board.folder / "flash.bin"
    loader.write_bytes(b"loader")
    return Uuu("emmc", SIZE, target, Storage("mmc 2", BUFFER, CHUNK + 4096), LIMITS, port="1-1.4", loader=loader)


def dfu(board: FakeBoard) -> Dfu:
    (board.folder / "settings.json").write_text(json.dumps({"root": [OFFSET, 65536]}))
    target = UsbTarget("lab-1", MODES, "1-1.4", board.usb)
    return Dfu("emmc", SIZE, target, {OFFSET: Setting("root", OFFSET, 65536)}, LIMITS, port="1-1.4")


WAYS: dict[str, tuple[str, Make]] = {
    "rkdeveloptool": ("maskrom", rockusb),
    "fastboot": ("fastboot", fastboot),
    "uuu": ("sdp", uuu),
    "dfu-util": ("dfu", dfu),
}
every_way = pytest.mark.parametrize("tool", WAYS)


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeBoard:
    made = FakeBoard(tmp_path / "board", "")
    monkeypatch.setenv("PATH", str(made.install(tmp_path / "bin")), prepend=os.pathsep)
    monkeypatch.setenv("FAKE_BUFFER", f"{BUFFER:x}")
    return made


def soon(seconds: float = 300) -> Deadline:
    return Deadline(seconds, "flash")


def image(tmp_path: Path, count: int = CHUNK + 100) -> Write:
    data = random.Random(7).randbytes(count)
    (tmp_path / "image").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    return Write("emmc", "root", OFFSET, count, "root", tmp_path / "image", digest)


def flash(medium: ToolMedium, write: Write, outcome: Outcome | None = None) -> Outcome:
    limit = soon()
    try:
        medium.open(limit)
        return write_region(medium, write, CHUNK, limit, lambda *_: None, outcome=outcome)
    finally:
        medium.close()


def is_right(board: FakeBoard, write: Write) -> bool:
    assert write.path is not None
    return sparse_read(board.medium, OFFSET, write.size) == write.path.read_bytes()


@every_way
def test_an_image_goes_onto_the_medium_and_only_what_differs_again(tool: str, board: FakeBoard, tmp_path: Path) -> None:
    mode, make = WAYS[tool]
    board.enter(mode)
    write = image(tmp_path)
    assert flash(make(board), write).written > 0
    assert is_right(board, write)
    again = flash(make(board), write)
    assert again.written == 0
    assert "nothing written" in again.words()


@pytest.mark.field("F1")
@every_way
def test_f1_what_the_tool_calls_success_is_not_believed(tool: str, board: FakeBoard, tmp_path: Path) -> None:
    mode, make = WAYS[tool]
    board.enter(mode)
    board.faults(ToolFaults(seed=11, corrupt=0.6 if tool == "dfu-util" else 0.2, pretend=0.2))
    write = image(tmp_path)
    outcome = flash(make(board), write)
    assert is_right(board, write)
    assert outcome.repeated + outcome.disagreed + outcome.recovered > 0


@pytest.mark.field("F2")
@every_way
def test_f2_a_hung_tool_costs_seconds(tool: str, board: FakeBoard, tmp_path: Path) -> None:
    mode, make = WAYS[tool]
    board.enter(mode)
    medium = make(board)
    medium.hands_seconds = 0.1
    medium.open(soon())
    medium._limits = HASTY
    board.faults(ToolFaults(hang=1.0))
    limit = soon(600)  # against 3,600 s that the double sleeps
    with pytest.raises(FlashError, match=r"emmc\.root: stage recover: .* does not reach the device") as caught:
        write_region(medium, image(tmp_path), CHUNK, limit, lambda *_: None)
    medium.close()
    assert caught.value.mend


@pytest.mark.field("F2")
def test_f2_a_degraded_device_is_recognised_before_anything_is_asked_of_it(board: FakeBoard) -> None:
    board.enter("mass-storage")
    with subprocess.Popen(["rkdeveloptool", "td"]) as script:  # without a limit it waits for ever
        limit = soon()
        while not board.calls():
            limit.check()
            time.sleep(0.02)
        with pytest.raises(subprocess.TimeoutExpired):
            script.wait(0.5)
        script.kill()
    (board.folder / "log").unlink()
    with pytest.raises(NeedsHands, match="shows 2207:0010 as mass storage") as caught:
        rockusb(board).open(soon())
    assert "hold MASKROM" in caught.value.mend
    assert board.calls() == [], "the tool would have hung"


@pytest.mark.field("F2")
def test_f2_rockchips_own_id_with_a_storage_interface_is_degraded_too(board: FakeBoard) -> None:
    board.enter("maskrom")
    (board.usb / "1-1.4:1.0" / "bInterfaceClass").write_text("08\n")
    with pytest.raises(NeedsHands, match="degraded"):
        rockusb(board).open(soon())


@pytest.mark.field("F2")
def test_f2_two_boards_and_no_port_are_not_guessed_at(board: FakeBoard) -> None:
    board.enter("maskrom")
    other = board.usb / "1-2"
    other.mkdir()
    (other / "idVendor").write_text("2207\n")
    (other / "idProduct").write_text("350b\n")
    with pytest.raises(FlashError, match=r"2 devices on USB may be it \(1-1\.4, 1-2\)") as caught:
        UsbTarget("lab-1", MODES, None, board.usb).find()
    assert "lab.toml" in caught.value.mend
    assert UsbTarget("lab-1", MODES, "1-2", board.usb).find().mode == "maskrom"


@pytest.mark.field("F19")
@every_way
def test_f19_a_device_that_leaves_the_bus_is_waited_for(tool: str, board: FakeBoard, tmp_path: Path) -> None:
    mode, make = WAYS[tool]
    board.enter(mode)
    medium = make(board)
    medium.open(soon())
    medium._limits = PATIENT  # some tools wait for ever for a device
    board.enter("")

    def hands(need: NeedsHands) -> None:
        assert need.mend, "what hands can do is said"
        board.enter(mode)

    write = image(tmp_path)
    outcome = write_region(medium, write, CHUNK, soon(), lambda *_: None, ask=hands)
    medium.close()
    assert is_right(board, write)
    assert outcome.recovered > 0


@pytest.mark.field("F19")
def test_f19_what_fell_back_to_the_mask_rom_gets_its_loader_again(board: FakeBoard, tmp_path: Path) -> None:
    board.enter("maskrom")
    medium = rockusb(board)
    medium.open(soon())
    board.enter("maskrom")
    write = image(tmp_path)
    write_region(medium, write, CHUNK, soon(), lambda *_: None)
    medium.close()
    assert is_right(board, write)
    assert sum(" db " in call for call in board.calls()) == 2


@pytest.mark.field("F19")
def test_f19_the_sites_power_is_switched_before_hands_are_asked_for(board: FakeBoard, tmp_path: Path) -> None:
    board.enter("loader")
    switched: list[float] = []
    left: list[Deadline] = []

    def rescue(deadline: Deadline) -> None:
        switched.append(deadline.remaining)
        board.faults(ToolFaults())
        board.enter("maskrom")

    target = UsbTarget("lab-1", MODES, None, board.usb)
    loader = board.folder / "loader.bin"
    loader.write_bytes(b"loader")
    medium = RockUsb("emmc", SIZE, target, loader, LIMITS, Rescue(rescue, left.append))
    medium.open(soon())
    board.faults(ToolFaults(fail=1.0))
    write = image(tmp_path)
    write_region(medium, write, CHUNK, soon(), lambda *_: None)
    medium.close()
    assert is_right(board, write)
    assert len(switched) == len(left) == 1


def test_a_mask_rom_without_a_loader_is_refused(board: FakeBoard) -> None:
    board.enter("maskrom")
    medium = RockUsb("emmc", SIZE, UsbTarget("lab-1", MODES, None, board.usb), None, LIMITS)
    with pytest.raises(FlashError, match="wants a loader first"):
        medium.open(soon())


@pytest.mark.field("F3")
def test_f3_the_table_on_the_medium_is_never_asked(board: FakeBoard, tmp_path: Path) -> None:
    """Whatever lies at LBA 0, offsets come from the board file; commands that go by a table are not used."""
    sparse_write(board.medium, 0, b"\xff" * 17408)
    for tool, (mode, make) in WAYS.items():
        if tool == "dfu-util":
            continue
        board.enter(mode)
        flash(make(board), image(tmp_path))
    assert sparse_read(board.medium, 0, 17408) == b"\xff" * 17408
    assert not any(word in call for call in board.calls() for word in (" wlx ", " gpt ", " ppt", " flash ", " -S "))


def test_without_its_tool_a_way_says_what_to_install(board: FakeBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    board.enter("loader")
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(MissingTool, match="rkdeveloptool is not installed") as caught:
        rockusb(board).open(soon())
    assert caught.value.mend == "apt-get install rkdeveloptool"


def test_fastboot_cannot_back_up_and_says_so(board: FakeBoard) -> None:
    with pytest.raises(FlashError, match="cannot be backed up"):
        fastboot(board).read(0, 512, soon())


@every_way
def test_a_plan_shows_commands_that_a_person_could_type(tool: str, board: FakeBoard, tmp_path: Path) -> None:
    _, make = WAYS[tool]
    shown = list(make(board).describe(image(tmp_path)))
    assert shown
    assert any(line.startswith(tool.removesuffix("-util")) for line in shown)
