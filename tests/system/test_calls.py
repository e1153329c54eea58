"""I5, I6: what the normal world says is checked before anything changes, and nothing secure stays in registers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attacker import Attacker, abi

from flexkit.deadline import Deadline
from flexkit.drivers import Session
from flexkit.link.client import InferResult

ABI = abi()
DONATE, RECALL = ABI["FLEX_MON_DONATE"], ABI["FLEX_MON_RECALL"]
INVAL, STATE, DENIED, UNKNOWN = (ABI[f"FLEX_E_{name}"] for name in ("INVAL", "STATE", "DENIED", "UNKNOWN"))


@pytest.fixture
def pages(board: Session, attacker: Attacker) -> list[int]:
    board.client.protect(True, Deadline(30, "protect"))
    return attacker.own_pages(3)


def _secure_pages(attacker: Attacker) -> int:
    return attacker.smc(ABI["FLEX_MON_STAT"], ABI["FLEX_STAT_SECURE_PAGES"])["x1"]


@pytest.mark.parametrize(
    ("what", "second"),
    [
        ("unaligned", lambda board, page: page + 8),
        ("not DRAM", lambda board, page: 0x0900_0000),
        ("beyond DRAM", lambda board, page: board.memory.dram_end),
        ("beyond the address space", lambda board, page: 1 << 63),
        ("monitor memory", lambda board, page: board.memory.region("pages").base),
        ("payload memory", lambda board, page: board.memory.region("payload").base),
    ],
)
def test_a_malformed_address_refuses_the_whole_batch(
    board: Session, attacker: Attacker, pages: list[int], what: str, second: Callable[..., int]
) -> None:
    before = _secure_pages(attacker)
    bad = second(board.board, pages[1])
    answer = attacker.batch(DONATE, 0, 3, pages[0], bad, pages[2])
    assert answer["x0"] == INVAL, what
    assert _secure_pages(attacker) == before
    assert attacker.run(f"access r {pages[0]:#x} 0")["ret"] == 0


def test_a_page_given_twice_stops_the_batch_there(attacker: Attacker, pages: list[int]) -> None:
    answer = attacker.batch(DONATE, 0, 3, pages[0], pages[0], pages[1])
    assert answer["x0"] in (STATE, ABI["FLEX_E_BUSY"])
    done = answer["x1"]
    assert done <= 1
    assert attacker.run(f"access r {pages[1]:#x} 0")["ret"] == 0
    if done:
        assert attacker.batch(RECALL, 0, 1, pages[0])["x2"] == 1
    assert attacker.run(f"access r {pages[0]:#x} 0")["ret"] == 0


@pytest.mark.parametrize("place", ["tables", "shared"])
def test_the_monitors_own_dram_cannot_be_donated(
    board: Session, attacker: Attacker, pages: list[int], place: str
) -> None:
    region = board.board.memory.region(place)
    assert attacker.batch(DONATE, 0, 1, region.base)["x0"] in (STATE, INVAL)
    assert attacker.batch(DONATE, 0, 1, region.end - 0x1000)["x0"] in (STATE, INVAL)


@pytest.mark.parametrize(
    ("mailbox", "first", "count"),
    [(16, 0, 1), (1 << 32, 0, 1), (0, 0, 513), (0, 0, 0), (0, 2, 1), (0, (1 << 64) - 1, 1), (0, 0, (1 << 64) - 1)],
)
@pytest.mark.parametrize("call", ["FLEX_MON_DONATE", "FLEX_MON_RECALL"])
def test_bad_batch_arguments(
    attacker: Attacker, pages: list[int], call: str, mailbox: int, first: int, count: int
) -> None:
    assert attacker.smc(ABI[call], mailbox, first, count)["x0"] == INVAL


def test_recall_of_normal_and_foreign_pages_says_why(board: Session, attacker: Attacker, pages: list[int]) -> None:
    answer = attacker.batch(RECALL, 0, 1, pages[0])
    assert (answer["x0"], answer["x2"], answer["result0"]) == (0, 0, STATE)
    tables = board.board.memory.region("tables").base
    assert attacker.batch(RECALL, 0, 1, tables)["x2"] == 0


@pytest.mark.parametrize("name", ["CLAIM", "DROP", "REGION_USE", "PANIC", "EL2_FAULT"])
def test_calls_of_the_secure_world_are_not_for_the_kernel(attacker: Attacker, name: str) -> None:
    assert attacker.smc(ABI[f"FLEX_MON_{name}"], 0, 1, 0)["x0"] == DENIED


@pytest.mark.parametrize("name", ["RETURN", "BOOT_DONE", "CPU_DONE"])
def test_the_dispatchers_calls_are_not_for_the_kernel(attacker: Attacker, name: str) -> None:
    assert attacker.smc(ABI[f"FLEX_SPD_{name}"], 0, 0, 0)["x0"] in (DENIED, UNKNOWN)


@pytest.mark.parametrize("size", [0, 0x1000, 0x20_0000 + 0x1000, 1 << 63])
def test_malformed_regions_are_refused(attacker: Attacker, pages: list[int], size: int) -> None:
    assert attacker.smc(ABI["FLEX_MON_REGION_SECURE"], 0x8000_0000, size)["x0"] == INVAL


def test_protection_stays_on_while_something_is_secure(attacker: Attacker, pages: list[int]) -> None:
    assert attacker.batch(DONATE, 0, 1, pages[0])["x0"] == 0
    assert attacker.smc(ABI["FLEX_MON_PROTECT"], 0)["x0"] in (STATE, ABI["FLEX_E_TIMEOUT"])
    assert attacker.run(f"access r {pages[0]:#x} 0")["ret"] == -14
    assert attacker.batch(RECALL, 0, 1, pages[0])["x2"] == 1


def test_a_thread_is_resumed_once_only(attacker: Attacker) -> None:
    """A thread that is preempted in the middle of a pattern of secrets leaves none of it, and its id works once."""
    first = attacker.smc(ABI["FLEX_TOS_START"], ABI["FLEX_OP_DRILL"], ABI["FLEX_DRILL_SIMD"])
    assert first["x0"] == ABI["FLEX_TOS_PREEMPTED"], first
    stale = first["x1"]
    answer = first
    while answer["x0"] == ABI["FLEX_TOS_PREEMPTED"]:
        assert answer["simd_same"] == 1
        assert answer["high_zero"] == 1
        assert ABI["FLEX_DRILL_SIMD_PATTERN"] not in answer.values()
        answer = attacker.smc(ABI["FLEX_TOS_RESUME"], answer["x1"], 0)
    assert answer["x0"] == ABI["FLEX_TOS_DONE"]
    assert (answer["simd_same"], answer["high_zero"]) == (1, 1)
    assert attacker.smc(ABI["FLEX_TOS_RESUME"], stale, 0)["x0"] == STATE


def test_of_two_cores_one_resumes_a_thread(attacker: Attacker) -> None:
    """Both try at the same moment, with the same id, until the thread is done: each time one of them has it."""
    answer = attacker.smc(ABI["FLEX_TOS_START"], ABI["FLEX_OP_DRILL"], ABI["FLEX_DRILL_SIMD"])
    assert answer["x0"] == ABI["FLEX_TOS_PREEMPTED"], answer
    thread, done = answer["x1"], False
    while not done:
        said = attacker.run(f"race {ABI['FLEX_TOS_RESUME']:#x} {thread:#x}")
        had = [core for core in (0, 1) if said[f"cpu{core}_x0"] >= 0]
        assert len(had) == 1
        assert said[f"cpu{1 - had[0]}_x0"] in (STATE, ABI["FLEX_E_BUSY"])
        done, thread = said[f"cpu{had[0]}_x0"] == ABI["FLEX_TOS_DONE"], said[f"cpu{had[0]}_x1"]


@pytest.mark.parametrize("thread", [0, 1, 0xFFFF_FFFF, (1 << 64) - 1])
def test_a_thread_that_never_was_cannot_be_resumed(attacker: Attacker, thread: int) -> None:
    answer = attacker.smc(ABI["FLEX_TOS_RESUME"], thread, 0)
    assert answer["x0"] < 0
    assert answer["simd_same"] == 1


@pytest.mark.parametrize("operation", [0, 99, 1 << 40])
def test_an_unknown_operation_is_refused(attacker: Attacker, operation: int) -> None:
    assert attacker.payload(operation, 0, 0)["x0"] < 0


def test_lies_about_pages_to_the_payload(attacker: Attacker, infer: Callable[..., InferResult]) -> None:
    """Claims for slots of nobody's, of a mailbox that is not there, of pages that are the NW's: refused, and the model
    that is resident still gives its tokens."""
    before = [token.id for token in infer().tokens]
    claim = ABI["FLEX_OP_CLAIM"]
    for mailbox, count, slot in ((15, 1, 262143), (99, 1, 0), (15, 513, 0), (15, 1, 1 << 40), (15, 1, 0)):
        assert attacker.payload(claim, mailbox, count, slot)["x0"] < 0, (mailbox, count, slot)
    assert [token.id for token in infer().tokens] == before


def test_time_in_el3_is_reported(attacker: Attacker, infer: Callable[..., InferResult]) -> None:
    infer()
    ticks = attacker.smc(ABI["FLEX_MON_STAT"], ABI["FLEX_STAT_EL3_MAX_TICKS"])["x1"]
    assert ticks > 0
