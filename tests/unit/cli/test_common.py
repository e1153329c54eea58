"""What commands share: progress on a stream, the time limit, one line of JSON."""

from __future__ import annotations

import io
import json
import os

import click
import pytest
from click.testing import CliRunner

from flexkit.cli.common import Progress, print_json, timeout_option, write_raw
from flexkit.deadline import Deadline
from flexkit.events import Bus, Event, Phase


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def shown(stream: io.StringIO, verbose: int, *events: Event) -> str:
    bus = Bus([Progress(stream, verbose)])
    for event in events:
        bus.emit(event)
    return stream.getvalue()


def test_a_step_is_told_when_it_begins_and_its_time_only_when_it_was_long() -> None:
    quick, slow = (Event(Phase.END, "build", seconds=seconds) for seconds in (0.2, 12.34))
    begin = Event(Phase.BEGIN, "build", "kernel")
    assert shown(io.StringIO(), 0, begin, quick) == "build: kernel\n"
    assert shown(io.StringIO(), 0, begin, slow) == "build: kernel\n  build: 12.3 s\n"


def test_a_failed_step_is_told() -> None:
    failed = Event(Phase.END, "build", seconds=0.1, error=ValueError("no"))
    assert shown(io.StringIO(), 0, failed) == "  build: failed after 0.1 s\n"


def test_notes_are_for_those_who_asked() -> None:
    note = Event(Phase.NOTE, "build", "a detail")
    assert shown(io.StringIO(), 0, note) == ""
    assert shown(io.StringIO(), 1, note) == "  build: a detail\n"


def test_a_counter_rewrites_its_line_on_a_terminal_and_is_silent_elsewhere() -> None:
    half, end = Event(Phase.PROGRESS, "flash", done=5, total=10), Event(Phase.BEGIN, "verify")
    assert shown(io.StringIO(), 0, half, end) == "verify\n"
    assert shown(Terminal(), 0, half, end) == "\r  flash:  50 %\nverify\n"


def test_the_time_limit_becomes_a_deadline() -> None:
    found: list[Deadline] = []

    @click.command()
    @timeout_option(600)
    def work(deadline: Deadline) -> None:
        found.append(deadline)

    for words in ([], ["--timeout", "2.5"]):
        assert CliRunner().invoke(work, words).exit_code == 0
    assert [(each.seconds, each.what) for each in found] == [(600, "work"), (2.5, "work")]


@pytest.mark.parametrize("value", ["0", "-1", "soon"])
def test_a_time_limit_must_be_positive(value: str) -> None:
    @click.command()
    @timeout_option(600)
    def work(deadline: Deadline) -> None:
        raise AssertionError("must not run")

    assert CliRunner().invoke(work, ["--timeout", value]).exit_code == 2


def test_json_is_compact_and_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"text": "Käse\n", "n": [1, 2]})
    out = capsys.readouterr().out
    assert out == '{"text":"Käse\\n","n":[1,2]}\n'
    assert json.loads(out) == {"text": "Käse\n", "n": [1, 2]}


def test_work_goes_on_where_nobody_reads_its_progress() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w", buffering=1) as stream:
        bus = Bus([Progress(stream)])
        os.close(reading)
        with bus.step("build", "one"), bus.step("build", "two"):
            pass
    with Bus([Progress(None)]).step("build", "three"):
        pass


def test_output_that_was_closed_from_the_start_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    write_raw(b"token")
