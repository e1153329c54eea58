"""QEMU's command line and what is left of runs."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from fake_site import Site

from flexkit import boards
from flexkit.drivers import qemu
from flexkit.drivers.qemu import Running, command, free_port, runtime_folder


def line_of(tmp_path: Path) -> list[str]:
    media = {"pflash": tmp_path / "p.qcow2", "disk": tmp_path / "d.qcow2"}
    return command(boards.load("qemu-virt"), media, tmp_path, 2222, ("-device", "edu"))


def test_the_command_line_says_what_the_board_file_says(tmp_path: Path) -> None:
    words = line_of(tmp_path)
    board = boards.load("qemu-virt")
    assert board.emulator is not None
    assert words[words.index("-machine") + 1] == board.emulator.machine
    assert words[words.index("-cpu") + 1] == board.cpu.model
    assert words[words.index("-smp") + 1] == "2"
    assert words[words.index("-m") + 1] == "2048M"
    assert any("throttling.bps-read=200000000" in word for word in words)
    assert words[-2:] == ["-device", "edu"]


def test_every_dma_master_that_can_be_is_behind_the_smmu(tmp_path: Path) -> None:
    words = line_of(tmp_path)
    devices = [words[index + 1] for index, word in enumerate(words) if word == "-device" and words[index + 1] != "edu"]
    assert len(devices) == 2
    assert all("iommu_platform=on" in device and "-pci" in device for device in devices)
    assert "its=off" in words[words.index("-machine") + 1]
    assert "-nodefaults" in words


def test_the_guest_reaches_nobody_outside(tmp_path: Path) -> None:
    (netdev,) = [word for word in line_of(tmp_path) if word.startswith("user,")]
    assert "restrict=on" in netdev
    assert "hostfwd=tcp:127.0.0.1:2222-:22" in netdev


def test_free_ports_are_free() -> None:
    assert 1024 < free_port() < 65536


def test_a_long_run_time_folder_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 120)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    assert len(str(runtime_folder("qemu-virt") / "console")) < 108


def test_each_ledger_has_boards_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FLEXKIT_STATE", str(tmp_path / "a"))
    first = runtime_folder("qemu-virt")
    monkeypatch.setenv("FLEXKIT_STATE", str(tmp_path / "b"))
    assert runtime_folder("qemu-virt") != first


def test_a_process_number_used_again_is_not_believed(site: Site) -> None:
    own = Running(os.getpid(), 1, "flex", "b", 1, "q", "c", ())
    folder = runtime_folder("qemu-virt")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "state.json").write_text(json.dumps(asdict(own)))
    assert qemu.running("qemu-virt") is None
    stat = Path(f"/proc/{os.getpid()}/stat").read_text().rsplit(")", 1)[1].split()
    (folder / "state.json").write_text(json.dumps(asdict(replace(own, started=int(stat[19])))))
    assert qemu.running("qemu-virt") is not None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}'])
def test_a_broken_state_file_is_no_board(site: Site, text: str) -> None:
    folder = runtime_folder("qemu-virt")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "state.json").write_text(text)
    assert qemu.running("qemu-virt") is None
