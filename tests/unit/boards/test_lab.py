"""Lab files: where they are looked for, what they may say, and which board a command gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from flexkit import boards
from flexkit.boards import wiring
from flexkit.errors import BadInput


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No lab of the machine that runs the tests."""
    monkeypatch.delenv("FLEXKIT_LAB", raising=False)
    monkeypatch.delenv("FLEXKIT_BOARD", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


def lab(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_without_a_lab_the_default_is_the_emulated_board() -> None:
    instance = boards.resolve()
    assert (instance.name, instance.type.name) == ("qemu-virt", "qemu-virt")


def test_an_instance_has_its_own_settings(tmp_path: Path) -> None:
    lab(tmp_path / "lab.toml", '[board.left]\ntype = "qemu-virt"\nserial = "/dev/ttyUSB0"\nbaud = 1500000\n')
    instance = boards.resolve("left")
    assert instance.type.name == "qemu-virt"
    assert (instance.settings.serial, instance.settings.baud) == ("/dev/ttyUSB0", 1500000)


def test_wiring_is_told_apart_by_its_driver(tmp_path: Path) -> None:
    text = """
[board.rk]
type = "TYPE"
identity = "usb-1-1.4"
[board.rk.power]
driver = "uhubctl"
hub = "1-1"
port = 2
[board.rk.reset]
driver = "gpio"
gpio = 17
"""
    lab(tmp_path / "lab.toml", text.replace("TYPE", "qemu-virt"))
    instance = boards.resolve("rk")
    assert instance.settings.power == wiring.UhubctlPower("uhubctl", "1-1", 2)
    assert instance.settings.reset == wiring.GpioReset("gpio", 17)
    assert instance.identity == "usb-1-1.4"
    assert instance.wired
    assert not boards.resolve("qemu-virt").wired


def test_the_default_goes_by_option_environment_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lab.toml"
    lab(path, 'default = "left"\n[board.left]\ntype = "qemu-virt"\n[board.right]\ntype = "qemu-virt"\n')
    assert boards.resolve().name == "left"
    monkeypatch.setenv("FLEXKIT_BOARD", "right")
    assert boards.resolve().name == "right"
    assert boards.resolve("left").name == "left"


def test_lab_files_are_looked_for_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = lab(tmp_path / "config/flexkit/lab.toml", "")
    assert boards.lab_file() == home
    lab(tmp_path / "lab.toml", "")
    assert boards.lab_file() == Path("lab.toml")
    monkeypatch.setenv("FLEXKIT_LAB", str(tmp_path / "other.toml"))
    assert boards.lab_file() == tmp_path / "other.toml"
    assert boards.lab_file(tmp_path / "named.toml") == tmp_path / "named.toml"


def test_a_named_lab_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        boards.load_lab(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[board.left]\ntype = "qemu-vrt"\n', r"lab\.toml:2: board 'left' has the unknown type 'qemu-vrt'"),
        ('[board.left]\ntype = "qemu-virt"\nserail = "x"\n', r"lab\.toml:3: unknown key 'serail'.*'serial'"),
        ('default = "nobody"\n', r"lab\.toml:1: default is 'nobody'"),
        ("boards = 1\n", r"lab\.toml:1: unknown key 'boards'"),
        (
            '[board.a]\ntype = "qemu-virt"\npower = "uhubctl"\n',
            r"lab\.toml:3: board\.a\.power must be a table with a driver",
        ),
        (
            '[board.a]\ntype = "qemu-virt"\n[board.a.power]\ndriver = "pdu"\n',
            r"lab\.toml:4: .*unknown driver 'pdu'; known: c",
        ),
        ('[board.a]\ntype = "qemu-virt"\n[board.a.power]\non = "true"\n', r"lab\.toml:3: .*lacks the key 'driver'"),
        (
            '[board.a]\ntype = "qemu-virt"\n[board.a.power]\ndriver = "uhubctl"\nhub = "1-1"\nprot = 2\n',
            r"lab\.toml:6: unknown key 'prot' in board\.a\.power; did you mean 'port'",
        ),
        ("board = 1\n", r"lab\.toml:1: board must be a table"),
    ],
)
def test_a_wrong_lab_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        boards.load_lab(lab(tmp_path / "lab.toml", text))


def test_an_unknown_instance_is_refused() -> None:
    with pytest.raises(BadInput, match="no board is called 'nobody'"):
        boards.resolve("nobody")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('[board."a/../b"]\ntype = "rock-5b"\n', ":1: 'a/../b' cannot be a board's name"),
        ('[board.".."]\ntype = "rock-5b"\n', ":1: '..' cannot be a board's name"),
        ('[board.a]\ntype = "rock-5b"\nidentity = "x/y"\n', ":3: 'x/y' cannot be a board's identity"),
        (
            '[board.qemu-virt]\ntype = "rock-5b"\n',
            ":1: board 'qemu-virt' is of type 'rock-5b', and called",
        ),
    ],
)
def test_names_that_would_lead_astray_are_refused(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(BadInput) as caught:
        boards.load_lab(lab(tmp_path / "lab.toml", text))
    assert what in caught.value.message
