"""I1 for DMA: a device that copies on command, programmed by the attacker, moves nothing to or from a secure page.

The device is QEMU's "edu", which needs an interrupt controller with MSI: this one boot has the GIC's ITS, which the
product's machine has not. Protection is refused while its LPIs are on (test_other_boots.py), so the attacker, who owns
the redistributors until then, turns them off; disk and network take wired interrupts instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from attacker import PATTERN, Attacker

from flexkit import engine
from flexkit.deadline import Deadline
from flexkit.drivers import Session
from flexkit.link.client import InferResult

MACHINE = (
    *("-machine", "its=on", "-device", "edu,dma_mask=0xffffffffffffffff"),
    *("-global", "virtio-blk-pci.vectors=0", "-global", "virtio-net-pci.vectors=0"),
)
REDISTRIBUTOR = 0x2_0000
"""Bytes of a redistributor's two frames; the first register of the first frame holds EnableLPIs."""


@pytest.fixture(scope="module")
def board(open_session: Callable[..., AbstractContextManager[Session]]) -> Iterator[Session]:
    """One boot with the attacker's device, protection on."""
    with open_session(extra=MACHINE) as session:
        attacker, gic = Attacker(session.client), session.board.gic
        assert gic is not None
        for core in range(session.board.cpu.cores):
            attacker.run(f"access w4 {gic.redistributors + core * REDISTRIBUTOR:#x} {core} 0")
        session.client.protect(True, Deadline(30, "protect"))
        yield session


def test_control_it_moves_between_normal_pages(board: Session, attacker: Attacker) -> None:
    """Under protection too: what it cannot do in the next tests is for want of permission alone."""
    board.client.protect(True, Deadline(30, "protect"))
    first, second = attacker.own_pages(2)
    attacker.run(f"access w {first:#x} 0 {PATTERN:#x}")
    attacker.run(f"dma in {first:#x} 64")
    attacker.run(f"dma out {second:#x} 64")
    assert attacker.run(f"access r {second:#x} 0")["value"] == PATTERN


def test_it_cannot_read_a_secure_page(attacker: Attacker, secured: list[int]) -> None:
    clean = attacker.own_pages(1)[0]
    attacker.run(f"dma in {clean:#x} 64")
    attacker.run(f"dma in {secured[0]:#x} 64")
    spare = attacker.run("list")["page4"]
    attacker.run(f"dma out {spare:#x} 64")
    assert attacker.run(f"access r {spare:#x} 0")["value"] == 0


def test_it_cannot_write_weights(attacker: Attacker, infer: Callable[..., InferResult], demo: Path, story: str) -> None:
    expected = engine.reference_tokens(demo, story, 8, ignore_eos=True)
    infer()
    source = attacker.own_pages(1)[0]
    attacker.run(f"fill {PATTERN:#x}")
    attacker.run(f"dma in {source:#x} 4096")
    for page in attacker.driver_pages()[::61]:
        attacker.run(f"dma out {page:#x} 4096")
    assert tuple(token.id for token in infer().tokens) == expected.tokens
