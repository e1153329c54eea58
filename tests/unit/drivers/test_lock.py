"""One user at a time, and the lock dies with its holder."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flexkit import lock
from flexkit.deadline import Deadline
from flexkit.errors import Busy


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEXKIT_STATE", str(tmp_path))


def test_the_holder_is_named_while_it_holds() -> None:
    assert lock.holder("b") == ""
    with lock.acquire("b"):
        assert f"process {os.getpid()}" in lock.holder("b")
        with pytest.raises(Busy, match=f"b is in use by .*{os.getpid()}"), lock.acquire("b"):
            pytest.fail("two at once")
        with lock.acquire("another"):
            pass
    assert lock.holder("b") == ""


def test_the_lock_dies_with_its_holder() -> None:
    program = (
        "import time\nfrom flexkit import lock\nwith lock.acquire('b'):\n    print('has', flush=True)\n"
        "    time.sleep(60)\n"
    )
    top = Path(lock.__file__).resolve().parents[2]
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(top)}
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"has\n"
    assert f"process {child.pid}" in lock.holder("b")
    child.kill()
    child.wait()
    child.stdout.close()
    with lock.acquire("b"):
        pass


def test_one_can_wait_for_it_within_a_deadline() -> None:
    begin = time.monotonic()
    with lock.acquire("b"), pytest.raises(Busy), lock.acquire("b", Deadline(0.5, "wait")):
        pytest.fail("two at once")
    assert time.monotonic() - begin >= 0.5
