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
from flexkit.boards import wiring
from flexkit.boards.enroll import enroll
from flexkit.drivers.discovery import switch_of
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
version = "2.00"

[[usb]]
id = "2207:350b"
mode = "loader"
version = "2.01"

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


def rockchip(product: str, interfaces: str = ":ffff00:", version: str = "2.00") -> str:
    return tree("rockchip", INTERFACES=interfaces, PRODUCT=product, VENDOR="2207", VERSION=version)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    real = paths.project()
    (tmp_path / "firmware").symlink_to(real / "firmware")
    (tmp_path / "boards").mkdir()
    text = (real / "boards/qemu-virt.toml").read_text()
    for name, usb in (("rock-a", USB), ("rock-b", USB.rpartition("[[usb]]")[0])):
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
    ("product", "interfaces", "version", "mode", "types"),
    [
        ("350b", ":ffff00:", "2.00", "maskrom", ["rock-a", "rock-b"]),
        ("350b", ":ff0605:", "2.01", "loader", ["rock-a", "rock-b"]),
        ("0010", ":080650:", "2.00", "mass-storage", ["rock-a"]),
        ("4ee0", ":ff4203:", "2.00", "fastboot", []),
        ("df11", ":fe0102:", "2.00", "dfu", []),
    ],
)
def test_boards_show_their_mode(
    host: Host, product: str, interfaces: str, version: str, mode: str, types: list[str]
) -> None:
    host.tree += "\n" + rockchip(product, interfaces, version)
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


def test_a_board_that_comes_back_in_another_mode_is_seen(host: Host) -> None:
    """Hot-plug: the loader answers where the mask ROM was."""
    found = host.json("--wait", "--add", "new", "--type", "rock-b", plug=rockchip("350b", ":ff0605:", "2.01"))
    assert [board["mode"] for board in found["boards"]] == ["loader"]
    assert found["added"] == {"type": "rock-b", "usb": "1-2", "identity": "port-1-2"}


HUB = """Current status for hub 1-1 [05e3:0608 USB2.0 Hub, USB 2.00, 4 ports, ppps]
  Port 2: 0507 power highspeed suspend enable connect [0403:6001 FTDI]"""


def test_power_is_written_into_the_lab_file_too(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = host.folder / "bin"
    tools.mkdir()
    (tools / "uhubctl").write_text(f"#!/bin/sh\ncase $2-$4 in 1-1-2) cat <<'E'\n{HUB}\nE\n;; *) exit 1;; esac\n")
    (tools / "uhubctl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=os.pathsep)
    words = ("--type", "rock-a", "--lab", "lab.toml", "--json")
    done = host.run("--add", "a", "--serial", "1-1.2", "--power", "uhubctl", *words)
    assert done.returncode == 0, done.stderr
    refused = host.run("--add", "x", "--serial", "1-4", "--power", "uhubctl", *words)
    assert (refused.returncode, "hub 1 does not switch its port 4" in refused.stderr) == (2, True)
    refused = host.run("--add", "x", "--serial", "1-4", "--power", "pdu on", *words)
    assert (refused.returncode, "says neither uhubctl nor where on and off go" in refused.stderr) == (2, True)
    how = ("--power", "pdu 'outlet 7' {}", "--power-state", "pdu is-on 7")
    assert host.run("--add", "b", "--serial", "1-4", *how, *words).returncode == 0
    monkeypatch.setattr(paths, "project", lambda: host.folder)
    lab = boards.load_lab(host.folder / "lab.toml").boards
    assert lab["a"].power == wiring.UhubctlPower("uhubctl", "1-1", 2)
    assert lab["b"].power == wiring.CommandPower("command", "pdu 'outlet 7' on", "pdu 'outlet 7' off", "pdu is-on 7")


def test_a_console_that_hangs_on_no_usb_port_is_taken_as_it_is_named(host: Host) -> None:
    """Of a console server, or of the host itself."""
    host.tree = tree("bench").split("\n\n")[0]
    words = ("--type", "rock-a", "--lab", "lab.toml")
    assert host.run("--add", "a", "--serial", "socket://10.0.0.9:4001", *words).returncode == 0
    assert host.run("--add", "b", "--serial", "/dev/tty", *words).returncode == 0
    assert host.run("--add", "c", "--serial", str(host.folder / "tree"), *words).returncode == 2
    assert (host.folder / "lab.toml").read_text() == (
        '[board.a]\ntype = "rock-a"\nserial = "socket://10.0.0.9:4001"\n\n'
        '[board.b]\ntype = "rock-a"\nserial = "/dev/tty"\n'
    )


@pytest.mark.parametrize(("usb", "hub", "port"), [("1-4", "1", 4), ("1-1.4", "1-1", 4), ("2-3.1.2", "2-3.1", 2)])
def test_hubs_go_by_the_names_that_uhubctl_has_for_them(usb: str, hub: str, port: int) -> None:
    assert switch_of(usb) == (hub, port)


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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--add", "a b"), "'a b' cannot be a board's name"),
        (("--add", "a", "--type", "no-such-type"), "no board is called 'no-such-type'"),
        (("--add", "a", "--power", "pdu 7"), "says neither uhubctl nor where on and off go"),
    ],
)
def test_wrong_words_are_told_before_anybody_plugs_anything(host: Host, words: tuple[str, ...], said: str) -> None:
    done = host.run(*words, "--wait", "--timeout", "50")
    assert done.returncode == 2
    assert said in done.stderr
    assert "plug it in" not in done.stderr
