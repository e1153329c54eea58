"""Silence, diagnosed by how far a board came."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from flexkit import boards
from flexkit.boards import Instance, LabBoard
from flexkit.drivers.diagnosis import Seen, advise

BOARD = boards.load("qemu-virt")
WIRED = Instance("bench", BOARD, LabBoard("qemu-virt", serial="/dev/ttyUSB7", baud=9600))


@pytest.mark.parametrize(
    ("came", "said"),
    [
        (
            b"",
            r"not one byte came; check in this order: supply \(flexkit power cycle -b bench.*/dev/ttyUSB7: TX",
        ),
        (bytes(range(128, 200)) * 3, r"216 bytes came and most are no text: .*9600 baud; qemu-virt speaks at 115200"),
        (b"Welcome to some other board\r\nlogin: ", r"36 readable bytes came, but no boot stage of qemu-virt: another"),
    ],
)
def test_before_any_stage(came: bytes, said: str) -> None:
    seen = Seen()
    for byte in came:
        seen = seen.take(bytes([byte]))
    assert re.match(said, advise(WIRED, seen)), advise(WIRED, seen)


def test_colours_and_line_editing_are_text() -> None:
    assert Seen().take(b"\x1b[0mNOTICE:\tBL1\a\b\r\n").unreadable == 0


def test_each_stage_says_what_did_not_come_after_it() -> None:
    for stage, following in zip(BOARD.boot.stages, BOARD.boot.stages[1:], strict=False):
        assert advise(WIRED, Seen(100, 0, stage.name)).startswith(f"{stage.name} ran, {following.name} did not come: ")
    last = BOARD.boot.stages[-1].name
    assert advise(WIRED, Seen(100, 0, last)).startswith(f"{last} came, and then nothing: ")


def test_the_board_files_own_hint_comes_first() -> None:
    stages = tuple(replace(stage, hint=f"look at {stage.name}") for stage in BOARD.boot.stages)
    hinted = replace(WIRED, type=replace(BOARD, boot=replace(BOARD.boot, stages=stages)))
    assert advise(hinted, Seen(1, 0, "bl2")) == "bl2 ran, bl31 did not come: look at bl2"


def test_an_emulated_board_has_no_cables() -> None:
    assert "cable" not in advise(boards.resolve("qemu-virt"), Seen())
    assert "TX" not in advise(boards.resolve("qemu-virt"), Seen())
