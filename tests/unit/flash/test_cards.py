"""SD cards in readers and behind a mux, and boards that are flashed while they run."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from vendor_tools import FakeBoard

from flexkit.deadline import Deadline
from flexkit.deployed.plan import Write
from flexkit.drivers.protocols import Shell, Transfer
from flexkit.errors import BoardLost, FlashError
from flexkit.flash.engine import write_region
from flexkit.flash.protocol import NeedsHands, Trouble
from flexkit.flash.ways.block import BlockMedium
from flexkit.flash.ways.ssh import SshMedium
from flexkit.flash.ways.tool import Limits

CHUNK = 4096
SIZE = 1 << 20
OFFSET = 64 * 512


def soon(seconds: float = 60) -> Deadline:
    return Deadline(seconds, "flash")


def image(tmp_path: Path, count: int = 5 * CHUNK + 100) -> Write:
    data = random.Random(9).randbytes(count)
    (tmp_path / "image").write_bytes(data)
    return Write("sd", "root", OFFSET, count, "root", tmp_path / "image", hashlib.sha256(data).hexdigest())


def card(tmp_path: Path, size: int = SIZE) -> Path:
    path = tmp_path / "card"
    with path.open("wb") as sink:
        sink.truncate(size)
    return path


def test_a_card_is_written_and_given_back_to_the_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mux = FakeBoard(tmp_path / "mux", "")
    monkeypatch.setenv("PATH", str(mux.install(tmp_path / "bin")), prepend=os.pathsep)
    medium = BlockMedium("sd", SIZE, card(tmp_path), 0.2, mux="/dev/usb-sd-mux/id-1")
    medium.open(soon())
    assert (mux.folder / "mux").read_text() == "host"
    write = image(tmp_path)
    write_region(medium, write, CHUNK, soon(), lambda *_: None)
    medium.close()
    assert (mux.folder / "mux").read_text() == "dut"
    assert write.path is not None
    assert card_bytes(tmp_path, OFFSET, write.size) == write.path.read_bytes()


def card_bytes(tmp_path: Path, offset: int, count: int) -> bytes:
    return (tmp_path / "card").read_bytes()[offset : offset + count]


def test_a_card_that_is_not_there_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(NeedsHands, match="is not there") as caught:
        BlockMedium("sd", SIZE, tmp_path / "none", 0.1).open(soon())
    assert caught.value.mend == "put the card in"


def test_a_card_that_is_too_small_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FlashError, match="has 1024 bytes, the board wants 1048576"):
        BlockMedium("sd", SIZE, card(tmp_path, 1024), 0.1).open(soon())


def test_a_card_pulled_out_under_a_write_is_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    medium = BlockMedium("sd", SIZE, card(tmp_path), 0.1)
    medium.open(soon())

    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", fail)
        with pytest.raises(Trouble, match="Input/output error"):
            medium.write(0, bytes(512), soon())
    medium.recover(soon())
    medium.write(0, b"\1" * 512, soon())
    medium.close()
    assert card_bytes(tmp_path, 0, 512) == b"\1" * 512


class LocalShell(Shell, Transfer):
    """A board's shell that is this machine's own. ``harm`` changes what a transfer delivers."""

    def __init__(self, remote: Path, harm: Callable[[bytes], bytes] = lambda data: data) -> None:
        self.remote = remote
        self.harm = harm
        self.dead = False
        self.commands: list[str] = []

    def run(self, command: str, deadline: Deadline) -> tuple[int, str]:
        if self.dead:
            raise BoardLost("the connection is gone")
        self.commands.append(command)
        local = command.replace("/tmp/flexkit-chunk", str(self.remote)).replace("/proc/sys/vm/drop_caches", "/dev/null")
        done = subprocess.run(["sh", "-c", local], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def put(
        self, local: Path, path: str, deadline: Deadline, progress: Callable[[int, int], None] | None = None
    ) -> None:
        self.remote.write_bytes(self.harm(local.read_bytes()))

    def get(self, path: str, deadline: Deadline) -> bytes:
        return self.remote.read_bytes()


def over_ssh(tmp_path: Path, shell: LocalShell, *running: range) -> SshMedium:
    path = str(card(tmp_path))
    return SshMedium("sd", SIZE, path, lambda _: (shell, shell), Limits(call=5.0, enumerate=1.0), running)


def test_the_other_slot_is_written_over_ssh(tmp_path: Path) -> None:
    chance = random.Random(4)
    shell = LocalShell(tmp_path / "remote", lambda data: data if chance.random() > 0.2 else b"!" + data[1:])
    medium = over_ssh(tmp_path, shell, range(SIZE // 2, SIZE))
    medium.open(soon())
    write = image(tmp_path)
    outcome = write_region(medium, write, CHUNK, soon(), lambda *_: None)
    assert write.path is not None
    assert card_bytes(tmp_path, OFFSET, write.size) == write.path.read_bytes()
    assert medium.read(OFFSET, CHUNK, soon()) == write.path.read_bytes()[:CHUNK]
    assert outcome.proof.endswith("SHA-256")
    assert outcome.repeated > 0
    medium.close()


def test_the_slot_that_runs_is_never_written(tmp_path: Path) -> None:
    shell = LocalShell(tmp_path / "remote")
    medium = over_ssh(tmp_path, shell, range(OFFSET, SIZE))
    medium.open(soon())
    with pytest.raises(FlashError, match="the board runs from the bytes at 0x8000"):
        write_region(medium, image(tmp_path), CHUNK, soon(), lambda *_: None)
    medium.close()
    assert not any(" of=" in command for command in shell.commands)


@pytest.mark.field("F19")
def test_f19_a_connection_that_is_lost_is_made_again(tmp_path: Path) -> None:
    shells = [LocalShell(tmp_path / "remote"), LocalShell(tmp_path / "remote")]
    used = iter(shells)
    current = next(used)

    def connect(deadline: Deadline) -> tuple[Shell, Transfer]:
        return current, current

    medium = SshMedium("sd", SIZE, str(card(tmp_path)), connect, Limits(call=5.0, enumerate=1.0))
    medium.open(soon())
    current.dead = True
    current = next(used)
    write = image(tmp_path)
    outcome = write_region(medium, write, CHUNK, soon(), lambda *_: None)
    medium.close()
    assert outcome.recovered == 1
    assert write.path is not None
    assert card_bytes(tmp_path, OFFSET, write.size) == write.path.read_bytes()
