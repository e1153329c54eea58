"""From parts to images: tables, FITs, device trees; and what cannot be made is missing, never something else."""

from __future__ import annotations

import dataclasses
import struct
import subprocess
import zlib
from pathlib import Path

import pytest

from flexkit import boards
from flexkit.boards.recipe import Blob
from flexkit.build import dtb, elf, fat, gpt, layout, parts_of, uboot
from flexkit.deadline import Deadline
from flexkit.errors import BadInput, BuildError

UBOOT = boards.load("qemu-virt-uboot")
BLOB = Blob("ddr", ("boot",), "the vendor's site")


def soon() -> Deadline:
    return Deadline(60.0, "test")


def tree(blob: Path) -> str:
    """A device tree as text."""
    return subprocess.run(
        ["dtc", "-q", "-I", "dtb", "-O", "dts", blob], check=True, capture_output=True, text=True
    ).stdout


# ---- what there is, and what is missing ------------------------------------------------------------------------------


def test_a_board_without_a_monitor_gets_no_firmware_in_the_flex_flavour() -> None:
    bare = dataclasses.replace(UBOOT, backend="none", monitor=None, payload=None)
    assert not {"monitor", "tf-a", "payload"} & set(parts_of(bare, "flex"))
    assert "tf-a" in parts_of(bare, "stock")
    assert {"monitor", "payload"} < set(parts_of(UBOOT, "flex"))


def test_missing_names_the_piece_its_source_and_how_to_give_it() -> None:
    board = dataclasses.replace(
        UBOOT, build=dataclasses.replace(UBOOT.build, blobs=(BLOB,), monitor_missing="no GICv3")
    )
    missing = layout.missing(board, {}, monitor=True)
    assert missing == {
        "boot": "ddr: the vendor's site (--source ddr=PATH)",
        "fip": "Flex-Monitor: no GICv3",
    }
    assert layout.missing(board, {"ddr": Path("/given")}, monitor=False) == {}


def test_the_boot_partition_has_what_u_boot_looks_for(tmp_path: Path) -> None:
    (tmp_path / "kernel").mkdir()
    (tmp_path / "kernel/Image").write_bytes(b"a kernel")
    single = dataclasses.replace(UBOOT, media=tuple(without_slots(medium) for medium in UBOOT.media))
    has = layout.Ingredients(single, {"kernel": tmp_path / "kernel"}, {}, soon())
    image = layout._boot_files(tmp_path, has)
    assert image.stat().st_size == UBOOT.medium("disk").region("boot-a").size
    shown = subprocess.run(
        ["debugfs", "-R", "cat /extlinux/extlinux.conf", image], check=True, capture_output=True, text=True
    ).stdout
    assert "kernel /Image" in shown
    assert f"append {UBOOT.boot.cmdline}" in shown


def without_slots(medium: boards.Medium) -> boards.Medium:
    regions = [dataclasses.replace(each, slot="") for each in medium.regions]
    return dataclasses.replace(medium, regions=tuple(regions))


def inside(image: Path, file: str) -> bytes:
    """A file in an ext4 image."""
    return subprocess.run(["debugfs", "-R", f"cat {file}", image], check=True, capture_output=True).stdout


def test_a_slot_has_its_kernel_and_the_script_that_says_which_slot_it_is(tmp_path: Path) -> None:
    (tmp_path / "kernel").mkdir()
    (tmp_path / "kernel/Image").write_bytes(b"a kernel")
    image = layout._boot_files(tmp_path, layout.Ingredients(UBOOT, {"kernel": tmp_path / "kernel"}, {}, soon()))
    assert inside(image, "/Image") == b"a kernel"
    script = inside(image, "/boot.scr")[72:].decode()
    assert f'setenv bootargs "{UBOOT.boot.cmdline} flexkit.slot=${{fk_slot}}"' in script


def test_a_script_is_an_image_as_u_boots_own_tool_makes_them(tmp_path: Path) -> None:
    """The format of mkimage: header with its own CRC, CRC of the data, sizes of its pieces, a zero."""
    made = uboot.script_image("echo here\n")
    fields = struct.unpack(">IIIIIIIBBBB32s", made[:64])
    assert fields[0] == 0x27051956
    assert fields[1] == zlib.crc32(made[:4] + bytes(4) + made[8:64])
    assert (fields[3], fields[6]) == (len(made) - 64, zlib.crc32(made[64:]))
    assert fields[7:11] == (5, 22, 6, 0)
    assert struct.unpack(">II", made[64:72]) == (10, 0)
    assert made[72:] == b"echo here\n"


# ---- tables ----------------------------------------------------------------------------------------------------------


def test_the_boot_partition_is_marked_bootable_alone() -> None:
    table = gpt.primary(UBOOT.medium("disk"))[1024:]
    flags = [struct.unpack_from("<Q", table, 128 * index + 48)[0] for index in range(6)]
    assert flags == [0, 0, 0, 0, 0, 4]


def test_an_mbr_is_read_by_others_as_it_was_meant(tmp_path: Path) -> None:
    disk = UBOOT.medium("disk")
    regions = [dataclasses.replace(each, partition="fat") if each.bootable else each for each in disk.regions]
    regions = [each for each in regions if not each.slot]  # an MBR holds four
    disk = dataclasses.replace(disk, table="mbr", regions=tuple(regions))
    image = tmp_path / "disk"
    image.write_bytes(gpt.mbr(disk))
    with image.open("r+b") as file:
        file.truncate(disk.size)
    text = subprocess.run(["/usr/sbin/sfdisk", "--dump", image], check=True, capture_output=True, text=True).stdout
    rows = [line.split(":", 1)[1].replace(" ", "") for line in text.splitlines() if "start=" in line]
    assert [row.split("type=")[1] for row in rows] == ["83", "83", "83", "c,bootable"]
    starts = [int(row.split(",")[0].removeprefix("start=")) for row in rows]
    assert starts == [region.offset // 512 for region in disk.partitions]


# ---- device trees ----------------------------------------------------------------------------------------------------

BASE = """\
#include "part.dtsi"
/ { compatible = "test,board"; #address-cells = <2>; #size-cells = <2>; value = <NUMBER>; };
"""


def test_the_overlay_tells_linux_what_is_not_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "kernel" / dtb.SOURCES / "vendor"
    folder.mkdir(parents=True)
    (folder / "part.dtsi").write_text("/dts-v1/;\n#define NUMBER 7\n")
    (folder / "board.dts").write_text(BASE)
    dtb.build(tmp_path, tmp_path / "kernel", folder / "board.dts", UBOOT, soon())
    text = tree(tmp_path / "board.dtb")
    assert "value = <0x07>" in text
    tables, shared = UBOOT.memory.region("tables"), UBOOT.memory.region("shared")
    assert f"flexkit-tables@{tables.base:x}" in text
    assert f"shared = <0x00 {shared.base:#x} 0x00 {shared.size:#x}>" in text
    assert text.count("no-map") == len(UBOOT.memory.regions)


@pytest.mark.parametrize(("address", "size"), [(2, 2), (2, 1), (1, 1)])
def test_reserved_memory_is_written_as_the_root_says_or_linux_passes_over_it(
    tmp_path: Path, address: int, size: int
) -> None:
    """A Raspberry Pi's tree has sizes of one word."""
    source = tmp_path / "board.dts"
    source.write_text(f"/dts-v1/;\n/ {{ #address-cells = <{address}>; #size-cells = <{size}>; }};\n")
    dtb.build(tmp_path, tmp_path, source, UBOOT, soon())
    text = tree(tmp_path / "board.dtb")
    reserved = text[text.index("reserved-memory {") :]
    shared = UBOOT.memory.region("shared")
    words = ["0x00"] * (address - 1) + [f"{shared.base:#x}"] + ["0x00"] * (size - 1) + [f"{shared.size:#x}"]
    assert f"#address-cells = <{address:#04x}>" in reserved
    assert f"#size-cells = <{size:#04x}>" in reserved
    assert f"reg = <{' '.join(words)}>" in reserved


def test_without_an_overlay_the_tree_is_upstreams(tmp_path: Path) -> None:
    source = tmp_path / "board.dts"
    source.write_text('/dts-v1/;\n/ { model = "plain"; };\n')
    dtb.build(tmp_path, tmp_path, source, None, soon())
    assert 'model = "plain"' in tree(tmp_path / "board.dtb")


# ---- firmware --------------------------------------------------------------------------------------------------------


def firmware(folder: Path) -> Path:
    """An ELF file with two segments, linked by the compiler that BL31 is made with."""
    (folder / "a.S").write_text('.text\n.global _start\n_start: b .\n.section .far,"aw"\n.quad 0x1122334455667788\n')
    (folder / "a.ld").write_text("SECTIONS { . = 0x40000; .text : { *(.text) } . = 0xff100000; .far : { *(.far) } }\n")
    words = [
        "aarch64-linux-gnu-gcc",
        "-nostdlib",
        "-static",
        "-Wl,-T,a.ld,--build-id=none,-z,max-page-size=4096",
        "a.S",
        "-o",
        "bl31.elf",
    ]
    subprocess.run(words, cwd=folder, check=True)
    return folder / "bl31.elf"


def test_segments_of_a_firmware_go_where_its_headers_say(tmp_path: Path) -> None:
    found = elf.segments(firmware(tmp_path))
    assert elf.entry(tmp_path / "bl31.elf") == 0x40000
    assert [address for address, _ in found] == [0x40000, 0xFF100000]
    assert found[1][1] == struct.pack("<Q", 0x1122334455667788)


def test_a_fit_describes_bl31_the_payload_and_u_boot(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("CONFIG_TEXT_BASE=0x00a00000\n")
    (tmp_path / "payload.bin").write_bytes(b"payload")
    what = uboot.Fit(firmware(tmp_path), tmp_path / "payload.bin", 0x8400000)
    text = uboot.fit_source(tmp_path, tmp_path, what)
    assert 'firmware = "atf-1"; loadables = "u-boot", "atf-2", "tee"; fdt = "fdt-1"' in text
    assert "load = <0x40000>; entry = <0x40000>;" in text
    assert "load = <0x8400000>" in text
    assert "load = <0xa00000>" in text
    assert (tmp_path / "atf-2.bin").read_bytes() == struct.pack("<Q", 0x1122334455667788)


@pytest.mark.parametrize("config", ["CONFIG_SYS_MMCSD_RAW_MODE_U_BOOT_SECTOR=0x300\n", "CONFIG_OTHER=y\n"])
def test_a_fit_is_not_made_for_a_place_where_spl_does_not_look(tmp_path: Path, config: str) -> None:
    (tmp_path / "config").write_text(config)
    parts = {"u-boot": tmp_path, "loader": tmp_path}
    has = layout.Ingredients(boards.load("rock-5b"), parts, {}, soon())
    with pytest.raises(BuildError, match="u-boot-itb at 0x800000, SPL looks at"):
        layout._fit(tmp_path, has)


def test_vendors_pieces_that_are_not_what_was_asked_for_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="rk3588_ddr"):
        uboot.idbloader(tmp_path, tmp_path, tmp_path / "none.bin", soon())
    with pytest.raises(BadInput, match="lpddr4_pmu_train_1d_imem"):
        uboot.imx_spl(tmp_path, tmp_path, tmp_path, soon())


def test_spl_of_an_imx_finds_the_training_code_where_it_looks_for_it(tmp_path: Path) -> None:
    """Behind itself, each piece in the room that U-Boot's drivers/ddr/imx/phy/helper.c counts on."""
    spl, training = b"SPL" * 33, tmp_path / "training"
    for folder in ("spl", "tools", "training"):
        (tmp_path / folder).mkdir()
    (tmp_path / "spl/u-boot-spl.bin").write_bytes(spl)
    (tmp_path / "config").write_text("CONFIG_SPL_TEXT_BASE=0x920000\n")
    (tmp_path / "tools/mkimage").write_text('#!/bin/sh\nwhile [ "$1" != -d ]; do shift; done; cp "$2" "$3"\n')
    (tmp_path / "tools/mkimage").chmod(0o755)
    for name in uboot.IMX_TRAINING:
        (training / name).write_bytes(name.encode())
    joined = uboot.imx_spl(tmp_path, tmp_path, training, soon()).read_bytes()
    behind = joined[len(spl) + -len(spl) % 4 :]
    assert [behind.find(name.encode()) for name in uboot.IMX_TRAINING] == [0, 0x8000, 0xC000, 0x14000]
    assert "LOADER u-boot-spl-ddr.bin 0x920000" in (tmp_path / "imx-spl.cfg").read_text()
    (training / next(iter(uboot.IMX_TRAINING))).write_bytes(bytes(0x8001))
    with pytest.raises(BadInput, match=r"1d_imem.* 32769 bytes"):
        uboot.imx_spl(tmp_path, tmp_path, training, soon())


# ---- FAT -------------------------------------------------------------------------------------------------------------


def test_a_fat_image_holds_the_files_and_is_the_same_every_time(tmp_path: Path) -> None:
    folder = tmp_path / "tree"
    (folder / "extlinux").mkdir(parents=True)
    (folder / "config.txt").write_text("arm_64bit=1\n")
    (folder / "extlinux/extlinux.conf").write_text("kernel /Image\n")
    for name in ("a", "b"):
        fat.build(folder, tmp_path / name, 64 << 20, soon(), tmp_path / "log")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    words = ["mtype", "-i", tmp_path / "a", "::extlinux/extlinux.conf"]
    assert subprocess.run(words, check=True, capture_output=True, text=True).stdout == "kernel /Image\n"


def test_a_raspberry_pi_gets_everything_in_one_partition(tmp_path: Path) -> None:
    names = {"kernel": "Image", "loader": "bl31.bin", "u-boot": "u-boot.bin", "dtb": "board.dtb", "given": "start4.elf"}
    names["payload"] = "payload.bin"
    for part, file in names.items():
        (tmp_path / part).mkdir()
        (tmp_path / part / file).write_text(file)
    (tmp_path / "given/fixup4.dat").write_text("fixup")
    parts = {part: tmp_path / part for part in names}
    board = boards.load("rpi4")
    has = layout.Ingredients(board, parts, {"raspi-firmware": tmp_path / "given"}, soon())
    (image,) = layout._rpi(tmp_path, has).values()

    def shown(name: str) -> str:
        words = ["mtype", "-i", str(image), f"::{name}"]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout

    config = shown("config.txt")
    assert f"initramfs payload.bin {board.memory.region('payload').base:#x}\n" in config
    assert "fdt" not in shown("extlinux/extlinux.conf")  # the tree that BL31 has filled in, not the one on the card
    named = [*(line.split("=")[1] for line in config.splitlines() if line.endswith((".bin", ".dtb"))), "payload.bin"]
    listed = subprocess.run(
        ["mdir", "-b", "-i", image, "::"], check=True, capture_output=True, text=True
    ).stdout.split()
    assert {f"::/{name}" for name in [*named, "Image", "start4.elf", "fixup4.dat"]} <= set(listed)
    assert layout._rpi(tmp_path, dataclasses.replace(has, blobs={})) == {}
