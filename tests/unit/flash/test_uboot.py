"""Flashing over U-Boot's console: a noisy serial line, chunks by TFTP or YMODEM, all checked by the board's CRC."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest
from fake_console import FakeConsole, Receiver, crc16
from fake_uboot import Commands, sparse_read, sparse_write

from flexkit.boards.schema import Stage, UBoot
from flexkit.deadline import Deadline
from flexkit.deployed.plan import Write
from flexkit.drivers.console import Console
from flexkit.errors import BadInput, FlashError
from flexkit.flash.engine import steady_read, write_region
from flexkit.flash.protocol import NeedsHands, Trouble
from flexkit.flash.ways import ymodem
from flexkit.flash.ways.prompt import Prompt
from flexkit.flash.ways.storage import Storage
from flexkit.flash.ways.tool import Limits, Rescue
from flexkit.flash.ways.uboot import Network, UBootMedium
from flexkit.flash.ways.watched import WatchedConsole

CHUNK = 4096
OFFSET = 512 * 2048
UBOOT = UBoot("Hit any key to stop autoboot", " ", "=> ", 0x40000, "boot")
LIMITS = Limits(call=10.0, enumerate=5.0)


def soon(seconds: float = 300) -> Deadline:
    return Deadline(seconds, "flash")


def image(tmp_path: Path, count: int = 2 * CHUNK + 100) -> Write:
    data = random.Random(7).randbytes(count)
    (tmp_path / "image").write_bytes(data)
    return Write("disk", "root", OFFSET, count, "root", tmp_path / "image", hashlib.sha256(data).hexdigest())


class Bench:
    """A board at the end of a serial line. ``line`` changes what the next connection finds."""

    def __init__(self, folder: Path, *, network: bool = True, noise: float = 0.0, deaf: int = 0, seed: int = 0) -> None:
        folder.mkdir()
        tftp = folder / "tftp"
        tftp.mkdir()
        self.commands = Commands(folder, tftp)
        self.consoles: list[FakeConsole] = []
        self.noise, self.deaf, self.silent = noise, deaf, False
        self.started = 0
        self.seed = seed
        self.medium = UBootMedium(
            "disk",
            1 << 30,
            UBOOT,
            "virtio 0",
            CHUNK,
            self._console,
            Network(tftp) if network else None,
            LIMITS,
            Rescue(self._start),
            "press the reset button",
        )

    def _console(self, deadline: Deadline) -> FakeConsole:
        made = FakeConsole(self.commands, seed=100 * self.seed + len(self.consoles), noise=self.noise, deaf=self.deaf)
        made.silent = self.silent
        self.consoles.append(made)
        return made

    def _start(self, deadline: Deadline) -> None:
        self.started += 1
        self.silent = False

    def holds(self, write: Write) -> bool:
        assert write.path is not None
        return sparse_read(self.commands.medium, OFFSET, write.size) == write.path.read_bytes()

    @property
    def ran(self) -> list[str]:
        return [line for console in self.consoles for line in console.ran]


@pytest.mark.parametrize("network", [True, False])
def test_an_image_goes_over_the_console(tmp_path: Path, network: bool) -> None:
    bench = Bench(tmp_path / "board", network=network)
    write = image(tmp_path)
    bench.medium.open(soon())
    outcome = write_region(bench.medium, write, CHUNK, soon(), lambda *_: None)
    assert outcome.proof.endswith("CRC-32")
    assert bench.commands.booted == ""
    assert write_region(bench.medium, write, CHUNK, soon(), lambda *_: None).written == 0
    bench.medium.release(soon())
    assert bench.commands.booted == "boot", "it is not left at its prompt"
    bench.medium.close()
    assert bench.holds(write)
    assert any("tftpboot" in line for line in bench.ran) == network
    assert any("loady" in line for line in bench.ran) != network
    assert list((tmp_path / "board" / "tftp").iterdir()) == [], "nothing is left in the server's folder"


def test_f10_the_key_is_pressed_until_u_boot_answers(tmp_path: Path) -> None:
    """Sent once, it is lost: the line is not up yet."""
    (tmp_path / "other").mkdir()
    once = FakeConsole(Commands(tmp_path / "other"), deaf=5)
    once.write(b" \x03echo here\n")
    assert once.ran == []
    bench = Bench(tmp_path / "board", deaf=5)
    bench.medium.open(soon())
    bench.medium.close()


@pytest.mark.parametrize("seed", range(3))
def test_f12_a_garbled_command_is_never_sent_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """A line that loses, doubles and changes characters: unguarded, a write would go elsewhere."""
    monkeypatch.setattr("flexkit.flash.ways.prompt._TYPING_SECONDS", 0.05)
    noise = 0.004
    (tmp_path / "other").mkdir()
    naive = FakeConsole(Commands(tmp_path / "other"), seed, noise)
    for _ in range(60):
        naive.write(b"virtio write 40000 800 8\n")
    assert set(naive.ran) != {"virtio write 40000 800 8"}, "so commands do arrive garbled"
    bench = Bench(tmp_path / "board", noise=noise, seed=seed)
    bench.medium._limits = Limits(call=2.0, enumerate=5.0)
    write = image(tmp_path)
    bench.medium.open(soon())
    write_region(bench.medium, write, CHUNK, soon(), lambda *_: None)
    bench.medium.close()
    assert bench.holds(write)
    writes = {line.split(";")[0] for line in bench.ran if line.startswith("virtio write")}
    assert writes == {"virtio write 40000 800 8", "virtio write 40000 808 8", "virtio write 40000 810 1"}


def test_f1_what_arrives_damaged_is_not_written(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "board")
    chance = random.Random(5)
    arrived = 0

    def harm(data: bytes) -> bytes:
        nonlocal arrived
        arrived += 1
        return data[:9] + bytes([data[9] ^ 1]) + data[10:] if chance.random() < 0.2 else data

    bench.commands.harm = harm
    write = image(tmp_path)
    bench.medium.open(soon())
    outcome = write_region(bench.medium, write, CHUNK, soon(), lambda *_: None)
    bench.medium.close()
    assert bench.holds(write)
    assert arrived > 6
    assert outcome.troubles + [""] * (outcome.repeated + outcome.disagreed)


def test_f19_a_board_that_fell_silent_is_switched_off_and_on(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "board")
    write = image(tmp_path)
    bench.medium.open(soon())
    bench.medium._limits = Limits(call=2.0, enumerate=2.0)
    bench.consoles[-1].silent = True
    bench.silent = True
    outcome = write_region(bench.medium, write, CHUNK, soon(), lambda *_: None)
    bench.medium.close()
    assert bench.holds(write)
    assert bench.started == 1
    assert outcome.recovered == 1


def test_a_board_that_runs_something_else_is_soon_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its system is up, and no boot loader is going to answer: the site's power brings one."""
    bench = Bench(tmp_path / "board")
    bench.silent = True
    bench.medium._impatient = True
    monkeypatch.setattr("flexkit.flash.ways.uboot._ALIVE_SECONDS", 0.3)
    bench.medium._limits = Limits(call=10.0, enumerate=3600.0)
    limit = soon(600)
    with pytest.raises(NeedsHands):
        bench.medium.open(limit)
    bench.medium.recover(limit)
    bench.medium.close()
    assert bench.started == 1


def test_f17_a_board_that_never_speaks_says_what_hands_can_do(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "board")
    bench.silent = True
    bench.medium._limits = Limits(call=0.3, enumerate=0.3)
    with pytest.raises(NeedsHands, match="prompt does not come") as caught:
        bench.medium.open(soon())
    assert caught.value.mend == "press the reset button"


def test_f17_the_last_stage_of_a_silent_board_is_named_and_its_console_kept(tmp_path: Path) -> None:
    """No prompt is not a brick: what was seen last says where to look."""
    bench = Bench(tmp_path / "board")
    log = tmp_path / "console.log"

    def half_way(deadline: Deadline) -> WatchedConsole:
        line = FakeConsole(bench.commands)
        line.silent = True
        console = Console("lab-1", line, [Stage("bl31", "BL31: v"), Stage("uboot", "U-Boot 20")], log)
        line._sink(b"NOTICE:  BL31: v2.12.1\r\nthen nothing\r\n")
        return WatchedConsole(console)

    bench.medium._open_console = half_way
    bench.medium._limits = Limits(call=0.3, enumerate=0.3)
    with pytest.raises(NeedsHands) as caught:
        bench.medium.open(soon())
    assert "last stage reached: bl31" in caught.value.message
    assert "then nothing" in caught.value.message
    assert str(log) in caught.value.mend
    assert "BL31: v2.12.1" in log.read_text()


def test_a_command_that_fails_is_told_with_what_u_boot_said(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "board")
    bench.medium.open(soon())
    assert bench.medium._prompt is not None
    with pytest.raises(Trouble, match=r"'frobnicate' failed: Unknown command"):
        bench.medium._prompt.run("frobnicate", soon(5))
    bench.medium.close()


def test_a_tftp_folder_that_is_not_served_is_trouble_not_success(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "board")
    bench.commands.tftp = tmp_path / "elsewhere"
    bench.medium.open(soon())
    with pytest.raises(Trouble, match="File not found"):
        bench.medium.write(OFFSET, bytes(CHUNK), soon())
    bench.medium._network = Network(tmp_path / "nonexistent")
    with pytest.raises(FlashError, match="No such file"):
        bench.medium.write(OFFSET, bytes(CHUNK), soon())
    bench.medium.close()


def test_a_backup_comes_as_a_dump_that_is_checked(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "board", noise=0.0001)
    data = random.Random(3).randbytes(2048)
    sparse_write(bench.commands.medium, OFFSET, data)
    bench.medium.open(soon())
    assert steady_read(bench.medium, OFFSET, 2048, soon()) == data
    bench.medium.close()


def test_a_device_that_u_boot_does_not_have_is_refused() -> None:
    with pytest.raises(BadInput, match="floppy"):
        Storage("floppy 0", 0, 0)


def test_spi_flash_is_updated_by_bytes() -> None:
    flash = Storage("sf", 0x100, 0x1000)
    assert flash.write(0x8000, 0x200) == "sf update 100 8000 200"
    assert flash.read(0x8000, 0x200) == "sf read 1100 8000 200"
    assert Storage("mmc 1", 0x100, 0x1000).write(0x8000, 0x400) == "mmc write 100 40 2"


def test_ymodem_as_its_description_has_it(tmp_path: Path) -> None:
    """CRC-16 of "123456789" is 0x31C3 (the published check value), and a receiver written apart takes what is sent."""
    assert crc16(b"123456789") == b"\x31\xc3"
    first, second = list(ymodem.packets("chunk", b"abc"))
    assert first[:3] == b"\x01\x00\xff"
    assert first[3:12] == b"chunk\x003\0\0"
    assert len(first) == 133
    assert second[:3] == b"\x02\x01\xfe"
    assert second[3:-2] == b"abc" + b"\x1a" * 1021
    assert second[-2:] == crc16(second[3:-2])


def test_ymodem_gives_up_on_a_receiver_that_refuses(tmp_path: Path) -> None:
    answers = iter(b"C" + b"\x15" * 100)
    with pytest.raises(ymodem.NotTaken):
        ymodem.send("chunk", b"abc", lambda _: None, lambda _: bytes([next(answers)]), soon())
    cancelled = iter(b"C\x18\x18")
    with pytest.raises(ymodem.NotTaken, match="cancelled"):
        ymodem.send("chunk", b"abc", lambda _: None, lambda _: bytes([next(cancelled)]), soon())


def test_the_receiver_notices_damage(tmp_path: Path) -> None:
    said: list[bytes] = []
    packet = next(ymodem.packets("chunk", b"abc"))
    receiver = Receiver(0, Commands(tmp_path), said.append)
    receiver.feed(packet[:10] + b"!" + packet[11:])
    assert said == [b"\x15"]


def test_a_prompt_over_a_closed_console_is_trouble(tmp_path: Path) -> None:
    console = FakeConsole(Commands(tmp_path))
    prompt = Prompt(console, UBOOT)
    console._sink(b"")
    with pytest.raises(Trouble, match="closed"):
        prompt.catch(soon(2))
