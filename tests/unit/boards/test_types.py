"""The project's board types: where boot ROMs look, what each can be given, and that each has a plan."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import pytest

from flexkit import boards
from flexkit.boards import header, overlay
from flexkit.build import Image, layout
from flexkit.deployed.plan import make_plan

HARDWARE = [name for name in boards.known() if not boards.load(name).emulated]
RK3588 = ["orangepi-5-plus", "orangepi-5-max", "rock-5b"]
WITH_MONITOR = [name for name in boards.known() if boards.load(name).monitor]


def everything(board: boards.Board) -> tuple[str, ...]:
    return tuple(f"{medium.name}.{each.name}" for medium in board.media for each in medium.regions if each.image)


@pytest.mark.parametrize("name", RK3588)
def test_the_boot_rom_of_an_rk3588_finds_what_it_looks_for(name: str) -> None:
    card = boards.load(name).medium("card")
    assert card.region("idbloader").offset == 64 * 512
    assert card.region("uboot").offset == 16384 * 512
    assert boards.load(name).boot.rom[:3] == ("spi", "emmc", "sd")


def test_the_boot_rom_of_an_imx8mp_finds_spl_at_32_kib_and_spl_its_fit_at_sector_0x300() -> None:
    card = boards.load("imx8mp-evk").medium("card")
    assert card.region("spl").offset == 32 << 10
    assert card.region("uboot").offset == 0x300 * 512


def test_a_raspberry_pi_reads_a_fat_partition_that_is_its_first() -> None:
    first = boards.load("rpi4").medium("card").partitions[0]
    assert (first.partition, first.image) == ("fat", "boot-fat")


@pytest.mark.parametrize("name", HARDWARE)
def test_a_plan_holds_the_whole_medium_and_names_what_is_missing(name: str, tmp_path: Path) -> None:
    board = boards.load(name)
    missing = layout.missing(board, {}, monitor=True)
    images = {each.image for medium in board.media for each in medium.regions if each.image}
    built = {image: Image(tmp_path / image, "0" * 64, 512) for image in images - set(missing)}
    plan = make_plan(board, "1" * 32, "flex", built, missing, everything(board))
    assert {write.image for write in plan.writes} | set(plan.missing) == images
    assert set(plan.missing) == images & set(missing)
    blobs = {blob.name for blob in board.build.blobs if blob.images}
    assert all(any(blob in reason for reason in plan.missing.values()) for blob in blobs)


@pytest.mark.parametrize("name", HARDWARE)
def test_what_the_user_gave_is_no_longer_missing(name: str) -> None:
    board = boards.load(name)
    given = {blob.name: Path("/given") for blob in board.build.blobs}
    assert layout.missing(board, given, monitor=False) == {}


@pytest.mark.parametrize("name", HARDWARE)
def test_tables_and_user_data_of_a_card_are_written_only_when_named(name: str) -> None:
    card = boards.load(name).medium("card")
    assert card.region(card.table).protected
    assert {each.name for each in card.regions if each.destructive} == {"identity", "data"}


@pytest.mark.parametrize("name", HARDWARE)
def test_a_board_that_never_ran_is_called_so_and_open_dma_is_not_hidden(name: str) -> None:
    board = boards.load(name)
    assert board.support == "built only"
    assert board.open_masters


@pytest.mark.parametrize("name", WITH_MONITOR)
def test_header_and_overlay_of_a_board_are_read_by_their_compilers(name: str, tmp_path: Path) -> None:
    board = boards.load(name)
    (tmp_path / "flex_board.h").write_text(header.render(board))
    (tmp_path / "probe.c").write_text(
        '#include "flex_board.h"\n_Static_assert(FLEX_BOARD_DRAM_BASE % 0x200000 == 0, "");\n'
        f'_Static_assert(FLEX_BOARD_HAS_I8MM == {int("i8mm" in board.cpu.features)}, "");\n'
    )
    subprocess.run(["gcc", "-c", "-Wall", "-Werror", "probe.c"], cwd=tmp_path, check=True)
    subprocess.run(["dtc", "-q", "-O", "dtb", "-o", "/dev/null"], input=overlay.render(board).encode(), check=True)


def test_an_rk3588_type_says_only_what_is_its_own() -> None:
    shared = [dataclasses.asdict(boards.load(name)) for name in RK3588]
    for each in shared:
        for key in ("name", "title", "build"):
            del each[key]
    assert shared[0] == shared[1] == shared[2]
