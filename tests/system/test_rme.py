"""What is different where the granule protection table isolates pages: Linux has EL2, and what it may never reach is
closed to it from its first instruction. What must hold on every board: the tests marked ``boards``.
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

pytestmark = pytest.mark.boards("qemu-virt-rme")
ABI = abi()
EFAULT = -14
CORES = (0, 1)
"""Of a redistributor: the bit of GICR_CTLR (offset 0) and the register that names its table in memory."""


@pytest.fixture
def off(board: Session) -> None:
    """Nothing is secure yet: the model comes last in this module."""
    board.client.protect(False, Deadline(60, "protection off"))


def test_linux_has_el2_on_every_core(board: Session) -> None:
    assert "All CPU(s) started at EL2" in board.client.check("dmesg", Deadline(20, "dmesg"))


@pytest.mark.parametrize("core", CORES)
def test_tables_and_registers_are_closed_while_protection_is_off(
    board: Session, attacker: Attacker, off: None, core: int
) -> None:
    """The control: its own page, by the same way."""
    page = attacker.own_pages(1)[0]
    assert attacker.run(f"access w {page:#x} {core} {PATTERN:#x}")["ret"] == 0
    tables, smmu = board.board.memory.region("tables"), board.board.smmu
    assert smmu is not None
    for address in (tables.base, tables.end - 8, smmu.base, 0x0902_0000, 0x0A00_0000):
        assert attacker.run(f"access r {address:#x} {core}")["ret"] == EFAULT
        assert attacker.run(f"access w {address:#x} {core} 0")["ret"] == EFAULT


def test_a_redistributor_never_takes_a_table_s_address(board: Session, attacker: Attacker, off: None) -> None:
    """Its first frame can be read (Linux needs that), and what is written there is swallowed, on each core."""
    assert board.board.gic is not None
    frames = [board.board.gic.redistributors + core * 0x2_0000 for core in CORES]
    for core, frame in enumerate(frames):
        assert attacker.run(f"access r4 {frame + 8:#x} {core}")["value"] != 0
        assert not attacker.aim_redistributor(frame, core, board.board.memory.dram_base)


def test_nothing_is_donated_while_bus_masters_pass_the_smmu_by(attacker: Attacker, off: None) -> None:
    """The table alone would keep cores out; while it is all that there is, no page gets secure."""
    page = attacker.own_pages(1)[0]
    assert attacker.batch(ABI["FLEX_MON_DONATE"], 0, 1)["x0"] == ABI["FLEX_E_STATE"]
    assert attacker.run(f"access w {page:#x} 0 {PATTERN:#x}")["ret"] == 0


def test_one_core_switches_protection_without_the_others(board: Session, attacker: Attacker, off: None) -> None:
    """A core that comes up later has granule protection like all others."""
    limit = Deadline(60, "switch")
    board.client.check("echo 0 > /sys/devices/system/cpu/cpu1/online", limit)
    assert attacker.run(f"smcon 0 {ABI['FLEX_MON_PROTECT']:#x} 1")["x0"] == 0
    page = attacker.own_pages(1)[0]
    assert attacker.batch(ABI["FLEX_MON_DONATE"], 0, 1)["x0"] == 0
    board.client.check("echo 1 > /sys/devices/system/cpu/cpu1/online", limit)
    for core in CORES:
        assert attacker.run(f"access r {page:#x} {core}")["ret"] == EFAULT
        assert attacker.run(f"access w {page:#x} {core} 0")["ret"] == EFAULT
    assert attacker.batch(ABI["FLEX_MON_RECALL"], 0, 1)["x2"] == 1
    assert attacker.run(f"access r {page:#x} 1") == {"ret": 0, "value": 0, "status": 0}


@pytest.mark.parametrize("mode", ["flexserve", "strawman", "strawman-opt", "normal"])
def test_the_tokens_are_those_of_every_board(
    infer: Callable[..., InferResult], demo: Path, story: str, mode: str
) -> None:
    """Scattered pages and contiguous regions, in the secure address space; neither in ``normal``."""
    expected = engine.reference_tokens(demo, story, 24, ignore_eos=True)
    assert tuple(token.id for token in infer(24, mode=mode).tokens) == expected.tokens
