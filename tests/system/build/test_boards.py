"""Firmware of real boards, from this tree: whatever the monitor asks of a board file, theirs have. One of each SoC:
with a GICv3, atomics and an SMMU; without the latter two; and with none of the three."""

from __future__ import annotations

import subprocess

import pytest

from flexkit import boards, build
from flexkit.build import elf
from flexkit.deadline import Deadline
from flexkit.events import Bus

# Of Armv8.1; older cores have none of them.
ATOMICS = ("casal", "casa ", "ldadd", "ldset", "ldclr", "swpal")


@pytest.mark.parametrize("name", ["rock-5b", "imx8mp-evk", "rpi4"])
def test_bl31_of_a_board_carries_the_monitor(name: str) -> None:
    board = boards.load(name)
    made = build.run(board, bus=Bus(), deadline=Deadline(600, "build"), parts=("monitor", "payload"))
    bl31 = made.outputs["monitor"] / "bl31.elf"
    assert b"FlexKit: " in bl31.read_bytes()
    assert any(at <= elf.entry(bl31) < at + len(data) for at, data in elf.segments(bl31))
    assert (made.outputs["payload"] / "payload.bin").stat().st_size < board.memory.region("payload").size
    code = subprocess.run(["aarch64-linux-gnu-objdump", "-d", bl31], check=True, capture_output=True, text=True).stdout
    assert any(word in code for word in ATOMICS) == ("atomics" in board.cpu.features)
