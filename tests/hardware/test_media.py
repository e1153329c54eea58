"""Every board that nobody here has: all of it that can be built is, and its card is rehearsed on a file and read with
other people's tools. Kernels and boot loaders take half an hour the first time, so this is `make nightly`'s.

What only a vendor has is played by bytes of no meaning: what is checked is that they lie where its boot ROM looks."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from flexkit import boards
from flexkit.build.uboot import IMX_TRAINING
from flexkit.cli.main import run

HARDWARE = [name for name in boards.known() if not boards.load(name).emulated]
FIT, TREE = bytes.fromhex("d00dfeed"), "board.dtb"


def shown(*words: str | Path) -> str:
    """What a tool prints."""
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True).stdout


def stand_ins(board: boards.Board, folder: Path) -> list[str]:
    """--source for each piece that only the vendor has."""
    words = []
    for blob in board.build.blobs:
        at = folder / blob.name
        if blob.name == "firmware-imx":
            names = tuple(IMX_TRAINING)
        else:
            names = ("start4.elf", "fixup4.dat") if blob.name == "raspi-firmware" else ()
        if names:
            at.mkdir()
        for path in [at / name for name in names] or [at]:
            path.write_bytes(blob.name.encode() * 1000)
        words += ["--source", f"{blob.name}={at}"]
    return words


@dataclass
class Card:
    """A rehearsed card."""

    board: boards.Board
    path: Path
    work: Path

    def region(self, name: str, size: int | None = None) -> Path:
        """A region's bytes in a file of their own."""
        region = self.board.medium("card").region(name)
        at = self.work / name
        with self.path.open("rb") as card:
            card.seek(region.offset)
            at.write_bytes(card.read(size or region.size))
        return at


@pytest.fixture(scope="module", params=HARDWARE)
def card(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Card]:
    work = tmp_path_factory.mktemp(request.param)
    board = boards.load(request.param)
    words = ["flash", "-b", board.name, "--rehearse", str(work / "media"), "--timeout", "7200"]
    assert run([*words, *stand_ins(board, work)]) == 0
    yield Card(board, work / "media/card.img", work)
    (work / "media/card.img").unlink()


def test_the_partition_table_is_read_by_others_as_the_board_file_has_it(card: Card) -> None:
    rows = [
        line.split(":", 1)[1]
        for line in shown("/usr/sbin/sfdisk", "--dump", card.path).splitlines()
        if "start=" in line
    ]
    starts = [int(row.split("start=")[1].split(",")[0]) for row in rows]
    assert starts == [region.offset // 512 for region in card.board.medium("card").partitions]
    assert "error" not in shown("/usr/sbin/sfdisk", "--verify", card.path).lower().replace("no errors", "")


def test_the_first_loader_lies_where_the_boot_rom_looks(card: Card) -> None:
    layout = card.board.build.layout
    if layout == "rockchip":
        head = card.region("idbloader", 2048).read_bytes()
        first, second = (int.from_bytes(head[at : at + 4], "little") for at in (0x78, 0xD0))
        assert head[:4] == b"RKNS"
        # offset and length in sectors: the DDR piece at once behind the header, SPL behind that
        assert (first & 0xFFFF, second & 0xFFFF) == (4, 4 + (first >> 16))
    elif layout == "imx8m":
        assert card.region("spl", 4).read_bytes()[:3] == bytes.fromhex("d10020")  # an image vector table of 32 bytes
    else:
        boot = card.region("boot")
        listed = shown("mdir", "-b", "-i", boot, "::").split()
        assert {"::/start4.elf", "::/bl31.bin", "::/u-boot.bin", "::/payload.bin", "::/config.txt"} <= set(listed)


def test_the_second_loader_brings_monitor_payload_and_u_boot_to_their_places(card: Card) -> None:
    if card.board.build.layout == "rpi":
        config = shown("mtype", "-i", card.region("boot"), "::config.txt")
        assert f"initramfs payload.bin {card.board.memory.region('payload').base:#x}" in config
        return
    itb = card.region("uboot")
    assert itb.read_bytes()[:4] == FIT
    payload = int(shown("fdtget", "-t", "u", itb, "/images/tee", "load"))
    assert payload == card.board.memory.region("payload").base
    assert "tee" in shown("fdtget", itb, "/configurations/config-1", "loadables")
    assert shown("fdtget", itb, "/images/atf-1", "os").strip() == "arm-trusted-firmware"


def test_u_boot_finds_kernel_tree_and_command_line(card: Card) -> None:
    boot = card.region("boot")
    tree = card.work / TREE
    if card.board.build.layout == "rpi":
        conf = shown("mtype", "-i", boot, "::extlinux/extlinux.conf")
        subprocess.run(["mcopy", "-n", "-i", boot, f"::{TREE}", tree], check=True)
    else:
        conf = shown("/usr/sbin/debugfs", "-R", "cat /extlinux/extlinux.conf", boot)
        shown("/usr/sbin/debugfs", "-R", f"dump /{TREE} {tree}", boot)
    assert f"append {card.board.boot.cmdline}\n" in conf
    assert shown("fdtget", tree, "/firmware/flexserve", "compatible").strip() == "flexkit,flexserve"
    reserved = shown("fdtget", "-l", tree, "/reserved-memory")
    assert all(f"flexkit-{region.name}@{region.base:x}" in reserved for region in card.board.memory.regions)


def test_the_root_file_system_is_sound(card: Card) -> None:
    subprocess.run(["/usr/sbin/e2fsck", "-fn", card.region("root")], check=True, capture_output=True)
