"""``flexkit boards list / show``: what a board is worth is said wherever it is named."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from flexkit import boards
from flexkit.cli.boards import COMMANDS


def run(*words: str) -> str:
    result = CliRunner().invoke(COMMANDS[0], words, catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def line_of(name: str) -> str:
    (line,) = [line for line in run("list").splitlines() if line.split()[0] == name]
    return line


@pytest.mark.parametrize("name", list(boards.known()))
def test_the_list_says_what_never_ran_on_silicon_and_where_dma_is_open(name: str) -> None:
    board = boards.load(name)
    line = line_of(name)
    assert ("never" in line) == (board.support != "silicon")
    assert ("DMA open" in line) == any(master.gate == "none" for master in board.dma)
    assert ("no monitor" in line) == (board.monitor is None)
    assert ("rollback not refused" in line) == (board.secure_flash is None)


def test_json_says_the_same() -> None:
    types = {each["name"]: each for each in json.loads(run("list", "--json").splitlines()[-1])["types"]}
    assert types["rpi4"]["dma_open"]
    assert types["rpi4"]["silicon"] is False
    assert types["qemu-virt"]["dma_open"] == []
    assert types["qemu-virt"]["rollback_refused"] is True
    assert types["rock-5b"]["rollback_refused"] is False
    assert types["qemu-virt"]["monitor_missing"] is None


def test_show_names_what_only_the_vendor_has() -> None:
    text = run("show", "imx8mp-evk")
    assert "not ours   firmware-imx" in text
    assert "boot ROM   sd > emmc > usb" in text


def test_show_names_regions_that_are_not_written_unless_named() -> None:
    rows = {line.split()[0]: line for line in run("show", "rock-5b").splitlines() if "KiB" in line}
    assert "made by the board, protected, destructive" in rows["identity"]
    assert rows["root"].endswith("rootfs")
