"""External commands: deadlines, failures, and children that do not outlive us."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from processes import wait_ended

from flexkit import proc
from flexkit.deadline import Deadline
from flexkit.errors import BuildError, MissingTool, TimedOut


def test_output_is_returned_and_everything_is_logged(tmp_path: Path) -> None:
    log = tmp_path / "log"
    out = proc.run(["sh", "-c", "echo out; echo err >&2"], Deadline(10, "echo"), log=log)
    assert out == "out\n"
    assert log.read_text().splitlines() == ["$ sh -c echo out; echo err >&2", "out", "err"]


def test_a_failure_carries_the_last_lines_and_the_callers_kind() -> None:
    with pytest.raises(BuildError, match=r"(?s)status 3.*the reason"):
        proc.run(["sh", "-c", "echo the reason >&2; exit 3"], Deadline(10, "compile"), error=BuildError)


def test_a_missing_program_says_how_to_mend_it() -> None:
    with pytest.raises(MissingTool) as caught:
        proc.run(["flexkit-no-such-tool"], Deadline(10, "nothing"))
    assert "doctor" in caught.value.mend


def test_a_hung_command_and_its_children_end_at_the_deadline(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    with pytest.raises(TimedOut, match="hang"):
        proc.run(["sh", "-c", f"sleep 100 & echo $$ $! > {pids}; wait"], Deadline(5, "hang"))
    for pid in pids.read_text().split():
        wait_ended(int(pid), Deadline(30, "they end"))


def test_stop_kills_a_child_that_ignores_the_first_signal() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", "import signal as s; s.signal(15, s.SIG_IGN); print(1, flush=True); s.pause()"],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert child.stdout is not None
    child.stdout.readline()
    assert proc.stop(child, grace=0.2) == -9
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)
    child.stdout.close()
