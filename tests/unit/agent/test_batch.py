"""A batch of requests, worked off by the agent itself (built for this machine) and read afterwards."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_agent import AGENT_ID, host_agent

from flexkit import paths
from flexkit.deadline import Deadline
from flexkit.errors import BoardLost
from flexkit.link.batch import DONE, Batch
from flexkit.link.client import AgentError, Client, InferRequest
from flexkit.link.protocol import MeasureKind

LIMIT = Deadline(3600, "test")
DEMO = paths.project() / "models/demo.gguf"


def work_off(batch: Batch, folder: Path) -> bytes:
    """What the agent prints."""
    file = folder / "batch"
    file.write_bytes(batch.bytes)
    return subprocess.run([host_agent(), "--batch", file], capture_output=True, check=True, timeout=60).stdout


def test_every_request_has_its_own_answer(tmp_path: Path) -> None:
    batch = Batch()
    request = InferRequest(str(DEMO), "Once upon a time", 4, mode="stock", threads=1, context=64)
    calls: list[Callable[[Client], object]] = [
        lambda client: client.identify(LIMIT).agent,
        lambda client: client.execute("seq 1 3000; exit 3", LIMIT).out.count(b"\n"),
        lambda client: [token.id for token in client.infer(request, LIMIT).tokens],
        lambda client: client.infer(request, LIMIT).finish,
    ]
    numbers = [batch.plan(call) for call in calls]
    batch.take(work_off(batch, tmp_path))
    said = [batch.answer(number, call) for number, call in zip(numbers, calls, strict=True)]
    assert said[:2] == [AGENT_ID, 3000]
    assert isinstance(said[2], list)
    assert len(said[2]) == 4
    assert said[3] == "length"


def test_an_error_is_the_answer_of_its_own_request_only(tmp_path: Path) -> None:
    batch = Batch()
    first = batch.plan(lambda client: client.measure(MeasureKind.CALL, 10, 1, LIMIT))
    second = batch.plan(lambda client: client.ping(LIMIT))
    batch.take(work_off(batch, tmp_path))
    with pytest.raises(AgentError, match="No such file"):  # no /dev/flexserve on this machine
        batch.answer(first, lambda client: client.measure(MeasureKind.CALL, 10, 1, LIMIT))
    assert batch.answer(second, lambda client: client.ping(LIMIT)) > 0


def test_memory_that_is_held_does_not_hold_the_batch_up(tmp_path: Path) -> None:
    batch = Batch()
    held = batch.plan(lambda client: client.hold(1 << 50, LIMIT))
    batch.plan(lambda client: client.ping(LIMIT))
    batch.take(work_off(batch, tmp_path))
    assert batch.answer(held, lambda client: client.hold(1 << 50, LIMIT))[1] == 0


@pytest.mark.parametrize("spoil", [lambda text: text.replace(DONE, b""), lambda text: text[:200] + text[700:]])
def test_answers_that_are_not_all_there_are_no_answers(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    batch = Batch()
    batch.plan(lambda client: client.execute("seq 1 3000", LIMIT))
    printed = work_off(batch, tmp_path)
    with pytest.raises(BoardLost):
        batch.take(spoil(printed))


def test_a_file_that_is_not_there_is_an_error() -> None:
    ended = subprocess.run([host_agent(), "--batch", "/nowhere"], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr == "flexagent: /nowhere: No such file or directory\n"
