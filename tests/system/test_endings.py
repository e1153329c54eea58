"""I2 across resets, I9: what a reset leaves in DRAM, and what is left of a secure world that panicked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attacker import Attacker, abi
from resident import Resident

from flexkit import engine
from flexkit.deadline import Deadline
from flexkit.drivers import Session
from flexkit.link.client import InferRequest, InferResult, Token

ABI = abi()
PATTERN = 0x5EC2E7_0000_0000
POLL_SECONDS = 0.05


ENDLESS = 300
"""Tokens of an answer of which the first is seen long before the last is computed."""


class _ResetNow(Exception):
    """The answer is not waited for."""


def _dram_word(board: Session, pa: int) -> int:
    """Eight bytes of physical memory as the emulator has them, past every protection."""
    limit = Deadline(20, "look into DRAM")
    with board.emulator.monitor(limit) as monitor:
        text = monitor.execute("human-monitor-command", limit, **{"command-line": f"xp /1gx {pa:#x}"})
    return int(str(text).split(":")[1].split()[0], 0)


@pytest.fixture
def own_board(open_session: Callable[..., object]) -> Iterator[Session]:
    """A boot for one test alone: it will not survive."""
    with open_session() as session:  # type: ignore[attr-defined]
        yield session


def _wait_next_boot(board: Session, boots: int, stage: str) -> None:
    """Until the board has come to ``stage`` of a boot after the ``boots``-th."""
    limit = Deadline(120, f"{stage} of the next boot")
    while board.console.boots <= boots:
        limit.check()
        time.sleep(POLL_SECONDS)
    board.console.wait_stage(stage, limit)


def _secret_page(board: Session) -> int:
    attacker = Attacker(board.client)
    board.client.protect(True, Deadline(30, "protect"))
    page = attacker.own_pages(1)[0]
    attacker.run(f"fill {PATTERN:#x}")
    assert attacker.batch(ABI["FLEX_MON_DONATE"], 0, 1)["x0"] == 0
    assert _dram_word(board, page) == PATTERN
    return page


@pytest.mark.boards("qemu-virt", "qemu-virt-rme")
def test_a_reset_by_linux_scrubs_first(own_board: Session) -> None:
    page = _secret_page(own_board)
    boots = own_board.console.boots
    own_board.client.spawn("echo 1 > /proc/sys/kernel/sysrq; echo b > /proc/sysrq-trigger")
    _wait_next_boot(own_board, boots, "bl1")
    assert _dram_word(own_board, page) != PATTERN


@pytest.mark.boards("qemu-virt", "qemu-virt-rme")
def test_a_reset_by_the_board_scrubs_before_linux(own_board: Session) -> None:
    page = _secret_page(own_board)
    boots = own_board.console.boots
    own_board.emulator.reset(Deadline(30, "reset"))
    _wait_next_boot(own_board, boots, "kernel")
    assert _dram_word(own_board, page) != PATTERN


def test_a_reset_in_mid_inference_leaves_no_weights(own_board: Session) -> None:
    """The board is held at the first token, looked into (weights lie there), and reset: they are gone before Linux."""
    limit = Deadline(240, "reset in mid-inference")
    boots, resident = own_board.console.boots, Resident.load(own_board)
    resident()
    pages = Attacker(own_board.client).driver_pages()[::40]
    weights: dict[int, int] = {}

    def reset(token: Token) -> None:
        with own_board.emulator.monitor(limit) as monitor:
            monitor.execute("stop", limit)
        weights.update({page: word for page in pages if (word := _dram_word(own_board, page))})
        own_board.emulator.reset(limit)
        with own_board.emulator.monitor(limit) as monitor:
            monitor.execute("cont", limit)
        raise _ResetNow

    request = InferRequest(resident.path, resident.prompt, ENDLESS, threads=2, ignore_eos=True)
    with pytest.raises(_ResetNow):
        own_board.client.infer(request, limit, reset)
    assert len(weights) > len(pages) // 2
    _wait_next_boot(own_board, boots, "kernel")
    assert {page for page, word in weights.items() if _dram_word(own_board, page) == word} == set()


def test_a_secure_panic_ends_the_session_and_nothing_else(
    open_session: Callable[..., object], demo: Path, story: str
) -> None:
    limit = Deadline(240, "panic")
    expected = engine.reference_tokens(demo, story, 8, ignore_eos=True).tokens
    with open_session() as board:  # type: ignore[attr-defined]
        attacker = Attacker(board.client)
        path = board.put_model(demo, limit)
        request = InferRequest(path, story, 8, threads=2, ignore_eos=True)

        def ids() -> tuple[int, ...]:
            result: InferResult = board.client.infer(request, limit)
            return tuple(token.id for token in result.tokens)

        assert ids() == expected
        answer = attacker.smc(ABI["FLEX_TOS_START"], ABI["FLEX_OP_DRILL"], ABI["FLEX_DRILL_PANIC"])
        while answer["x0"] == ABI["FLEX_TOS_PREEMPTED"]:
            answer = attacker.smc(ABI["FLEX_TOS_RESUME"], answer["x1"], 0)
        assert answer["x0"] == ABI["FLEX_E_PANIC"]
        assert (answer["simd_same"], answer["high_zero"]) == (1, 1)
        record = attacker.smc(ABI["FLEX_MON_RECORD"], 0)
        assert record["x1"] == ABI["FLEX_PANIC_MAGIC"]
        assert attacker.smc(ABI["FLEX_MON_STAT"], ABI["FLEX_STAT_PANICS"])["x1"] == 1
        assert ids() == expected
        assert board.client.check("cat /sys/devices/system/cpu/online", limit).strip() == "0-1"
