"""F17: after flashing, the tool's reset left the board off; 0 bytes of console were taken for a brick."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from fake_site import BUILD, Site

from flexkit import boards
from flexkit.boards import Instance
from flexkit.cli.main import run
from flexkit.deadline import Deadline
from flexkit.deployed import make_plan
from flexkit.drivers import open_board
from flexkit.drivers.bind import bind_wired, console_of
from flexkit.errors import BoardLost
from flexkit.events import Bus
from flexkit.flash import deploy
from flexkit.flash.ways.choose import Ways

LAB = """
[board.bench]
type = "qemu-virt"
serial = "{port}"
[board.bench.power]
driver = "command"
on = "echo on >{supply}"
off = "echo off >{supply}"
state = "grep -qx on {supply}"
"""


@dataclass
class Bench:
    """A board on a bench whose supply is a file and whose serial line says what a test writes."""

    instance: Instance
    lab: Path
    supply: Path
    cable: int

    def flash_with_a_tool(self) -> str:
        """The tool of the record: it flashes, resets the board, and says so. The reset switched it off."""
        self.supply.write_text("off\n")
        return "Reset Device OK."

    def says(self, text: bytes) -> None:
        os.write(self.cable, text)


@pytest.fixture
def bench(site: Site, tmp_path: Path) -> Iterator[Bench]:
    cable, port = pty.openpty()
    supply, lab = tmp_path / "supply", tmp_path / "lab.toml"
    supply.write_text("on\n")
    lab.write_text(LAB.format(port=os.ttyname(port), supply=supply))
    found = boards.resolve("bench", lab)
    hasty = replace(found, type=replace(found.type, timeouts=replace(found.type.timeouts, power=0.3, boot=8.0)))
    plan = make_plan(found.type, BUILD, "flex", site.images(BUILD), {})
    deploy(found, plan, {}, "release", Bus(), Deadline(300, "flash"), Ways(folder=tmp_path / "card"))
    yield Bench(hasty, lab, supply, cable)
    os.close(cable)
    os.close(port)


def naive_verdict(bench: Bench) -> str:
    """Listens for a moment, and judges."""
    heard, _, _ = select.select([bench.cable], [], [], 0.2)
    return "alive" if heard else "bricked"


@pytest.mark.field("F17")
def test_a_board_that_is_off_is_called_off(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    assert bench.flash_with_a_tool() == "Reset Device OK."
    assert naive_verdict(bench) == "bricked"

    assert run(["state", "-b", "bench", "--lab", str(bench.lab), "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["power"] == "off"


@pytest.mark.field("F17")
def test_its_power_is_switched_and_only_then_silence_is_diagnosed(bench: Bench) -> None:
    bench.flash_with_a_tool()
    with pytest.raises(BoardLost) as caught, open_board(bench.instance, Deadline(60, "open"), Bus()):
        pytest.fail("nobody answers")
    assert "last stage reached: none" in caught.value.message
    assert "not one byte came; check in this order: supply" in caught.value.mend
    assert bench.supply.read_text() == "off\n", "as it was found"


@pytest.mark.field("F17")
def test_a_supply_that_only_says_it_switched_is_named(bench: Bench) -> None:
    bench.flash_with_a_tool()
    power = replace(bench.instance.settings.power, on="true")  # type: ignore[type-var]
    broken = replace(bench.instance, settings=replace(bench.instance.settings, power=power))
    said = "it was switched on, but its supply says that it is off"
    with pytest.raises(BoardLost, match=said), open_board(broken, Deadline(60, "open"), Bus()):
        pytest.fail("it is off")


@pytest.mark.field("F17")
@pytest.mark.parametrize(
    ("said", "reached", "advice"),
    [
        (b"", "none", "not one byte came; check in this order: supply"),
        (b"\xff\xfe\x80\x81" * 30, "none", "most are no text: the speed is wrong"),
        (b"Raw boot failed, trying SD\r\n", "none", "its boot ROM found no loader of ours"),
        (b"NOTICE:  BL1: v2.12\r\nNOTICE:  BL2: v2.12\r\n", "bl2", "bl2 ran, bl31 did not come"),
        (b"NOTICE:  BL1: v2\r\nNOTICE:  BL31: v2\r\n", "bl31", "bl31 ran, kernel did not come"),
        (b"NOTICE:  BL1: v2\r\n[    0.0] Linux version 6.12\r\n", "kernel", "kernel ran, userspace did not come"),
    ],
)
def test_silence_is_told_by_how_far_the_board_came(bench: Bench, said: bytes, reached: str, advice: str) -> None:
    console = console_of(bench.instance, bind_wired(bench.instance, Bus()))
    bench.says(said)
    limit = Deadline(60, "what it says arrives")
    while console._seen.count < len(said) or (console.reached or "none") != reached:
        limit.check()
        time.sleep(0.01)
    error = console.silent("the agent does not answer")
    console.close()
    assert f"last stage reached: {reached}" in error.message
    assert advice in error.mend


@pytest.mark.field("F17")
def test_the_double_behaves_as_recorded(bench: Bench) -> None:
    """The supply really is what decides: with power the same line speaks."""
    bench.says(b"NOTICE:  BL1: v2.12\r\n")
    words = ["sh", "-c", bench.instance.settings.power.state]  # type: ignore[union-attr]
    assert subprocess.run(words, timeout=60, check=False).returncode == 0
    bench.flash_with_a_tool()
    assert subprocess.run(words, timeout=60, check=False).returncode == 1
