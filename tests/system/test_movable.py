"""Secure pages do not stand in the way of memory that has to be contiguous: they move, and are not loaded again."""

from __future__ import annotations

import pytest
from attacker import Attacker
from resident import Resident

from flexkit import models
from flexkit.deadline import Deadline
from flexkit.drivers import Session
from flexkit.events import Bus

PAGE = 4096
BLOCK = 512
"""Pages of a block of 2 MiB, the unit in which Linux isolates memory."""


def _moved(board: Session) -> int:
    return board.client.stats(Deadline(20, "stats")).monitor["moved"]


def _secure_blocks(attacker: Attacker) -> list[int]:
    """Where 2 MiB lie that are weights from end to end."""
    pages = attacker.driver_pages()
    counts: dict[int, int] = {}
    for page in pages:
        start = page // (BLOCK * PAGE) * BLOCK * PAGE
        counts[start] = counts.get(start, 0) + 1
    return [start for start, count in sorted(counts.items()) if count == BLOCK]


@pytest.mark.boards("qemu-virt", "qemu-virt-rme")
def test_a_contiguous_range_is_had_where_weights_lie(board: Session, attacker: Attacker, resident: Resident) -> None:
    """The pages move to others, slot by slot; nothing is read again, and the tokens are right."""
    resident()
    blocks = _secure_blocks(attacker)
    assert blocks, "25M parameters fill some blocks of 2 MiB"
    before = _moved(board)
    for block in blocks:
        assert attacker.run(f"contig {block:#x} {BLOCK}")["ret"] == 0
    assert _moved(board) - before >= BLOCK * len(blocks)
    assert resident().loaded_pages == 0


def test_compaction_goes_on_while_weights_are_resident(board: Session, resident: Resident) -> None:
    limit = Deadline(120, "compaction")
    resident()
    for _ in range(3):
        board.client.check("echo 1 > /proc/sys/vm/compact_memory", limit)
        assert resident().loaded_pages == 0


def test_moves_in_the_middle_of_inference(board: Session, attacker: Attacker, resident: Resident) -> None:
    """Pages that a layer has pinned stay for the moment, the others move under it."""
    limit = Deadline(240, "moves while computing")
    resident()
    before = _moved(board)
    mover = "i=0; while [ $i -lt 60 ]; do echo 1 > /proc/sys/vm/compact_memory; i=$((i + 1)); done"
    job = board.client.spawn(mover, limit=200)
    prompts = 0
    while job.running():
        resident()
        prompts += 1
        block = next(iter(_secure_blocks(attacker)), 0)
        if block:
            attacker.run(f"contig {block:#x} {BLOCK}")
    assert job.wait(limit).status == 0
    assert prompts > 0
    assert _moved(board) > before


def test_a_strawman_s_region_displaces_weights(board: Session, resident: Resident) -> None:
    """Weights may lie in CMA's area: they give way to a contiguous region, and stay secure."""
    limit = Deadline(300, "strawman")
    large = models.synthetic("100M", "q8_0", 1, Bus())
    path = board.put_model(large, limit)
    resident()
    assert resident.infer(path, models.prompt_of(large, 8, 3), mode="strawman").tokens
    assert resident().loaded_pages == 0


def test_moved_pages_stay_charged(board: Session, attacker: Attacker, resident: Resident) -> None:
    """A group pays for what it holds, wherever it lies: after moves, all of it comes back when the pages do."""
    limit = Deadline(120, "charge")
    group = "/sys/fs/cgroup/moves"
    resident.forget()
    board.client.check("echo +memory > /sys/fs/cgroup/cgroup.subtree_control", limit)
    board.client.check(f"mkdir {group} && echo $PPID > {group}/cgroup.procs", limit)
    resident()
    board.client.check("echo $PPID > /sys/fs/cgroup/cgroup.procs", limit)

    def kernel() -> int:
        text = board.client.check(f"cat {group}/memory.stat", limit)
        return int(dict(line.split() for line in text.splitlines())["kernel"])

    held = kernel()
    for block in _secure_blocks(attacker):
        assert attacker.run(f"contig {block:#x} {BLOCK}")["ret"] == 0
    assert abs(kernel() - held) < 1 << 20
    secure = board.client.stats(limit).info["secure_now"]
    board.client.recall(secure, limit)
    assert kernel() < held - (secure - 1) * PAGE + (1 << 20)
    resident.forget()
    board.client.check(f"rmdir {group}", limit)
