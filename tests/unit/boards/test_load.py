"""Board files: the project's own is right, and each way of being wrong is one error with file and line."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from flexkit import boards, paths
from flexkit.boards.checks import mailbox_bytes
from flexkit.errors import BadInput

QEMU_VIRT = (paths.project() / "boards/qemu-virt.toml").read_text()

TITLE = 'title = "QEMU virt, Armv8-A, stage 2 owned by EL3"\n'
SMMU = '[smmu]\nbase = 0x0905_0000\nkind = "smmuv3"\nstream_bits = 16 # PCIe requester ids\n'


def written(folder: Path, text: str, name: str = "qemu-virt") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path


def refused(folder: Path, old: str, new: str) -> str:
    """The message with which a changed qemu-virt is refused; also checks that file and line are in it."""
    assert old in QEMU_VIRT
    path = written(folder, QEMU_VIRT.replace(old, new, 1))
    with pytest.raises(BadInput) as failure:
        boards.load_file(path)
    message = failure.value.message
    assert message.startswith(f"{path}:")
    line = int(message.split(":")[1])
    assert 1 <= line <= QEMU_VIRT.count("\n") + 2
    return message


def test_the_projects_boards_load() -> None:
    for name in boards.known():
        assert boards.load(name).name == name


def test_qemu_virt_has_a_gate_before_every_dma_master() -> None:
    assert boards.load("qemu-virt").open_masters == ()


def test_an_ungated_master_makes_the_board_dma_open(tmp_path: Path) -> None:
    path = written(tmp_path, QEMU_VIRT.replace('gate = "smmu"', 'gate = "none"'))
    assert boards.load_file(path).open_masters == ("pcie",)


def test_unknown_key_is_refused_at_its_line_with_a_hint(tmp_path: Path) -> None:
    message = refused(tmp_path, "cma_bytes = ", "cma_byte = ")
    number = QEMU_VIRT.splitlines().index("cma_bytes = 0x1000_0000") + 1
    assert f":{number}: unknown key 'cma_byte' in memory; did you mean 'cma_bytes'?" in message


def test_wrong_type_is_refused(tmp_path: Path) -> None:
    assert "cpu.cores must be a whole number, not '2'" in refused(tmp_path, "cores = 2", 'cores = "2"')
    assert "must be a whole number, not True" in refused(tmp_path, "cores = 2", "cores = true")


def test_missing_key_is_refused(tmp_path: Path) -> None:
    assert "cpu lacks the key 'counter_hz'" in refused(tmp_path, "counter_hz = ", "# counter_hz = ")


def test_value_out_of_a_list_is_refused(tmp_path: Path) -> None:
    assert "it must be one of 'smmu', 'firewall', 'none'" in refused(tmp_path, 'gate = "smmu"', 'gate = "hope"')


def test_broken_toml_is_refused_with_its_line(tmp_path: Path) -> None:
    assert "is not valid TOML" in refused(tmp_path, "cores = 2", "cores = = 2")


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, QEMU_VIRT[: QEMU_VIRT.index("stages = [") + 20])
    with pytest.raises(BadInput, match="is not valid TOML"):
        boards.load_file(path)


def test_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "qemu-virt.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="is not UTF-8 text"):
        boards.load_file(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("schema = 1", "schema = 2", "this flexkit reads schema 1"),
        ('name = "qemu-virt"', 'name = "other"', "the file is called qemu-virt.toml"),
        ('support = "emulated"', 'support = "silicon"', "exactly when there is an [emulator] table"),
        ("base = 0xBF60_0000", "base = 0xBF90_0000", "overlaps"),
        ("base = 0xBF60_0000", "base = 0xBF50_0800", "whole 4K pages"),
        ("base = 0xBF60_0000", "base = 0x0F60_0000", "must lie in DRAM"),
        ("base = 0x0900_0000", "base = 0x0800_8000", "overlaps"),
        ("base = 0x0E90_0000\nsize = 0x0040_0000", "base = 0x0E90_0000\nsize = 0x0010_0000", "needs 0x201000"),
        ("slots = 262144", "slots = 1048576", "region 'slots' holds"),
        ("pin_quota = 65536", "pin_quota = 300000", "larger than the number of slots"),
        ("size = 0x0080_0000\nto", "size = 0\nto", "is empty"),
        ("offset = 0x0004_0000", "offset = 0x0002_0000", "'fip' overlaps 'bl1'"),
        ("size = 0x00FC_0000", "size = 0x00FB_0001", "whole sectors"),
        ("offset = 0x5FF0_0000", "offset = 0x6FF0_0000", "beyond 0x60000000"),
        ('size = 0x0010_0000\nimage = "disk-gpt-backup"', 'size = 512\nimage = "x"', "must end where the medium does"),
        ('name = "gpt-backup"', 'name = "copy"', "table 'gpt' needs a region 'gpt-backup'"),
        ('table = "gpt"', 'table = "none"', "'root' is a partition, but medium 'disk' has no table"),
        ("protected = true\n", "", "'versions' is destructive, so it must be protected too"),
        ("base = 0x03F8_0000", "base = 0x03F8_0800", "secure_flash is not made of whole 4K pages"),
        ("base = 0x03F8_0000", "base = 0x0900_0000", "'secure_flash' overlaps 'uart0'"),
        ("base = 0x03F8_0000", "base = 0x0E10_0000", "'secure_flash' overlaps 'payload'"),
        ('name = "versions"', 'name = "spare"', "secure_flash needs a medium's region 'versions'"),
        ("size = 0x0008_0000\nprotected", "size = 0x0004_0000\nprotected", "region 'versions' of its size"),
        ("chunk = 0x0004_0000", "chunk = 1000", "chunk is not made of whole sectors"),
        ('bus = "pflash"\n', "", "of kind 'file' with a bus"),
        ('kind = "file"', 'kind = "card"', "of kind 'file' with a bus"),
        ('backend = "stage2"', 'backend = "none"', "[monitor] must be there exactly when backend is not 'none'"),
        ('layout = "qemu"', 'layout = "qemu"\nmonitor_missing = "tired"', "exactly when backend is 'none'"),
        ('[gic]\nkind = "gicv3"\nredistributors = 0x080A_0000\n', "", "[gic] is missing"),
        ('kind = "gicv3"\n', 'kind = "gicv2"\n', "exactly when kind is 'gicv3'"),
        (SMMU, "", "no [smmu] that the monitor programs"),
        ("[smmu]", '[[memory.bank]]\nname = "high"\nbase = 0x8000_0000\nsize = 4096\n[smmu]', "'high' overlaps 'dram'"),
        ("[smmu]", '[[memory.bank]]\nname = "low"\nbase = 0x0900_0000\nsize = 16\n[smmu]', "'low' overlaps 'uart0'"),
        ('device = "ttyAMA0"', 'device = "ttyS2"', "cmdline must say console=ttyS2,115200n8"),
        (
            "[build]",
            '[[build.blob]]\nname = "b"\nimages = ["x"]\nsource = "s"\n[build]',
            "no region holds the image 'x'",
        ),
        ("[build]", '[[usb]]\nid = "2207:35"\nmode = "loader"\n[build]', "it must be like '2207:350b'"),
        ('name = "identity"', 'name = "root"', "the name 'root' is used twice"),
        ("cma=256M", "cma=128M", "cmdline must say cma=256M"),
        ('pattern = "BL1: v"', 'pattern = "BL1: ("', "is not a regular expression"),
        ("ipa_bits = 40", "ipa_bits = 52", "it must be 32 to 48"),
        ("boot = 90", "boot = -1", "must not be negative"),
    ],
)
def test_nonsense_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert message in refused(tmp_path, old, new)


def extended(folder: Path, shared: str, own: str) -> Path:
    """qemu-virt in two files: all of it below, but for its title; ``shared`` and ``own`` are added to each."""
    (folder / "below.toml").write_text(shared + QEMU_VIRT.replace("schema = 1\n", "").replace(TITLE, ""))
    return written(folder, f'schema = 1\nextends = "below.toml"\n{TITLE}{own}')


def test_what_boards_share_stands_in_a_file_of_its_own(tmp_path: Path) -> None:
    board = boards.load_file(extended(tmp_path, "", ""))
    plain = boards.load("qemu-virt")
    assert dataclasses.replace(board, extends="") == plain


def test_what_is_said_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"qemu-virt\.toml:4: soc is set in below\.toml already"):
        boards.load_file(extended(tmp_path, "", 'soc = "another"\n'))


def test_an_error_in_the_shared_file_names_that_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"below\.toml:1: unknown key 'sock'"):
        boards.load_file(extended(tmp_path, 'sock = "x"\n', ""))


def above(folder: Path, own: str) -> Path:
    """A board that extends the whole of qemu-virt."""
    (folder / "qemu-virt.toml").write_text(QEMU_VIRT)
    path = folder / "another.toml"
    path.write_text(f'schema = 1\nname = "another"\nextends = "qemu-virt.toml"\n{own}')
    return path


def test_a_board_extends_a_whole_one_and_says_some_of_it_anew(tmp_path: Path) -> None:
    own = 'replaces = ["title", "monitor.slots"]\ntitle = "Another"\n[monitor]\nslots = 131072\n'
    board, plain = boards.load_file(above(tmp_path, own)), boards.load("qemu-virt")
    assert board.monitor
    assert plain.monitor
    assert (board.name, board.title, board.monitor.slots) == ("another", "Another", 131072)
    assert (board.memory, board.monitor.mailboxes) == (plain.memory, plain.monitor.mailboxes)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ('replaces = ["monitor.slots"]\n', "replaces 'monitor.slots', of which another.toml says nothing"),
        ('replaces = ["motto"]\nmotto = "x"\n', "replaces 'motto', of which qemu-virt.toml says nothing"),
        ('replaces = ["title"]\ntitle = "x"\nsoc = "y"\n', "soc is set in qemu-virt.toml already"),
        ('title = "x"\n', "schema is set in qemu-virt.toml already"),
    ],
)
def test_what_replaces_does_not_name_is_not_said_anew(tmp_path: Path, own: str, message: str) -> None:
    with pytest.raises(BadInput) as failure:
        boards.load_file(above(tmp_path, own))
    assert message in failure.value.message


def test_unknown_board_is_refused_with_a_hint() -> None:
    with pytest.raises(BadInput) as failure:
        boards.load("qemu-vrt")
    assert "did you mean 'qemu-virt'?" in failure.value.message
    assert "qemu-virt" in failure.value.mend


def test_mailbox_size_comes_from_the_abi_header() -> None:
    text = (paths.project() / "firmware/abi/flexkit/mailbox.h").read_text()
    assert f"#define FLEX_MAILBOX_SIZE {mailbox_bytes()}" in text
