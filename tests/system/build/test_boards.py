"""Firmware of a real board, from this tree: whatever the monitor asks of a board file, an RK3588's has."""

from __future__ import annotations

from flexkit import boards, build
from flexkit.build import elf
from flexkit.deadline import Deadline
from flexkit.events import Bus


def test_bl31_of_an_rk3588_carries_the_monitor() -> None:
    board = boards.load("rock-5b")
    made = build.run(board, bus=Bus(), deadline=Deadline(600, "build"), parts=("monitor", "payload"))
    bl31 = made.outputs["monitor"] / "bl31.elf"
    assert b"FlexKit: " in bl31.read_bytes()
    assert elf.segments(bl31)[0][0] == elf.entry(bl31)
    assert (made.outputs["payload"] / "payload.bin").stat().st_size < board.memory.region("payload").size
