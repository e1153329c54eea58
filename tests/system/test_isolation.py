"""I1, I2: a page that is secure can be neither read nor written by the kernel, and comes back empty.

Every attack has its control: the same access to the same page while it is the normal world's works.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from attacker import PATTERN, Attacker, abi

from flexkit import engine
from flexkit.deadline import Deadline
from flexkit.drivers import Session
from flexkit.link.client import InferResult

pytestmark = pytest.mark.boards("qemu-virt", "qemu-virt-rme")
ABI = abi()
EFAULT = -14
CORES = (0, 1)


def test_control_a_normal_page_is_read_and_written_on_both_cores(board: Session, attacker: Attacker) -> None:
    board.client.protect(True, Deadline(30, "protect"))
    page = attacker.own_pages(1)[0]
    attacker.run(f"fill {PATTERN:#x}")
    for core in CORES:
        assert attacker.run(f"access r {page:#x} {core}") == {"ret": 0, "value": PATTERN + core, "status": 0}
        assert attacker.run(f"access w {page:#x} {core} {PATTERN + core + 1:#x}")["ret"] == 0
    assert attacker.run(f"plain r {page:#x} 1") == {"died": 0, "value": PATTERN + 2, "status": 0}


@pytest.mark.parametrize("core", CORES)
def test_a_kernel_access_to_a_secure_page_faults(attacker: Attacker, secured: list[int], core: int) -> None:
    for page in secured:
        assert attacker.run(f"access r {page:#x} {core}") == {"ret": EFAULT, "value": 0, "status": 0}
        assert attacker.run(f"access w {page:#x} {core} 1")["ret"] == EFAULT


def test_an_ordinary_load_kills_its_thread_and_nothing_else(
    board: Session, attacker: Attacker, secured: list[int]
) -> None:
    for core in CORES:
        assert attacker.run(f"plain r {secured[0]:#x} {core}")["died"] == 1
        assert attacker.run(f"plain w {secured[0]:#x} {core} 1")["died"] == 1
    assert board.client.check("cat /sys/devices/system/cpu/online", Deadline(10, "cores")).strip() == "0-1"


def test_what_comes_back_is_scrubbed(board: Session, attacker: Attacker) -> None:
    board.client.protect(True, Deadline(30, "protect"))
    attacker.own_pages(512)
    attacker.run(f"fill {PATTERN:#x}")
    assert attacker.run(f"look {PATTERN:#x}") == {"pages": 512, "same": 512, "zero": 0, "fault": 0, "status": 0}
    assert attacker.batch(ABI["FLEX_MON_DONATE"], 0, 512)["x1"] == 512
    assert attacker.run(f"look {PATTERN:#x}") == {"pages": 512, "same": 0, "zero": 0, "fault": 512, "status": 0}
    recalled = attacker.batch(ABI["FLEX_MON_RECALL"], 0, 512)  # in several calls: each stay in EL3 is short
    assert (recalled["x0"], recalled["x1"]) == (0, 512)
    assert attacker.run(f"look {PATTERN:#x}") == {"pages": 512, "same": 0, "zero": 512, "fault": 0, "status": 0}


def test_weights_in_use_survive_an_attack_on_every_page(
    board: Session, attacker: Attacker, infer: Callable[..., InferResult], demo: Path, story: str
) -> None:
    expected = engine.reference_tokens(demo, story, 8, ignore_eos=True)
    assert tuple(token.id for token in infer().tokens) == expected.tokens
    pages = attacker.driver_pages()
    assert len(pages) > 100
    for number, page in enumerate(pages[::37]):
        core = number % 2
        assert attacker.run(f"access w {page:#x} {core} 0xdead")["ret"] == EFAULT
        assert attacker.run(f"access r {page:#x} {core}")["ret"] == EFAULT
    assert tuple(token.id for token in infer().tokens) == expected.tokens


@pytest.mark.parametrize("core", CORES)
def test_tables_and_vector_are_hidden(board: Session, attacker: Attacker, core: int) -> None:
    board.client.protect(True, Deadline(30, "protect"))
    tables = board.board.memory.region("tables")
    for page in (tables.base, tables.base + 0x1000, tables.end - 0x1000):
        assert attacker.run(f"access r {page:#x} {core}")["ret"] == EFAULT
        assert attacker.run(f"access w {page:#x} {core} 0")["ret"] == EFAULT


def test_a_core_that_comes_back_is_under_protection_too(board: Session, attacker: Attacker, secured: list[int]) -> None:
    limit = Deadline(30, "hotplug")
    for state in "0", "1":
        board.client.check(f"echo {state} > /sys/devices/system/cpu/cpu1/online", limit)
    assert board.client.check("cat /sys/devices/system/cpu/online", limit).strip() == "0-1"
    assert attacker.run(f"access r {secured[0]:#x} 1")["ret"] == EFAULT
