"""The console's reader: stages, text and records told apart, all of it logged."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flexkit import boards
from flexkit.deadline import Deadline
from flexkit.drivers import console, logs
from flexkit.drivers.console import Console, ConsoleTransport
from flexkit.errors import BoardLost
from flexkit.link.records import Kind, Record, encode
from flexkit.link.transport import SocketTransport


class Cable:
    def __init__(self, log: Path) -> None:
        self.board, host = socket.socketpair()
        self.dead = ""
        stages = boards.load("qemu-virt").boot.stages
        self.console = Console(
            "board", SocketTransport(host, "board"), stages, log, lambda: self.dead, lambda seen: f"advice {seen}"
        )


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[Cable]:
    made = Cable(tmp_path / "log")
    yield made
    made.console.close()
    made.board.close()


def soon(seconds: float = 30.0) -> Deadline:
    return Deadline(seconds, "test")


def test_stages_are_recognised_in_what_comes(cable: Cable) -> None:
    cable.board.sendall(b"NOTICE:  BL1: v2.12\r\nNOTICE:  BL2: v2.12\r\n")
    cable.console.wait_stage("bl2", soon())
    assert cable.console.reached == "bl2"
    assert cable.console.boots == 1
    cable.board.sendall(b"noise\r\n\nflexkit: agent ready\r\n")
    cable.console.wait_stage("agent", soon())
    cable.console.wait_stage("kernel", soon())


def test_a_board_that_starts_again_is_seen_to(cable: Cable) -> None:
    cable.board.sendall(b"BL1: v2\r\nLinux version 6\r\nBL1: v2\r\nBL2: v2\r\n")
    cable.console.wait_stage("bl2", soon())
    limit = soon()
    while cable.console.boots < 2:
        limit.check()
    assert cable.console.reached in ("bl1", "bl2")


def test_silence_says_how_far_it_came(cable: Cable) -> None:
    cable.board.sendall(b"BL1: v2\r\nsomething odd\r\n")
    with pytest.raises(BoardLost, match=r"'agent' was not reached within 2 s; last stage reached: bl1\n") as caught:
        cable.console.wait_stage("agent", soon(2))
    assert "something odd" in caught.value.message
    assert str(cable.console.log) in caught.value.mend


def test_silence_asks_for_advice_with_what_came(cable: Cable) -> None:
    cable.board.sendall(b"BL1: v2\r\n\xff\xfe")
    with pytest.raises(BoardLost) as caught:
        cable.console.wait_stage("agent", soon(2))
    assert caught.value.mend.startswith("advice Seen(count=11, unreadable=2, reached='bl1')\n")


def test_a_last_line_that_was_lost_is_not_waited_for(cable: Cable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_QUIET_SECONDS", 0.3)
    cable.board.sendall(b"flexkit: userspace\r\nflexkit: ag\xffnt reXdy\r\n")
    assert cable.console.wait_ready(soon()) is False
    cable.board.sendall(b"flexkit: agent ready\r\n")
    cable.console.wait_stage("agent", soon())
    assert cable.console.wait_ready(soon()) is True


def test_a_board_that_said_nothing_is_not_asked(cable: Cable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_QUIET_SECONDS", 0.1)
    cable.board.sendall(b"some other system\r\n")
    with pytest.raises(BoardLost, match="last stage reached: none"):
        cable.console.wait_ready(soon(2))


def test_a_board_that_is_switched_off_starts_from_nothing(cable: Cable) -> None:
    cable.board.sendall(b"BL1: v2\r\nflexkit: agent ready\r\n")
    cable.console.wait_ready(soon())
    cable.console.switched(on=False)
    assert (cable.console.reached, cable.console.tail, cable.console.boots) == ("", "", 0)


def test_a_shell_is_asked_for_once_it_can_answer(cable: Cable) -> None:
    cable.console.when_ready(b"\r")
    cable.board.sendall(b"BL1: v2\r\n")
    cable.console.wait_stage("bl1", soon())
    cable.board.settimeout(5)
    cable.board.sendall(b"flexkit: agent ready\r\nflexkit: agent ready\r\n")
    assert cable.board.recv(10) == b"\r"


def test_others_read_along_from_one_log_to_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEXKIT_STATE", str(tmp_path))
    first = logs.new_log("bench")
    first.write_text("one\n")
    follow = logs.follow_logs("bench", soon())
    assert next(follow) == "one\n"
    with first.open("a") as sink:
        sink.write("two\n")
    assert next(follow) == "two\n"
    with first.open("a") as sink:
        sink.write("three\n")
    logs.new_log("bench").write_text("four\n")
    assert next(follow) + next(follow) == "three\nfour\n"
    follow.close()


def test_a_report_gets_the_logs_of_its_own_boots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEXKIT_STATE", str(tmp_path))
    logs.new_log("bench").write_text("earlier")
    started = datetime.now(UTC)
    logs.new_log("bench").write_text("first boot")
    logs.new_log("bench").write_text("second boot")
    for _ in range(2):
        logs.copy_logs("bench", started, tmp_path / "report")
        copied = sorted((tmp_path / "report/console").iterdir())
        assert [path.read_text() for path in copied] == ["first boot", "second boot"]
    logs.copy_logs("bench", datetime.now(UTC), tmp_path / "report")
    assert not (tmp_path / "report/console").exists()


def test_old_logs_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEXKIT_STATE", str(tmp_path))
    for _ in range(60):
        logs.new_log("bench").write_text("x")
    assert len(list((tmp_path / "console/bench").iterdir())) == 41


def test_the_end_of_the_board_is_noticed_before_the_deadline(cable: Cable) -> None:
    cable.dead = "the emulator ended with status 1"
    with pytest.raises(BoardLost, match="ended with status 1"):
        cable.console.wait_stage("agent", soon())


def test_the_end_of_the_board_may_show_after_the_end_of_a_link(cable: Cable) -> None:
    def end() -> None:
        cable.dead = "the emulator ended"

    ending = threading.Timer(0.3, end)
    ending.start()
    assert cable.console.why_lost() == "the emulator ended"
    ending.join()


def test_a_link_that_broke_is_not_the_end_of_the_board(cable: Cable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_GRACE_SECONDS", 0.3)
    assert cable.console.why_lost() == ""


def test_everything_is_logged_with_its_time_and_records_in_short(cable: Cable) -> None:
    cable.board.sendall(b"hello\r\n" + encode(Record(Kind.DATA, 1, 2, b"secret")) + b"flexkit: agent ready\r\n")
    cable.console.wait_stage("agent", soon())
    lines = cable.console.log.read_text().splitlines()
    assert [line[15:] for line in lines] == [
        "hello",
        "<record D 2 of session 0001, 6 bytes>",
        "flexkit: agent ready",
    ]
    assert all(line.startswith("[") and float(line[1:13]) >= 0 for line in lines)
    assert "record" not in cable.console.tail


def test_taps_see_every_byte_and_the_end(cable: Cable) -> None:
    seen: list[bytes] = []
    transport = ConsoleTransport(cable.console)
    transport.start(seen.append)
    transport.write(b"to the board")
    assert cable.board.recv(100) == b"to the board"
    cable.board.sendall(b"half a li")
    cable.board.close()
    limit = soon()
    while b"" not in seen:
        limit.check()
    assert b"".join(seen) == b"half a li"
    transport.close()
