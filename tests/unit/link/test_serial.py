"""Serial ports that come and go: ptys whose name vanishes with whoever held the other end."""

from __future__ import annotations

import os
import pty
import socket
import threading
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_agent import ConsoleAgent
from wire import wired

from flexkit.deadline import Deadline
from flexkit.errors import BoardLost, Busy
from flexkit.link.client import Client
from flexkit.link.connection import Connection
from flexkit.link.serial import SerialTransport


class Cable:
    """A port at ``path`` while it is plugged in."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.board = -1
        self._host = -1

    def plug(self) -> None:
        self.board, self._host = pty.openpty()
        tty.setraw(self._host)
        self.path.symlink_to(os.ttyname(self._host))

    def unplug(self) -> None:
        self.path.unlink(missing_ok=True)
        for descriptor in (self.board, self._host):
            if descriptor >= 0:
                os.close(descriptor)
        self.board = self._host = -1


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[Cable]:
    made = Cable(tmp_path / "tty")
    yield made
    made.unplug()


def soon(seconds: float = 30.0) -> Deadline:
    return Deadline(seconds, "serial")


class Reader:
    def __init__(self, transport: SerialTransport) -> None:
        self.seen = bytearray()
        self.ended = threading.Event()
        self.notes: list[str] = []
        transport.note = self.notes.append
        transport.start(self.take)

    def take(self, chunk: bytes) -> None:
        self.seen += chunk
        if not chunk:
            self.ended.set()

    def wait_for_note(self) -> None:
        limit = soon()
        while not self.notes:
            limit.check()
            time.sleep(0.01)

    def wait_for(self, text: bytes) -> None:
        limit = soon()
        while text not in self.seen:
            limit.check()
            time.sleep(0.01)


def test_a_port_that_vanished_is_taken_up_again(cable: Cable) -> None:
    cable.plug()
    transport = SerialTransport(str(cable.path), 1_500_000, patience=30)
    reader = Reader(transport)
    os.write(cable.board, b"before")
    reader.wait_for(b"before")
    cable.unplug()
    reader.wait_for_note()
    later = threading.Timer(0.3, cable.plug)
    later.start()
    transport.write(b"kept until it is there")  # returns when the port is there
    os.write(cable.board, b"after")
    reader.wait_for(b"after")
    assert os.read(cable.board, 100) == b"kept until it is there"
    assert [note.split(" is ")[1].split(":")[0] for note in reader.notes] == ["gone", "there"]
    transport.close()


def test_a_port_that_comes_with_its_boards_power_is_waited_for(cable: Cable) -> None:
    with pytest.raises(BoardLost, match=f"serial port {cable.path} is not there"):
        SerialTransport(str(cable.path), 115200, patience=30)
    transport = SerialTransport(str(cable.path), 115200, patience=10, awaited=True, hopeless=lambda: "never asked")
    reader = Reader(transport)
    cable.plug()
    reader.wait_for_note()
    os.write(cable.board, b"BL1")
    reader.wait_for(b"BL1")
    transport.close()


def test_a_port_that_stays_away_ends_with_the_reason(cable: Cable) -> None:
    cable.plug()
    transport = SerialTransport(str(cable.path), 115200, patience=0.3)
    reader = Reader(transport)
    cable.unplug()
    assert reader.ended.wait(10)
    assert transport.ended == f"serial port {cable.path} is not there, not within 0.3 s either"
    with pytest.raises(BoardLost, match=r"not within 0\.3 s either"):
        transport.write(b"x")


def test_nobody_waits_for_the_port_of_a_board_whose_supply_is_off(cable: Cable) -> None:
    cable.plug()
    transport = SerialTransport(str(cable.path), 115200, patience=60, hopeless=lambda: "its supply is off")
    reader = Reader(transport)
    transport.expect_gap(True)
    cable.unplug()
    reader.wait_for_note()
    assert not reader.ended.wait(0.3), "it is off on purpose"
    transport.expect_gap(False)
    assert reader.ended.wait(10)
    assert transport.ended == f"serial port {cable.path} is not there: its supply is off"


def test_a_port_that_another_program_has_is_busy(cable: Cable) -> None:
    cable.plug()
    first = SerialTransport(str(cable.path), 115200)
    with pytest.raises(Busy, match="in use by another program") as caught:
        SerialTransport(str(cable.path), 115200)
    assert caught.value.mend == f"see who: fuser {cable.path}"
    first.close()


def test_a_port_in_the_network(cable: Cable) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        transport = SerialTransport(f"socket://127.0.0.1:{server.getsockname()[1]}", 115200)
        board, _ = server.accept()
        reader = Reader(transport)
        with board:
            board.sendall(b"BL1")
            reader.wait_for(b"BL1")
            transport.write(b"hello")
            assert board.recv(100) == b"hello"
        transport.close()


def test_a_session_survives_a_loose_cable(cable: Cable) -> None:
    """The agent goes on; the cable to it is pulled out in the middle of a command and put back."""
    console = ConsoleAgent()
    cable.plug()
    port = SerialTransport(str(cable.path), 1_500_000, patience=30)
    with wired(lambda: console.master, lambda: cable.board), Connection(port) as connection:
        connection.wait_open(soon())
        job = Client(connection).spawn("for i in 1 2 3 4 5 6 7 8; do echo line $i; sleep 0.2; done")
        job.take(job.exchange.next(soon()))
        cable.unplug()
        time.sleep(0.4)
        cable.plug()
        assert job.wait(soon(20)).out.decode().split("\n")[:8] == [f"line {i}" for i in range(1, 9)]
    console.stop()
    os.close(console.master)
