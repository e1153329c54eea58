"""A real agent at the other end of good and bad cables."""

from __future__ import annotations

import os
import pty
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_agent import ConsoleAgent, Harm, host_agent
from processes import wait_ended
from wire import DescriptorTransport, ProcessTransport, wired

from flexkit.deadline import Deadline
from flexkit.errors import BoardLost, TimedOut
from flexkit.link.client import Client
from flexkit.link.connection import Connection
from flexkit.link.serial import SerialTransport


def soon(seconds: float = 30.0) -> Deadline:
    return Deadline(seconds, "test")


@pytest.fixture
def console() -> Iterator[ConsoleAgent]:
    agent = ConsoleAgent()
    yield agent
    agent.stop()


@pytest.mark.field("F12")
@pytest.mark.parametrize(("percent", "seed"), [(0, 0), (5, 1), (20, 2), (20, 3)])
def test_what_arrives_is_what_was_sent_over_a_bad_cable(console: ConsoleAgent, percent: int, seed: int) -> None:
    harm = Harm(console.transport(), percent, seed)
    with Connection(harm) as connection:
        connection.wait_open(soon())
        client = Client(connection)
        for round_ in range(20):
            client.ping(soon(), os.urandom(round_ * 50))
        data = os.urandom(20000)
        result = client.execute(["cat"], soon(60), stdin=iter([data]))
        assert result.out == data
        assert (harm.harmed > 0) == (percent > 0)


def test_two_requests_at_once_do_not_mix(console: ConsoleAgent) -> None:
    with Connection(console.transport()) as connection:
        connection.wait_open(soon())
        client = Client(connection)
        slow = client.spawn("sleep 0.3; echo slow")
        assert client.check("echo quick", soon()) == "quick\n"
        assert slow.running()
        assert slow.wait(soon()).out == b"slow\n"


def test_callers_from_several_threads_each_get_their_own_answer(console: ConsoleAgent) -> None:
    with Connection(console.transport()) as connection:
        connection.wait_open(soon())
        client = Client(connection)
        answers: dict[int, str] = {}

        def ask(number: int) -> None:
            answers[number] = client.check(f"echo {number}", soon())

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == {number: f"{number}\n" for number in range(8)}


def test_a_new_session_ends_what_the_last_one_began(console: ConsoleAgent, tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    with Connection(DescriptorTransport(os.dup(console.master), "first")) as first:
        first.wait_open(soon())
        Client(first).spawn(f"echo $$ > {marker}; exec sleep 60")
        while not (marker.is_file() and marker.read_text().strip()):
            Client(first).ping(soon())
    with Connection(DescriptorTransport(os.dup(console.master), "second")) as second:
        second.wait_open(soon())
        Client(second).ping(soon())
        wait_ended(int(marker.read_text()), soon())


def test_an_agent_that_was_started_again_is_noticed_at_once() -> None:
    first = ConsoleAgent()
    with Connection(first.transport()) as connection:
        connection.wait_open(soon())
        first.process.kill()
        first.process.wait()
        first.start()
        with pytest.raises(BoardLost, match="does not answer any more"):
            Client(connection).ping(soon())
    first.stop()


@pytest.mark.field("F10")
def test_an_agent_that_comes_late_is_asked_until_it_is_there() -> None:
    """FIELD F10: a question that was asked once, too early, is lost."""
    console = ConsoleAgent()
    console.process.kill()
    console.process.wait()
    with Connection(console.transport()) as connection:
        with pytest.raises(TimedOut):
            connection.wait_open(soon(0.6))
        later = threading.Timer(0.6, console.start)
        later.start()
        connection.wait_open(soon())
        assert Client(connection).check("echo here", soon()) == "here\n"
        later.join()
    console.stop()


def test_the_end_of_the_agent_is_an_error_not_a_wait() -> None:
    transport = ProcessTransport([str(host_agent()), "--stdio"], "agent")
    with Connection(transport) as connection:
        connection.wait_open(soon())
        transport.process.kill()
        transport.process.wait()
        with pytest.raises(BoardLost, match=r"is gone|does not take data"):
            Client(connection).ping(soon())


def test_silence_is_a_timeout() -> None:
    master, slave = pty.openpty()
    with Connection(DescriptorTransport(master, "nobody")) as connection, pytest.raises(TimedOut):
        connection.wait_open(soon(0.5))
    os.close(slave)


def test_a_serial_port_carries_records(console: ConsoleAgent) -> None:
    """pyserial against a pty: the agent sits at the other end of a second one."""
    outer, inner = pty.openpty()
    with (
        wired(lambda: outer, lambda: console.master),
        Connection(SerialTransport(os.ttyname(inner), 115200)) as connection,
    ):
        connection.wait_open(soon())
        assert Client(connection).check("echo over the wire", soon()) == "over the wire\n"
    os.close(outer)
    os.close(inner)


def test_nothing_reads_from_a_descriptor_that_was_closed() -> None:
    """Its number may be another file's at once: close comes back when the reader has gone, also one that is busy."""
    source, board = os.pipe()
    busy, go_on = threading.Event(), threading.Event()
    transport = DescriptorTransport(source, "pipe")

    def sink(chunk: bytes) -> None:
        busy.set()
        go_on.wait(10)

    transport.start(sink)
    os.write(board, b"first")
    assert busy.wait(10)
    threading.Timer(0.3, go_on.set).start()
    transport.close()
    assert "read pipe" not in {thread.name for thread in threading.enumerate()}
    os.close(board)


def test_a_port_that_is_not_there_is_named() -> None:
    with pytest.raises(BoardLost, match="/dev/no-such-port"):
        SerialTransport("/dev/no-such-port", 115200)
