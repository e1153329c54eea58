"""I3: Linux takes secure pages back whenever it wants them, sees them in its accounts, and inference goes on after."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from flexkit import engine, models
from flexkit.deadline import Deadline
from flexkit.drivers import Session
from flexkit.events import Bus
from flexkit.link.client import AgentError, InferRequest, InferResult

MIB = 1 << 20
KIB = 1 << 10
LEFT = 48 * MIB
"""Free memory when the rest is held by a process: more than the kernel keeps for itself (its watermarks)."""
WANTED = 28 * MIB
"""More than the watermarks let a process have of that, far less than that and the 27 MiB of weights."""
ROOM = 60 * MIB
"""As LEFT, for a program of 32 MiB beside prompts that want their weights back, with what pins them."""


def _meminfo(board: Session) -> dict[str, int]:
    text = board.client.check("cat /proc/meminfo", Deadline(20, "meminfo"))
    rows = (line.split() for line in text.splitlines())
    return {row[0].rstrip(":"): int(row[1]) * (KIB if len(row) > 2 else 1) for row in rows}


def _kept(board: Session) -> int:
    """Free bytes that each core keeps for itself: MemFree and MemAvailable do not count them."""
    text = board.client.check("cat /proc/zoneinfo", Deadline(20, "zoneinfo"))
    return 4096 * sum(int(count) for count in re.findall(r"^ +count: +(\d+)$", text, re.MULTILINE))


def _kills(board: Session) -> int:
    """How often the OOM killer came in this boot."""
    return int(board.client.check("grep -w oom_kill /proc/vmstat", Deadline(20, "vmstat")).split()[1])


@pytest.fixture(scope="module")
def resident(board: Session) -> Iterator[Callable[[], InferResult]]:
    """A function that runs a 25M model, whose weights stay in secure memory."""
    model = models.synthetic("25M", "q8_0", 1, Bus())
    prompt = models.prompt_of(model, 8, 3)
    limit = Deadline(600, "25M model")
    path = board.put_model(model, limit)
    expected = engine.reference_tokens(model, prompt, 2, ignore_eos=True)

    def run() -> InferResult:
        result = board.client.infer(InferRequest(path, prompt, 2, threads=2, ignore_eos=True), limit)
        assert tuple(token.id for token in result.tokens) == expected.tokens
        return result

    run()
    yield run
    board.client.forget(path, limit)


def test_linux_accounts_for_what_it_cannot_touch(board: Session, resident: Callable[[], InferResult]) -> None:
    limit = Deadline(60, "accounts")
    resident()
    seen, kept = _meminfo(board), _kept(board)
    secure = board.client.stats(limit).info["secure_now"]
    assert seen["FlexMem"] == secure * 4096
    assert 20 * MIB < seen["FlexMemRecallable"] <= seen["FlexMem"]
    board.client.recall(secure, limit)
    after = _meminfo(board)
    assert after["FlexMem"] < 1 * MIB
    kept = _kept(board) - kept
    assert after["MemFree"] - seen["MemFree"] + kept > 20 * MIB
    assert abs(after["MemAvailable"] - seen["MemAvailable"] + kept) < 16 * MIB


@contextmanager
def _tight(board: Session, leave: int) -> Iterator[None]:
    """Nearly all memory is held by a process: ``leave`` bytes are free."""
    limit = Deadline(120, "hold memory")
    board.client.check("echo 3 > /proc/sys/vm/drop_caches", limit)
    held, _ = board.client.hold(leave, limit)
    try:
        yield
    finally:
        board.client.let_go(held, limit)


def test_weights_give_way_to_a_process_that_wants_memory(board: Session, resident: Callable[[], InferResult]) -> None:
    """A process faults in more than is free: the shrinker takes weights back, nobody is killed, the next prompt is
    right."""
    limit = Deadline(300, "pressure")
    resident()
    before = board.client.stats(limit)
    with _tight(board, LEFT):
        taken = board.client.fault_in(WANTED, limit)
        after = board.client.stats(limit)
    assert taken.size == WANTED
    assert after.driver["shrinker_pages"] > before.driver["shrinker_pages"]
    assert after.info["secure_now"] < before.info["secure_now"]
    assert _kills(board) == 0
    assert resident().loaded_pages > 0


def test_recall_in_the_middle_of_generations(board: Session, resident: Callable[[], InferResult]) -> None:
    """A program takes and leaves the memory of the weights again and again while they are in use. A prompt gives the
    right tokens or a clean ENOMEM, and all is well when the program has gone."""
    limit = Deadline(300, "recall while computing")
    resident()
    before = board.client.stats(limit)
    command = "sysbench memory --memory-block-size=32M --memory-total-size=2000G --time=1 --threads=1 run"
    refused = []
    with _tight(board, ROOM):
        rival = board.client.spawn(f"for i in 1 2 3 4 5 6; do {command}; done", limit=60)
        while rival.running():
            try:
                resident()
            except AgentError as error:
                refused.append(error.number)
        assert rival.wait(limit).status == 0
    assert set(refused) <= {errno.ENOMEM}
    print(f"{len(refused)} prompts were refused for want of memory")
    resident()
    after = board.client.stats(limit)
    assert after.driver["shrinker_pages"] > before.driver["shrinker_pages"]
    assert after.driver["reloads"] > before.driver["reloads"]


def test_a_killed_client_leaves_nothing_pinned(board: Session, resident: Callable[[], InferResult]) -> None:
    limit = Deadline(300, "kill")
    resident()
    quiet = board.client.stats(limit).info
    assert quiet["secure_now"] == quiet["recallable_now"]
