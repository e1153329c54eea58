"""udev's rules for boards in their loader modes, and who has to install them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flexkit import boards, doctor
from flexkit.boards.schema import Usb
from flexkit.deadline import Deadline
from flexkit.drivers import rules

PLAIN = replace(boards.load("qemu-virt"), usb=())
ROCK = replace(PLAIN, name="rock", usb=(Usb("2207:350b", "maskrom"), Usb("2207:0010", "mass-storage")))


@pytest.fixture
def udevadm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A double that notes how it is called."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "udevadm").write_text(f'#!/bin/sh\necho "$*" >> {tools}/calls\n')
    (tools / "udevadm").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    return tools / "calls"


def test_each_mode_has_its_rule() -> None:
    lines = rules.render([PLAIN, ROCK]).splitlines()
    assert lines[3:7] == [
        "# rock, mass-storage",
        'ATTR{idVendor}=="2207", ATTR{idProduct}=="0010", MODE="0660", GROUP="plugdev", TAG+="uaccess"',
        "# rock, maskrom",
        'ATTR{idVendor}=="2207", ATTR{idProduct}=="350b", MODE="0660", GROUP="plugdev", TAG+="uaccess"',
    ]
    assert rules.render([PLAIN]) == ""


def test_rules_are_installed_and_taken_up(tmp_path: Path, udevadm: Path) -> None:
    file = tmp_path / "70-flexkit.rules"
    assert not rules.current([ROCK], file)
    rules.install([ROCK], Deadline(10, "rules"), file)
    assert rules.current([ROCK], file)
    assert udevadm.read_text().splitlines() == ["control --reload", "trigger --subsystem-match=usb"]
    file.write_text("old")
    assert not rules.current([ROCK], file)
    assert rules.current([PLAIN], file), "nothing of these boards is on USB"


def test_doctor_asks_for_them_only_where_a_board_hangs_on_usb(
    tmp_path: Path, udevadm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = tmp_path / "lab.toml"
    monkeypatch.setenv("FLEXKIT_LAB", str(lab))
    monkeypatch.setattr(doctor, "_UDEV", tmp_path)
    monkeypatch.setattr(doctor, "_types", lambda: [ROCK])
    monkeypatch.setattr(rules, "FILE", tmp_path / "rules")
    monkeypatch.setattr(rules.current, "__defaults__", (tmp_path / "rules",))
    lab.write_text('[board.a]\ntype = "qemu-virt"\n')
    assert doctor._rights().well
    lab.write_text('[board.a]\ntype = "qemu-virt"\nusb = "1-2"\n')
    assert doctor._rights().mend == "flexkit doctor --fix"
    rules.install([ROCK], Deadline(10, "rules"), tmp_path / "rules")
    assert doctor._rights().well
    monkeypatch.setattr(doctor, "_UDEV", tmp_path / "none")
    (tmp_path / "rules").unlink()
    assert doctor._rights().well, "no udev, nothing to rule"
    lab.write_text("[board.a\n")
    assert doctor._rights().mend == "mend the lab file"
