"""Several boards of one type at once, each with a lock, media, console, port and ledger of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_agent import AGENT_ID
from fake_site import BUILD, Site, emulators

from flexkit import boards
from flexkit.boards import Instance
from flexkit.deadline import Deadline
from flexkit.deployed import Ledger, make_plan
from flexkit.drivers import open_board, qemu
from flexkit.drivers.access import power_off, power_on
from flexkit.errors import Busy
from flexkit.events import Bus
from flexkit.flash import deploy

NAMES = ("left", "right", "spare")


def soon() -> Deadline:
    return Deadline(300, "boards")


@pytest.fixture
def bench(site: Site, tmp_path: Path) -> list[Instance]:
    """Three emulated boards of one type, flashed."""
    lab = tmp_path / "lab.toml"
    lab.write_text("".join(f'[board.{name}]\ntype = "qemu-virt"\n' for name in NAMES))
    found = [boards.resolve(name, lab) for name in NAMES]
    for instance in found:
        plan = make_plan(instance.type, BUILD, "flex", site.images(BUILD), {})
        deploy(instance, plan, {"agent": AGENT_ID}, "release", Bus(), soon())
    return found


def test_they_are_used_at_once(bench: list[Instance]) -> None:
    left, right, _ = bench
    with open_board(left, soon(), Bus()) as one, open_board(right, soon(), Bus()) as other:
        assert len(emulators()) == 2
        assert one.emulator.ssh_port != other.emulator.ssh_port
        assert one.emulator.folder != other.emulator.folder
        assert one.client.check("echo left", soon()) == "left\n"
        assert other.client.check("echo right", soon()) == "right\n"
        assert one.console.log != other.console.log
        with pytest.raises(Busy, match="left is in use"), open_board(left, soon(), Bus()):
            pytest.fail("one user each")
    assert emulators() == set()


def test_each_keeps_its_own_state(bench: list[Instance]) -> None:
    left, right, spare = bench
    power_on(left, soon(), Bus())
    try:
        power_on(right, soon(), Bus())
        states = [qemu.running(instance.name) for instance in bench]
        assert states[0] is not None
        assert states[1] is not None
        assert states[2] is None
        assert states[0].console != states[1].console
        assert not power_off(spare, soon(), Bus())
        assert power_off(right, soon(), Bus())
        assert states[0].alive(), "the other one goes on"
    finally:
        power_off(right, soon(), Bus())
        power_off(left, soon(), Bus())
    booted = [sum(entry.action == "boot" for entry in Ledger(each.identity).entries()) for each in bench]
    assert booted == [1, 1, 0]
    assert len({qemu.media_folder(instance.name, "flex") for instance in bench}) == 3
