"""The parts' own logic: patches, kernel options, partition tables, the root file system's image."""

from __future__ import annotations

import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import pytest

from flexkit import boards
from flexkit.build import elf, gpt, rootfs, tools
from flexkit.build.kernel import cmdline_fragment, lost_options
from flexkit.deadline import Deadline
from flexkit.digest import sha256_of
from flexkit.errors import BuildError

DISK = boards.load("qemu-virt").medium("disk")


def soon() -> Deadline:
    return Deadline(60.0, "test")


# ---- patches -------------------------------------------------------------------------------------------------------

GOOD = "--- a/file\n+++ b/file\n@@ -1,3 +1,3 @@\n one\n-two\n+TWO\n three\n"
BAD = "--- a/file\n+++ b/file\n@@ -1,3 +1,3 @@\n one\n-zwei\n+TWO\n three\n"


def series(folder: Path, **patches: str) -> list[Path]:
    for name, text in patches.items():
        (folder / f"{name}.patch").write_text(text)
    return list(folder.glob("*.patch"))


def test_patches_apply_in_order_of_name(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "file").write_text("one\ntwo\nthree\n")
    second = GOOD.replace("-two", "-TWO").replace("+TWO", "+Two")
    tools.patch(tree, series(tmp_path, b=second, a=GOOD), soon())
    assert (tree / "file").read_text() == "one\nTwo\nthree\n"


def test_a_patch_that_does_not_apply_is_named(tmp_path: Path) -> None:
    tree = tmp_path / "linux"
    tree.mkdir()
    (tree / "file").write_text("one\ntwo\nthree\n")
    with pytest.raises(BuildError, match=r"the patch 0002-bad\.patch does not apply to linux") as failure:
        tools.patch(tree, series(tmp_path, **{"0001-good": GOOD, "0002-bad": BAD}), soon())
    assert "0002-bad.patch" in failure.value.mend


def test_what_is_built_sees_no_flags_of_the_make_that_runs_us(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAKEFLAGS", "-j1")
    monkeypatch.setenv("CFLAGS", "-O0")
    assert {"MAKEFLAGS", "CFLAGS"}.isdisjoint(tools.environment())


# ---- kernel options ------------------------------------------------------------------------------------------------


def test_options_that_a_kernel_dropped_are_found() -> None:
    config = "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=64\n"
    fragments = ["CONFIG_A=y\nCONFIG_B=y\nCONFIG_GONE=y\n# CONFIG_D is not set\n", "CONFIG_C=128\n"]
    assert lost_options(config, fragments) == ["CONFIG_B=y", "CONFIG_C=128", "CONFIG_GONE=y"]


def test_the_command_line_is_quoted_for_kconfig() -> None:
    assert cmdline_fragment('a="b c"').splitlines()[0] == 'CONFIG_CMDLINE="a=\\"b c\\""'


# ---- partition tables ----------------------------------------------------------------------------------------------


def header_of(data: bytes, at: int) -> tuple[int, ...]:
    """Own LBA, other LBA, table LBA of a header whose checksums are right."""
    header = data[at : at + 92]
    assert header[:8] == b"EFI PART"
    crc = struct.unpack_from("<I", header, 16)[0]
    assert zlib.crc32(header[:16] + b"\0\0\0\0" + header[20:]) == crc
    own, other = struct.unpack_from("<QQ", header, 24)
    return own, other, struct.unpack_from("<Q", header, 72)[0]


def test_primary_and_backup_tables_point_at_each_other() -> None:
    first, last = gpt.primary(DISK), gpt.backup(DISK, 1 << 20)
    sectors = DISK.size // 512
    assert header_of(first, 512) == (1, sectors - 1, 2)
    own, other, table = header_of(last, len(last) - 512)
    assert (own, other) == (sectors - 1, 1)
    assert last[len(last) - 512 * (sectors - table) :][:16384] == first[1024 : 1024 + 16384]


def test_partitions_lie_where_the_board_file_says(tmp_path: Path) -> None:
    image = tmp_path / "disk"
    with image.open("wb") as file:
        file.write(gpt.primary(DISK))
        file.truncate(DISK.size)
        backup = gpt.backup(DISK, DISK.region("gpt-backup").size)
        file.seek(DISK.size - len(backup))
        file.write(backup)
    tool = shutil.which("sfdisk", path="/usr/sbin:/sbin:/usr/bin")
    assert tool, "sfdisk (package fdisk) reads what we wrote"
    text = subprocess.run([tool, "--dump", image], check=True, capture_output=True, text=True).stdout
    rows = [line.split(":", 1)[1] for line in text.splitlines() if "start=" in line]
    found = [[int(word.split("=")[1]) for word in row.split(",")[:2]] for row in rows]
    assert found == [[each.offset // 512, each.size // 512] for each in DISK.partitions]
    assert DISK.partitions[0].image == "rootfs"


def test_the_first_partition_is_the_root_of_the_command_line() -> None:
    assert "root=/dev/vda1" in boards.load("qemu-virt").boot.cmdline


# ---- root file system ----------------------------------------------------------------------------------------------


def small_tree(folder: Path, names: list[str]) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{name}\n" if name.startswith("bin") else name)
    (folder / "link").symlink_to("bin/one")
    return folder


def write(tree: Path, image: Path) -> str:
    rootfs.write_image(tree, image, 8 << 20, soon(), image.with_suffix(".log"))
    return sha256_of(image)


def test_the_same_tree_gives_the_same_bytes(tmp_path: Path) -> None:
    names = ["bin/one", "etc/two", "etc/three"]
    first = write(small_tree(tmp_path / "a", names), tmp_path / "a.ext4")
    second = write(small_tree(tmp_path / "b", names[::-1]), tmp_path / "b.ext4")
    assert first == second


def test_what_is_in_the_image_is_roots_and_what_was_in_the_tree(tmp_path: Path) -> None:
    image = tmp_path / "a.ext4"
    write(small_tree(tmp_path / "a", ["bin/one", "etc/two"]), image)

    def ask(request: str) -> str:
        words = ["debugfs", "-R", request, image]
        env = {"PATH": "/usr/sbin:/sbin:/usr/bin"}
        return subprocess.run(words, check=True, capture_output=True, text=True, env=env).stdout

    assert ask("cat /etc/two") == "etc/two"
    assert "Mode:  0755" in ask("stat /bin/one")
    assert "Mode:  0644" in ask("stat /etc/two")
    assert "User:     0   Group:     0" in ask("stat /etc/two")
    assert 'Fast link dest: "bin/one"' in ask("stat /link")


def test_a_tree_larger_than_the_image_is_an_error(tmp_path: Path) -> None:
    tree = small_tree(tmp_path / "a", ["etc/two"])
    (tree / "large").write_bytes(bytes(range(256)) * (9 << 12))
    with pytest.raises(BuildError, match=r"debugfs|e2fsck"):
        write(tree, tmp_path / "a.ext4")


def test_a_programs_libraries_are_found() -> None:
    names = elf.needed(Path("/bin/sh").resolve())
    assert "libc.so.6" in names
    assert any(name.startswith("ld-linux") for name in names)
    assert elf.needed(rootfs.OVERLAY / "etc/inittab") == []


def test_scripts_of_the_board_are_sound() -> None:
    for path in sorted(rootfs.OVERLAY.rglob("*")):
        if path.is_file() and path.read_bytes().startswith(b"#!"):
            assert path.read_text().startswith("#!/bin/busybox sh\n"), path
            subprocess.run(["sh", "-n", path], check=True)
