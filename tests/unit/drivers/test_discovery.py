"""What is connected, from device trees in umockdev's format through the real libudev, to a board in the lab file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flexkit import boards, paths
from flexkit.boards.enroll import enroll
from flexkit.errors import BadInput

TREES = Path(__file__).parent / "trees"
FAKE = Path(__file__).resolve().parents[2] / "fakes/mock_udev.py"
FTDI = "/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0"
CH340 = "/dev/serial/by-path/pci-0000:00:14.0-usb-0:1.3:1.0-port0"
CP2102 = "/dev/serial/by-path/pci-0000:00:14.0-usb-0:4:1.0-port0"
READER = "/dev/disk/by-id/usb-Generic-_Multi-Card_20120926571200000-0:0"
HANDS = "pull the USB-C plug, hold MASKROM, plug it in again"
USB = f"""
[[usb]]
id = "2207:350b"
mode = "maskrom"

[[usb]]
id = "2207:0010"
mode = "mass-storage"
hands = "{HANDS}"
"""


@dataclass
class Host:
    """A host with devices; two board types show on USB alike in mask ROM mode, one alone in the degraded one."""

    folder: Path
    tree: str

    def run(self, *words: str, plug: str = "") -> subprocess.CompletedProcess[str]:
        (self.folder / "tree").write_text(self.tree)
        more = []
        if plug:
            (self.folder / "plug").write_text(plug)
            more = ["--plug", str(self.folder / "plug")]
        command = ["umockdev-wrapper", sys.executable, str(FAKE), str(self.folder / "tree"), str(self.folder), *more]
        environment = os.environ | {"PYTHONPATH": str(Path(paths.__file__).resolve().parents[1])}
        environment |= {"XDG_CONFIG_HOME": str(self.folder / "config"), "FLEXKIT_STATE": str(self.folder / "state")}
        words = ("boards", "discover", *words)
        return subprocess.run(
            [*command, "--", *words],
            capture_output=True,
            text=True,
            env=environment,
            timeout=60,
            check=False,
            cwd=self.folder,
        )

    def json(self, *words: str, plug: str = "") -> Any:
        done = self.run(*words, "--json", plug=plug)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])


def tree(name: str, **words: str) -> str:
    text = (TREES / f"{name}.umockdev").read_text()
    for word, value in words.items():
        text = text.replace(f"<{word}>", value)
    return text


def rockchip(product: str, interfaces: str = ":ffff00:", vendor: str = "2207") -> str:
    return tree("rockchip", INTERFACES=interfaces, PRODUCT=product, VENDOR=vendor)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    real = paths.project()
    (tmp_path / "firmware").symlink_to(real / "firmware")
    (tmp_path / "boards").mkdir()
    text = (real / "boards/qemu-virt.toml").read_text()
    for name, usb in (("rock-a", USB), ("rock-b", USB.split("[[usb]]")[1].join(("[[usb]]", "")))):
        (tmp_path / f"boards/{name}.toml").write_text(text.replace('"qemu-virt"', f'"{name}"') + usb)
    return Host(tmp_path, tree("bench"))


def test_ports_go_by_what_stays(host: Host) -> None:
    found = host.json()
    assert [(port["device"], port["usb"], port["identity"]) for port in found["ports"]] == [
        (FTDI, "1-1.2", "usb-A50285BI"),
        (CH340, "1-1.3", "port-1-1.3"),
        (CP2102, "1-4", "port-1-4"),
    ], "a number of its own; none; one that all of its kind have"
    assert found["boards"] == []
    assert [(reader["device"], reader["size"]) for reader in found["readers"]] == [(READER, 62333952 * 512)]


@pytest.mark.parametrize(
    ("product", "interfaces", "mode", "types"),
    [
        ("350b", ":ffff00:", "maskrom", ["rock-a", "rock-b"]),
        ("0010", ":080650:", "mass-storage", ["rock-a"]),
        ("4ee0", ":ff4203:", "fastboot", []),
        ("df11", ":fe0102:", "dfu", []),
    ],
)
def test_boards_show_their_mode(host: Host, product: str, interfaces: str, mode: str, types: list[str]) -> None:
    host.tree += "\n" + rockchip(product, interfaces)
    (board,) = host.json()["boards"]
    assert (board["usb"], board["mode"], board["types"], board["identity"]) == ("1-2", mode, types, "port-1-2")


def test_the_degraded_mode_says_what_hands_do(host: Host) -> None:
    host.tree = rockchip("0010", ":080650:")
    assert host.run().stdout.splitlines() == [
        "board   1-2  rock-a in mode mass-storage (2207:0010)",
        f"        {HANDS}",
    ]


def test_a_host_with_nothing_says_so(host: Host) -> None:
    host.tree = tree("bench").split("\n\n")[0]
    done = host.run()
    assert (done.returncode, done.stdout) == (0, "")
    assert "nothing that could be a board's is connected" in done.stderr
    done = host.run("--add", "x")
    assert done.returncode == 2
    assert "no board that the lab file does not have is connected" in done.stderr


def test_a_board_is_added_and_can_be_resolved(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.tree += "\n" + rockchip("0010")
    lab = host.folder / "lab.toml"
    lab.write_text("# ours\n[board.old]\ntype = 'rock-a'\n")
    words = ("--add", "bench-7", "--serial", "/dev/ttyUSB1", "--sd", "/dev/sdb", "--ssh", "10.0.0.7", "--lab", str(lab))
    done = host.run(*words)
    assert done.returncode == 0, done.stderr
    assert "next: flexkit flash -b bench-7" in done.stderr
    assert lab.read_text().startswith("# ours\n[board.old]\ntype = 'rock-a'\n\n[board.bench-7]\n")
    monkeypatch.setattr(paths, "project", lambda: host.folder)
    instance = boards.resolve("bench-7", lab)
    settings = instance.settings
    assert (settings.type, settings.serial, settings.usb) == ("rock-a", CH340, "1-2")
    assert (settings.sd, settings.ssh, instance.identity) == (READER, "10.0.0.7", "port-1-2")
    assert f"serial  {CH340}  1a86 USB Serial on USB port 1-1.3: bench-7" in host.run("--lab", str(lab)).stdout
    again = host.run(*words)
    assert again.returncode == 2
    assert "more than one" not in again.stderr


def test_what_is_not_told_is_asked_for(host: Host) -> None:
    host.tree += "\n" + rockchip("350b")
    for words, said in (
        (("--add", "x"), "more than one serial port: /dev/serial/by-id/usb-FTDI"),
        (("--add", "x", "--serial", "1-1.2"), "it can be rock-a, rock-b: USB does not tell which"),
        (("--add", "x", "--serial", "/dev/ttyUSB9"), "no serial port '/dev/ttyUSB9' is here"),
        (("--add", "x", "--serial", "1-1.2", "--type", "rock-c"), "no board is called 'rock-c'"),
        (("--add", "no name", "--serial", "1-1.2", "--type", "rock-a"), "cannot be a board's name"),
    ):
        done = host.run(*words)
        assert done.returncode == 2, done.stderr
        assert said in done.stderr
    assert not (host.folder / "config/flexkit/lab.toml").exists()
    assert host.run("--add", "x", "--serial", "1-1.2", "--type", "rock-b").returncode == 0
    assert (host.folder / "config/flexkit/lab.toml").read_text() == (
        f'[board.x]\ntype = "rock-b"\nserial = "{FTDI}"\nusb = "1-2"\nidentity = "port-1-2"\n'
    )


def test_what_is_plugged_in_is_taken_alone(host: Host) -> None:
    found = host.json("--wait", "--add", "new", plug=rockchip("0010"))
    assert found["ports"] == []
    assert found["added"] == {"type": "rock-a", "usb": "1-2", "identity": "port-1-2"}


def test_the_lab_file_that_was_named_is_made(host: Host) -> None:
    assert host.run("--add", "x", "--serial", "1-4", "--type", "rock-a", "--lab", "new/lab.toml").returncode == 0
    assert (host.folder / "new/lab.toml").read_text().startswith("[board.x]\n")


def test_nothing_plugged_in_is_said(host: Host) -> None:
    done = host.run("--wait", "--timeout", "1")
    assert done.returncode == 2
    assert "nothing was plugged in within 1 s" in done.stderr


def test_a_lab_file_is_never_left_broken(tmp_path: Path) -> None:
    lab = tmp_path / "lab.toml"
    lab.write_text('[board.a]\ntype = "qemu-virt"')
    assert enroll("b", {"type": "qemu-virt", "serial": 'a "quoted" \\ port'}, lab) == lab
    assert boards.load_lab(lab).boards["b"].serial == 'a "quoted" \\ port'
    before = lab.read_text()
    with pytest.raises(BadInput, match="unknown type"):
        enroll("c", {"type": "no-such-type"}, lab)
    with pytest.raises(BadInput, match="has a board 'b' already"):
        enroll("b", {"type": "qemu-virt"}, lab)
    assert lab.read_text() == before
    assert list(tmp_path.iterdir()) == [lab]
