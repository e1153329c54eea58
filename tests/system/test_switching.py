"""Protection on demand, attacked at the moment when it is switched: by a core that writes the tables, or stays away."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from attacker import LPIS_ON, PATTERN, Attacker, abi

from flexkit.deadline import Deadline
from flexkit.drivers import Session
from flexkit.errors import FlexError

ABI = abi()
EFAULT = -14
CORES = (0, 1)
ROUNDS = 10
"""Of a redistributor: the bit of GICR_CTLR (offset 0) and the register that names its table in memory."""
FORGED = 0x4000_07FF
"""A page descriptor that would map the start of DRAM, and with it, word by word, all that follows."""


@pytest.fixture
def off(board: Session) -> Iterator[None]:
    """Protection is off before and after, whatever else this boot has done."""
    limit = Deadline(60, "protection off")
    board.client.protect(False, limit)
    yield
    board.client.protect(False, limit)


def _tables(board: Session) -> tuple[int, int]:
    region = board.board.memory.region("tables")
    return region.base, region.size


def _donate_and_probe(attacker: Attacker) -> None:
    """Under protection now: a donated page and the tables fault, on both cores."""
    page = attacker.own_pages(1)[0]
    attacker.run(f"fill {PATTERN:#x}")
    assert attacker.batch(ABI["FLEX_MON_DONATE"], 0, 1)["x0"] == 0
    for core in CORES:
        assert attacker.run(f"access r {page:#x} {core}")["ret"] == EFAULT
        assert attacker.run(f"access w {page:#x} {core} 0")["ret"] == EFAULT
    assert attacker.batch(ABI["FLEX_MON_RECALL"], 0, 1)["x2"] == 1
    attacker.run("free")


def test_what_was_left_in_the_tables_is_not_believed(board: Session, attacker: Attacker, off: None) -> None:
    """Every word of the region is forged while it lies open (the control: it can be); none of that is in force then."""
    base, size = _tables(board)
    attacker.run(f"scribble 1 {base:#x} {size:#x} {FORGED:#x}")
    limit = Deadline(60, "every word is forged")
    while attacker.run(f"access r {base + size - 8:#x} 0")["value"] != FORGED + size - 8:
        limit.check()
    assert attacker.run("scribble")["faulted"] == 0
    assert attacker.run(f"access r {base:#x} 0")["value"] == FORGED
    board.client.protect(True, Deadline(60, "protect"))
    _donate_and_probe(attacker)
    for core in CORES:
        assert attacker.run(f"access r {base:#x} {core}")["ret"] == EFAULT


def test_a_core_that_goes_on_writing_the_tables_is_stopped(board: Session, attacker: Attacker, off: None) -> None:
    """Switched again and again under its hands: whenever protection is on, it holds."""
    base, size = _tables(board)
    limit = Deadline(120, "switching")
    attacker.run(f"scribble 1 {base:#x} {size:#x} {FORGED:#x}")
    for _ in range(ROUNDS):
        board.client.protect(True, limit)
        _donate_and_probe(attacker)
        board.client.protect(False, limit)
    said = attacker.run("scribble")
    assert said["written"] > 0
    assert said["faulted"] > 0


def test_a_core_that_stays_away_leaves_protection_off(board: Session, attacker: Attacker, off: None) -> None:
    """It goes on writing the tables instead of meeting the others: nothing can become secure, and later all is well."""
    base, size = _tables(board)
    attacker.run(f"scribble 1 {base:#x} {size:#x} {FORGED:#x}")
    assert attacker.run(f"smcon 0 {ABI['FLEX_MON_PROTECT']:#x} 1")["x0"] == ABI["FLEX_E_TIMEOUT"]
    page = attacker.own_pages(1)[0]
    assert attacker.batch(ABI["FLEX_MON_DONATE"], 0, 1)["x0"] == ABI["FLEX_E_STATE"]
    assert attacker.run(f"access r {page:#x} 1")["ret"] == 0
    attacker.run("free")
    assert attacker.run("scribble")["faulted"] == 0
    board.client.protect(True, Deadline(60, "protect"))
    _donate_and_probe(attacker)


def test_a_core_that_comes_up_meanwhile_is_under_protection(board: Session, attacker: Attacker, off: None) -> None:
    """Off while protection was switched on: it finds it on."""
    limit = Deadline(60, "hot-plug")
    board.client.check("echo 0 > /sys/devices/system/cpu/cpu1/online", limit)
    board.client.protect(True, limit)
    board.client.check("echo 1 > /sys/devices/system/cpu/cpu1/online", limit)
    _donate_and_probe(attacker)


def test_the_times_of_switching_are_told(board: Session, off: None) -> None:
    limit = Deadline(60, "switching")
    board.client.protect(True, limit)
    board.client.protect(False, limit)
    told = board.client.stats(limit).monitor
    hertz = board.board.cpu.counter_hz
    print(f"on {told['protect_on_ticks'] / hertz * 1e3:.3f} ms, off {told['protect_off_ticks'] / hertz * 1e3:.3f} ms")
    assert told["protect_on_ticks"] > 0
    assert told["protect_off_ticks"] > 0


def test_a_redistributor_cannot_be_made_to_write_memory(board: Session, attacker: Attacker, off: None) -> None:
    """LPIs on: nothing gets secure (the control: they can be turned on). Protection on: they stay off, on each core."""
    assert board.board.gic is not None
    limit = Deadline(60, "redistributors")
    frames = [board.board.gic.redistributors + core * 0x2_0000 for core in range(board.board.cpu.cores)]
    for core, frame in enumerate(frames):
        attacker.run(f"access w4 {frame:#x} {core} {LPIS_ON:#x}")
        assert attacker.run(f"access r4 {frame:#x} {core}")["value"] & LPIS_ON
        with pytest.raises(FlexError):
            board.client.protect(True, limit)
        attacker.run(f"access w4 {frame:#x} {core} 0")
    board.client.protect(True, limit)
    for core, frame in enumerate(frames):
        assert not attacker.aim_redistributor(frame, core, board.board.memory.dram_base)
