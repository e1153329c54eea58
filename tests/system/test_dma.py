"""I1 for DMA: what masters memory on this board moves nothing to or from a secure page.

The disk is the attacker's own, on the product's machine; the page that it is aimed at is its only novelty. The GIC as a
master of memory: test_switching.py; a machine that has more of it: test_other_boots.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
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
SECTORS = 8
"""Sectors of a page."""
SECRET = PATTERN.to_bytes(8, "little")
JUNK = b"\x5a" * 4096


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The attacker's disk: junk in its first page, then zeros."""
    path = tmp_path_factory.mktemp("disk") / "scratch"
    path.write_bytes(JUNK + bytes((1 << 20) - len(JUNK)))
    return path


@pytest.fixture(scope="module")
def board(open_session: Callable[..., AbstractContextManager[Session]], scratch: Path) -> Iterator[Session]:
    drive = f"if=none,id=scratch,format=raw,cache=writethrough,file={scratch}"
    device = "virtio-blk-pci,drive=scratch,iommu_platform=on,disable-legacy=on,romfile="
    with open_session(extra=("-drive", drive, "-device", device)) as session:
        yield session


def _stat(attacker: Attacker, name: str) -> int:
    return attacker.smc(ABI["FLEX_MON_STAT"], ABI[f"FLEX_STAT_{name}"])["x1"]


def _page(scratch: Path, number: int) -> bytes:
    with scratch.open("rb") as disk:
        disk.seek(number * 4096)
        return disk.read(4096)


def test_control_the_disk_moves_normal_pages_both_ways(board: Session, attacker: Attacker, scratch: Path) -> None:
    """Under protection too: what it cannot do in the next tests is for want of permission alone."""
    board.client.protect(True, Deadline(30, "protect"))
    page = attacker.own_pages(1)[0]
    attacker.run(f"fill {PATTERN:#x}")
    blocked = _stat(attacker, "DMA_BLOCKED")
    attacker.run(f"disk in {page:#x} {1 * SECTORS}")
    assert _page(scratch, 1)[:8] == SECRET
    attacker.run(f"disk out {page:#x} 0")
    assert attacker.run(f"access r {page:#x} 0")["value"] == int.from_bytes(JUNK[:8], "little")
    assert _stat(attacker, "DMA_BLOCKED") == blocked


def test_the_disk_cannot_read_a_secure_page(attacker: Attacker, secured: list[int], scratch: Path) -> None:
    blocked = _stat(attacker, "DMA_BLOCKED")
    for number, page in enumerate(secured, 2):
        attacker.run(f"disk in {page:#x} {number * SECTORS}")
        assert SECRET not in _page(scratch, number)
    assert _stat(attacker, "DMA_BLOCKED") >= blocked + len(secured)


def test_the_disk_cannot_write_weights(
    attacker: Attacker, infer: Callable[..., InferResult], demo: Path, story: str
) -> None:
    expected = engine.reference_tokens(demo, story, 8, ignore_eos=True)
    infer()
    blocked = _stat(attacker, "DMA_BLOCKED")
    aimed = attacker.driver_pages()[::61]
    for page in aimed:
        attacker.run(f"disk out {page:#x} 0")
    assert _stat(attacker, "DMA_BLOCKED") >= blocked + len(aimed)
    assert tuple(token.id for token in infer().tokens) == expected.tokens


def test_a_translation_in_use_is_forgotten_with_the_batch(board: Session, attacker: Attacker, scratch: Path) -> None:
    """The disk has just used the page, so that its translation is warm: the donation makes the SMMU forget it."""
    board.client.protect(True, Deadline(30, "protect"))
    page = attacker.own_pages(1)[0]
    for _ in range(3):
        attacker.run(f"disk out {page:#x} 0")
    attacker.run(f"fill {PATTERN:#x}")
    forgotten = _stat(attacker, "SMMU_INVALIDATIONS")
    assert attacker.batch(ABI["FLEX_MON_DONATE"], 0, 1)["x0"] == 0
    assert _stat(attacker, "SMMU_INVALIDATIONS") == forgotten + 1
    attacker.run(f"disk in {page:#x} {9 * SECTORS}")
    assert SECRET not in _page(scratch, 9)
    assert attacker.batch(ABI["FLEX_MON_RECALL"], 0, 1, page)["x2"] == 1


@pytest.mark.parametrize(("name", "pa"), [("fw_cfg", 0x0902_0000), ("virtio-mmio", 0x0A00_0000), ("SMMU", 0x0905_0000)])
@pytest.mark.parametrize("core", [0, 1])
def test_registers_that_would_open_a_way_are_out_of_reach(
    board: Session, attacker: Attacker, name: str, pa: int, core: int
) -> None:
    limit = Deadline(30, "protect")
    board.client.protect(True, limit)
    assert attacker.run(f"access r {pa:#x} {core}")["ret"] == EFAULT, name
    assert attacker.run(f"access w {pa:#x} {core} 0")["ret"] == EFAULT, name
