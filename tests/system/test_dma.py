"""I1 for DMA: a device behind the SMMU, programmed by the attacker, moves nothing to or from a secure page.

The device is QEMU's "edu", which copies on command and needs an interrupt controller with MSI: this one boot has the
GIC's ITS on, which the product's machine has not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attacker import PATTERN, Attacker

from flexkit import engine
from flexkit.deadline import Deadline
from flexkit.drivers import Session
from flexkit.link.client import InferResult

EDU = ("-machine", "its=on", "-device", "edu,dma_mask=0xffffffffffffffff")


@pytest.fixture(scope="module")
def board(open_session: Callable[..., object]) -> Iterator[Session]:
    """One boot with the attacker's device."""
    with open_session(extra=EDU) as session:  # type: ignore[attr-defined]
        yield session


def test_dma_moves_between_normal_pages(board: Session, attacker: Attacker) -> None:
    """The control of the next two tests: the device works, also under protection."""
    board.client.protect(True, Deadline(30, "protect"))
    first, second = attacker.own_pages(2)
    attacker.run(f"access w {first:#x} 0 {PATTERN:#x}")
    attacker.run(f"dma in {first:#x} 64")
    attacker.run(f"dma out {second:#x} 64")
    assert attacker.run(f"access r {second:#x} 0")["value"] == PATTERN


def test_dma_cannot_read_a_secure_page(attacker: Attacker, secured: list[int]) -> None:
    clean = attacker.own_pages(1)[0]
    attacker.run(f"dma in {clean:#x} 64")
    attacker.run(f"dma in {secured[0]:#x} 64")
    spare = attacker.run("list")["page4"]
    attacker.run(f"dma out {spare:#x} 64")
    assert attacker.run(f"access r {spare:#x} 0")["value"] == 0


def test_dma_cannot_write_weights(
    board: Session, attacker: Attacker, infer: Callable[..., InferResult], demo: Path, story: str
) -> None:
    expected = engine.reference_tokens(demo, story, 8, ignore_eos=True)
    infer()
    source = attacker.own_pages(1)[0]
    attacker.run(f"fill {PATTERN:#x}")
    attacker.run(f"dma in {source:#x} 4096")
    for page in attacker.driver_pages()[::61]:
        attacker.run(f"dma out {page:#x} 4096")
    assert tuple(token.id for token in infer().tokens) == expected.tokens
