"""The soak: random donation, pins, recall and release, compaction and a core that comes and goes, while prompts are
answered. `make nightly` runs 10,000 rounds of it, `make test` enough to have been at everything."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path

import pytest
from resident import Resident

from flexkit import models, paths
from flexkit.build import tools
from flexkit.deadline import Deadline
from flexkit.drivers import Session
from flexkit.link.client import AgentError, Job
from flexkit.proc import run

ROUNDS = int(os.environ.get("FLEXKIT_ROUNDS", "200"))
SECONDS = 300.0 + ROUNDS
"""A lock-up, not slowness, is what takes longer."""
MIB = 1 << 20
LEAK = 24 * MIB
"""What Linux itself may hold more of afterwards (slabs, page tables): less than a page a round of the nightly soak."""
SOURCE = Path(__file__).parent / "programs/soak.c"


@pytest.fixture(scope="module")
def soak(board: Session, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The program that goes through the rounds, on the board."""
    limit = Deadline(120, "the soak program")
    program = tmp_path_factory.mktemp("soak") / "soak"
    abi = paths.project() / "firmware/abi"
    words = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-s", "-I", str(abi), "-o", str(program)]
    run([f"{tools.CROSS}gcc", *words, str(SOURCE)], limit)
    board.put_file(program, "/tmp/soak", limit)
    board.client.check("chmod +x /tmp/soak", limit)
    return "/tmp/soak"


def _free(board: Session) -> int:
    """Free memory when everything that can go has gone."""
    limit = Deadline(60, "drop caches")
    board.client.check("sync; echo 3 > /proc/sys/vm/drop_caches", limit)
    text = board.client.check("cat /proc/meminfo", limit)
    return next(int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith("MemFree:"))


def _lost(board: Session) -> int:
    """Pages that came back from the monitor in no known state: never used again."""
    text = board.client.check("cat /sys/kernel/debug/flexserve/stats", Deadline(20, "counters"))
    return next(int(line.split()[1]) for line in text.splitlines() if line.split()[0].rstrip(":") == "lost")


def _answers(resident: Resident, job: Job) -> dict[str, int]:
    """Prompts until the job has ended. Each gives the right tokens, or ENOMEM where its pages go faster than they
    come."""
    found = {"answered": 0, "refused": 0}
    while job.running():
        try:
            resident()
            found["answered"] += 1
        except AgentError as error:
            if error.number != errno.ENOMEM:
                raise
            found["refused"] += 1
    return found


def test_nothing_is_lost_in_any_number_of_rounds(board: Session, resident: Resident, soak: str) -> None:
    """No page leaks, in any account; no token is wrong; nothing hangs."""
    limit = Deadline(SECONDS, "the soak")
    seed = random.randrange(1, 1 << 32)
    other = board.put_model(models.demo_model(), limit, "flexserve")
    resident.forget()
    free = _free(board)
    resident()

    job = board.client.spawn(f"{soak} {ROUNDS} {seed} {other} 2>&1", limit=limit.remaining)
    answers = _answers(resident, job)
    ended = job.wait(limit)
    print(f"seed {seed}: {ROUNDS} rounds, {answers}, {ended.out.decode().strip()}")
    assert ended.status == 0, ended.out.decode()
    assert answers["answered"] > 0

    resident()
    resident.forget()
    board.client.forget(other, limit)
    after = board.client.stats(limit)
    assert after.info["secure_now"] == after.info["recallable_now"] == 0
    assert after.driver["donated"] == after.driver["recalled"]
    assert after.monitor["secure_pages"] == 0
    assert _lost(board) == 0
    assert free - _free(board) < LEAK
    assert board.client.check("cat /sys/devices/system/cpu/online", limit).strip() == "0-1"
