"""I8: interrupts of the normal world come while the secure world computes and while pages change hands.

Lateness is measured by a timer on each core (driver: debugfs ``flexserve/latency``), which knows whether the firmware
had the core until it fired. No bound here is a time of this host: lateness is held against the length of the
computation that it interrupted. How long EL3 keeps a core is counted in instructions: test_other_boots.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from attacker import Attacker

from flexkit import engine, models
from flexkit.deadline import Deadline
from flexkit.drivers import Session
from flexkit.events import Bus
from flexkit.link.client import InferRequest, InferResult

CORES = (0, 1)
PERIOD_US = 500
BLOCK_MS = 60
_FILE = "/sys/kernel/debug/flexserve/latency"


class Lateness:
    """Nanoseconds by which interrupts came late while it was measured: ``late["cpu0_secure_p50"]``."""

    def __init__(self, board: Session) -> None:
        self._board = board

    def start(self) -> None:
        self._board.client.check(f"echo {PERIOD_US} > {_FILE}", Deadline(20, "start"))

    def stop(self) -> dict[str, int]:
        text = self._board.client.check(f"echo 0 > {_FILE} && cat {_FILE}", Deadline(20, "lateness"))
        return {key: int(value) for key, value in (line.split(": ") for line in text.splitlines())}


@pytest.fixture
def lateness(board: Session) -> Iterator[Lateness]:
    measured = Lateness(board)
    yield measured
    measured.stop()


@pytest.fixture
def long_prompt(board: Session) -> Callable[[], InferResult]:
    """A prompt of a 25M model that computes on both cores for much longer than a timer's period."""
    model = models.synthetic("25M", "q8_0", 1, Bus())
    prompt = models.prompt_of(model, 64, 3)
    limit = Deadline(300, "25M prompt")
    path = board.put_model(model, limit)
    expected = engine.reference_tokens(model, prompt, 2, ignore_eos=True)

    def run() -> InferResult:
        result = board.client.infer(InferRequest(path, prompt, 2, threads=2, ignore_eos=True), limit)
        assert tuple(token.id for token in result.tokens) == expected.tokens
        return result

    run()
    return run


@pytest.mark.parametrize("core", CORES)
def test_control_interrupts_held_off_are_seen_late(lateness: Lateness, attacker: Attacker, core: int) -> None:
    """The instrument sees a core that serves none."""
    lateness.start()
    attacker.run(f"block {core} {BLOCK_MS}")
    late = lateness.stop()
    assert late[f"cpu{core}_all_max"] > (BLOCK_MS - 2 * PERIOD_US // 1000) * 1_000_000
    assert late[f"cpu{core}_secure_samples"] == 0


def test_interrupts_come_while_the_secure_world_computes(
    board: Session, lateness: Lateness, long_prompt: Callable[[], InferResult]
) -> None:
    """Were they held off, the first to be served would be as late as the computation is long."""
    limit = Deadline(60, "counters")
    preempted = board.client.stats(limit).driver["preemptions"]
    lateness.start()
    result = long_prompt()
    late = lateness.stop()
    preempted = board.client.stats(limit).driver["preemptions"] - preempted
    length = (result.first_token - result.submitted) * 1_000_000_000 // board.board.cpu.counter_hz
    print(f"computed {length} ns to the first token; lateness in ns beside it: {late}")
    for core in CORES:
        assert late[f"cpu{core}_secure_samples"] > 10
        assert late[f"cpu{core}_secure_p50"] < length / 10
    assert preempted >= sum(late[f"cpu{core}_secure_samples"] for core in CORES) / 2


def test_interrupts_come_between_the_parts_of_batches(board: Session, lateness: Lateness, attacker: Attacker) -> None:
    """512 pages are donated and recalled, scrubbed, again and again: most interrupts wait for less than one round."""
    board.client.protect(True, Deadline(30, "protect"))
    attacker.own_pages(512)
    lateness.start()
    begin = time.monotonic()
    done = attacker.run("churn 100")
    length = (time.monotonic() - begin) * 1_000_000_000
    late = lateness.stop()
    print(f"churned for {length:.0f} ns: {done}; lateness in ns beside it: {late}")
    assert (done["x0"], done["rounds"]) == (0, 100)
    assert done["recall_calls"] >= 100 * 512 // 64
    for core in CORES:
        assert late[f"cpu{core}_all_samples"] > 10
        assert late[f"cpu{core}_all_p50"] < length / 100
