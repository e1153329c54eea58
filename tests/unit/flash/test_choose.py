"""Which way is taken to which medium, by what the site has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flexkit import boards
from flexkit.boards import Instance, LabBoard, Medium, Way
from flexkit.boards.schema import UBoot, Usb
from flexkit.boards.wiring import CommandBootMode, CommandPower
from flexkit.deadline import Deadline
from flexkit.deployed.plan import Write
from flexkit.drivers.bind import Drivers
from flexkit.drivers.protocols import Power, Reset
from flexkit.errors import FlashError
from flexkit.events import Bus
from flexkit.flash.medium import FileMedium
from flexkit.flash.ways.block import BlockMedium
from flexkit.flash.ways.choose import Ways, loaders, shown
from flexkit.flash.ways.dfu import Dfu
from flexkit.flash.ways.fastboot import Fastboot, Uuu
from flexkit.flash.ways.rockusb import RockUsb
from flexkit.flash.ways.uboot import UBootMedium
from flexkit.flash.ways.watched import WiredConsole

EMULATED = boards.load("qemu-virt")
MEDIUM = EMULATED.media[0]
CARD = replace(
    MEDIUM,
    name="card",
    kind="card",
    ways=(
        Way("block", "sd"),
        Way("rkdeveloptool", "emmc", loader="rk-loader", bytes_per_second=4_000_000),
        Way("uboot", device="mmc 1"),
        Way("fastboot", device="mmc 0"),
        Way("uuu", device="mmc 2"),
        Way("dfu-util"),
    ),
)
BOARD = replace(
    EMULATED,
    emulator=None,
    media=(CARD,),
    uboot=UBoot("Hit any key", " ", "=> ", 0x1000000, "boot"),
    usb=(Usb("2207:350b", "maskrom", "hold the button"),),
)
WRITE = Write("card", "fip", 0x40000, 1000, "fip", Path("fip.bin"), "0" * 64)


def lab(**settings: object) -> Instance:
    return Instance("lab-1", BOARD, replace(LabBoard("rock"), **settings))  # type: ignore[arg-type]


def without_usb(instance: Instance) -> Instance:
    return replace(instance, type=replace(instance.type, usb=()))


def test_an_emulated_medium_is_its_file() -> None:
    found = Ways()(boards.resolve("qemu-virt"), MEDIUM, "flex")
    assert isinstance(found, FileMedium)


def test_a_rehearsal_is_files_whatever_the_board(tmp_path: Path) -> None:
    found = Ways(folder=tmp_path)(lab(), CARD, "flex")
    assert isinstance(found, FileMedium)
    assert found.path == tmp_path / "card.img"


def test_the_first_way_that_the_site_has_is_taken() -> None:
    assert isinstance(Ways()(lab(sd="/dev/sdx"), CARD, "flex"), BlockMedium)
    assert isinstance(Ways()(lab(), CARD, "flex"), RockUsb)
    assert isinstance(Ways()(without_usb(lab(serial="/dev/ttyUSB0")), CARD, "flex"), UBootMedium)


@pytest.mark.parametrize(
    ("tool", "driver"), [("fastboot", Fastboot), ("uuu", Uuu), ("dfu-util", Dfu), ("rkdeveloptool", RockUsb)]
)
def test_a_tool_that_is_named_is_taken(tool: str, driver: type) -> None:
    assert isinstance(Ways(tool)(lab(sd="/dev/sdx"), CARD, "flex"), driver)


def test_a_site_without_any_is_told_what_each_lacks() -> None:
    with pytest.raises(FlashError) as caught:
        Ways()(without_usb(lab()), CARD, "flex")
    for words in ("no way to the medium card", "block: the lab file has no sd", "uboot: the lab file has no serial"):
        assert words in caught.value.message
    with pytest.raises(FlashError, match="not by ssh"):
        Ways("ssh")(lab(), CARD, "flex")


@pytest.mark.parametrize(
    ("tool", "words"),
    [
        ("block", "dd if=fip.bin of=/dev/CARD bs=512 seek=512 conv=fsync"),
        ("rkdeveloptool", "rkdeveloptool wl 512 fip.bin"),
        ("uboot", "mmc write 1000000 200 2"),
        ("fastboot", "fastboot oem run:'mmc write 1000000 200 2'"),
        ("uuu", "uuu FB: ucmd mmc write 1000000 200 2"),
        ("dfu-util", "dfu-util -a fip -D fip.bin"),
    ],
)
def test_f13_offsets_in_commands_are_the_board_files(tool: str, words: str) -> None:
    way = next(way for way in CARD.ways if way.tool == tool)
    one: Medium = replace(CARD, ways=(way,))
    used, commands = shown(lab(), one, WRITE, Ways(), "flex")
    assert used == tool
    assert any(words in line for line in commands), commands


def test_loaders_that_are_sent_first_belong_to_the_plan() -> None:
    assert loaders(lab(), Ways()) == {"rk-loader"}
    assert loaders(lab(sd="/dev/sdx"), Ways()) == set()


def test_the_site_brings_a_board_into_its_flash_mode_and_out(tmp_path: Path) -> None:
    log = tmp_path / "log"

    def note(word: str) -> str:
        return f"echo {word} >> {log}"

    wired = lab(
        serial="/dev/null",
        power=CommandPower("command", note("on"), note("off")),
        boot_mode=CommandBootMode("command", note("normal"), note("maskrom")),
    )
    medium = Ways("rkdeveloptool")(wired, CARD, "flex")
    assert isinstance(medium, RockUsb)
    medium._enter(Deadline(20, "flash"))
    medium.close()
    assert log.read_text().split() == ["maskrom", "off", "on", "normal"]


class Supply(Power):
    """Says what was done to it, in order."""

    def __init__(self, done: list[str], state: bool | None) -> None:
        self.done = done
        self.state = state

    def on(self, deadline: Deadline) -> None:
        self.done.append("on")
        self.state = True if self.state is not None else None

    def off(self, deadline: Deadline) -> None:
        self.done.append("off")
        self.state = False if self.state is not None else None

    def is_on(self, deadline: Deadline) -> bool | None:
        return self.state


class Line(Reset):
    def __init__(self, done: list[str]) -> None:
        self.done = done

    def reset(self, deadline: Deadline) -> None:
        self.done.append("reset")


@pytest.mark.parametrize(
    ("state", "resets", "begun", "restarted"),
    [
        (False, False, ["console", "on"], ["off", "console", "on"]),
        (True, False, ["console"], ["off", "console", "on"]),
        (None, False, ["console"], ["off", "console", "on"]),
        (True, True, ["console"], ["console", "reset"]),
    ],
)
def test_the_console_is_read_before_a_board_starts(
    monkeypatch: pytest.MonkeyPatch, state: bool | None, resets: bool, begun: list[str], restarted: list[str]
) -> None:
    """A boot loader's countdown is short: a console that is opened after the power came may miss it."""
    done: list[str] = []

    class Console:
        def switched_on(self) -> None:
            return

    def open_console(*_: object) -> Console:
        done.append("console")
        return Console()

    drivers = Drivers(Supply(done, state), None, reset=Line(done) if resets else None)  # type: ignore[arg-type]
    monkeypatch.setattr("flexkit.flash.ways.watched.bind_wired", lambda *_: drivers)
    monkeypatch.setattr("flexkit.flash.ways.watched.watched", open_console)
    bench = WiredConsole(lab(), Bus())
    bench.open(Deadline(60, "open"))
    assert done == begun
    done.clear()
    bench.restart(Deadline(60, "restart"))
    bench.open(Deadline(60, "open"))
    assert done == restarted
