"""I3: Linux takes secure pages back whenever it wants them, sees them in its accounts, and inference goes on after."""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from attacker import abi
from resident import Resident

from flexkit import boards
from flexkit.deadline import Deadline
from flexkit.drivers import Session
from flexkit.link.client import AgentError, InferResult, Job

Infer = Callable[..., InferResult]
MIB = 1 << 20
KIB = 1 << 10
PAGE = 4 * KIB
LEFT = 40 * MIB
"""Free memory when the rest is held by a process: more than the kernel keeps for itself (its watermarks)."""
WANTED = 16 * MIB
"""What a process takes of the 27 MiB of weights."""
RESERVE = 16 * MIB
"""What a process has to leave of MemAvailable: page tables for what it takes, pages that each core keeps in hand, and
what the shell around it needs."""


def _meminfo(board: Session) -> dict[str, int]:
    text = board.client.check("cat /proc/meminfo", Deadline(20, "meminfo"))
    rows = (line.split() for line in text.splitlines())
    return {row[0].rstrip(":"): int(row[1]) * (KIB if len(row) > 2 else 1) for row in rows}


def _kept(board: Session) -> int:
    """Free bytes that each core keeps for itself: MemFree and MemAvailable do not count them."""
    text = board.client.check("cat /proc/zoneinfo", Deadline(20, "zoneinfo"))
    return PAGE * sum(int(count) for count in re.findall(r"^ +count: +(\d+)$", text, re.MULTILINE))


def _events(board: Session, *names: str) -> tuple[int, ...]:
    """Counters of /proc/vmstat since boot."""
    text = board.client.check("cat /proc/vmstat", Deadline(20, "vmstat"))
    rows = dict(line.split() for line in text.splitlines())
    return tuple(int(rows[name]) for name in names)


def _kills(board: Session) -> int:
    """How often the OOM killer came in this boot."""
    return _events(board, "oom_kill")[0]


def test_linux_accounts_for_what_it_cannot_touch(board: Session, resident: Resident) -> None:
    limit = Deadline(60, "accounts")
    resident()
    seen, kept = _meminfo(board), _kept(board)
    secure = board.client.stats(limit).info["secure_now"]
    assert seen["FlexMem"] == secure * PAGE
    assert 20 * MIB < seen["FlexMemRecallable"] <= seen["FlexMem"]
    board.client.recall(secure, limit)
    after = _meminfo(board)
    assert after["FlexMem"] < 1 * MIB
    kept = _kept(board) - kept
    assert after["MemFree"] - seen["MemFree"] + kept > 20 * MIB
    assert abs(after["MemAvailable"] - seen["MemAvailable"] + kept) < 16 * MIB


@contextmanager
def _tight(board: Session, leave: int) -> Iterator[None]:
    """Nearly all memory is held by a process: ``leave`` bytes are free."""
    limit = Deadline(300, "hold memory")
    board.client.check("sync; echo 1 > /proc/sys/vm/drop_caches", limit)
    held, _ = board.client.hold(leave, limit)
    try:
        yield
    finally:
        board.client.let_go(held, limit)


def test_weights_give_way_to_a_process_that_wants_memory(board: Session, resident: Resident) -> None:
    """A process faults in more than is free: reclaim takes weights back, nobody is killed, the next prompt is right."""
    limit = Deadline(300, "pressure")
    resident()
    before = board.client.stats(limit)
    with _tight(board, LEFT):
        tight = board.client.stats(limit)
        taken = board.client.fault_in(256 * MIB, limit, until_recalled=WANTED // PAGE)
        after = board.client.stats(limit)
    assert taken.size >= WANTED
    assert taken.recalled_pages * PAGE >= WANTED
    assert tight.info["secure_now"] == before.info["secure_now"], "filling memory up took no weights"
    assert after.info["secure_now"] < tight.info["secure_now"]
    assert _kills(board) == 0
    assert resident().loaded_pages > 0


def _asked(resident: Resident) -> str:
    """A prompt under pressure: anything but the right tokens or ENOMEM is an error."""
    try:
        resident()
    except AgentError as error:
        if error.number != errno.ENOMEM:
            raise
        return "ENOMEM"
    return "answered"


def _beside_rival(board: Session, resident: Resident, size: int, limit: Deadline) -> list[str]:
    """Prompts while a program takes and leaves ``size`` MiB, some dozen times."""
    outcomes = []
    command = f"dd if=/dev/zero of=/dev/null bs={size}M count=2"
    rival = board.client.spawn(f"set -e; for i in $(seq 24); do {command}; done", limit=120)
    while rival.running():
        outcomes.append(_asked(resident))
    assert rival.wait(limit).status == 0
    return outcomes


def test_recall_in_the_middle_of_generations(board: Session, resident: Resident) -> None:
    """A program takes and leaves the memory of the weights again and again while they are in use. A prompt gives the
    right tokens or a clean ENOMEM, and all is well when the program has gone. The program grows until what was free
    and in the page cache is not enough for it."""
    limit = Deadline(600, "recall while computing")
    resident()
    before = board.client.stats(limit).driver
    with _tight(board, LEFT):
        for size in range(36, 56, 2):
            print(f"prompts beside {size} MiB: {_beside_rival(board, resident, size, limit)}")
            _asked(resident)
            if board.client.stats(limit).driver["reloads"] > before["reloads"]:
                break
    resident()
    after = board.client.stats(limit).driver
    assert _kills(board) == 0
    assert after["recalled"] > before["recalled"]
    assert after["reloads"] > before["reloads"]


def _memory_of(board: Session, program: str) -> int:
    """What a running program has of its memory, 0 when there is none of that name."""
    command = f"grep VmRSS /proc/$(pidof {program})/status || true"
    return int((board.client.check(command, Deadline(20, command)).split() or ["", "0"])[1]) * KIB


@contextmanager
def _taken(board: Session, size: int) -> Iterator[Job]:
    """A process that takes ``size`` bytes and keeps them until the block ends."""
    limit = Deadline(600, "take memory")
    board.client.check("rm -f /tmp/full /tmp/enough && mkfifo /tmp/full", limit)
    reader = "(until [ -e /tmp/enough ]; do sleep 0.1; done; cat) < /tmp/full > /dev/null"
    job = board.client.spawn(f"{reader} & dd if=/dev/zero of=/tmp/full bs={size // MIB}M count=1", limit=900)
    try:
        while job.running() and _memory_of(board, "dd") < size // MIB * MIB:
            limit.check()
            time.sleep(0.2)
        yield job
    finally:
        board.client.check("touch /tmp/enough", limit)
        job.wait(limit)


def test_what_is_said_to_be_available_can_be_had(board: Session, resident: Resident) -> None:
    """MemAvailable, less a small reserve, is given to a process that asks for it. A prompt beside it gets ENOMEM, or
    the right tokens where layers can be had one after the other; when it has gone, the next one is right."""
    limit = Deadline(900, "all that is available")
    resident()
    board.client.check("sync; echo 1 > /proc/sys/vm/drop_caches", limit)
    before = _kills(board)
    available = _meminfo(board)["MemAvailable"]
    with _taken(board, available - RESERVE) as job:
        assert job.running()
        print(f"a prompt beside it: {_asked(resident)}")
    assert job.wait(limit).status == 0
    assert _kills(board) == before
    resident()


def _stream(board: Session, times: int) -> None:
    """Reads a file once that is so many times as large as free memory, and of which no block lies on the medium."""
    size = times * _meminfo(board)["MemFree"]
    board.client.check(f"truncate -s {size} /data/streamed && cat /data/streamed > /dev/null", Deadline(600, "stream"))


@pytest.fixture
def little(board: Session) -> Iterator[None]:
    """Less memory than there is, so that a file soon fills it; the file goes with it."""
    with _tight(board, 256 * MIB):
        yield
    board.client.check("rm -f /data/streamed", Deadline(60, "remove the file"))


def test_a_file_that_streams_by_leaves_the_weights(board: Session, resident: Resident, little: None) -> None:
    """Page cache that was used once goes before weights that are in use."""
    resident()
    before = board.client.stats(Deadline(60, "before")).info["secure_now"]
    _stream(board, 2)
    left = board.client.stats(Deadline(60, "after")).info["secure_now"]
    print(f"{left} of {before} pages stayed")
    assert left >= 0.95 * before
    assert resident().loaded_pages <= before - left


def test_a_model_comes_in_where_page_cache_fills_memory(board: Session, resident: Resident, little: None) -> None:
    """It takes the place of page cache, not of its own pages."""
    resident.forget()
    _stream(board, 1)
    before = board.client.stats(Deadline(60, "before")).driver["recalled"]
    assert resident().loaded_pages > 0
    assert board.client.stats(Deadline(60, "after")).driver["recalled"] == before
    assert _kills(board) == 0


def test_an_answer_leaves_nothing_pinned(board: Session, resident: Resident) -> None:
    limit = Deadline(300, "an answer")
    resident()
    quiet = board.client.stats(limit).info
    assert quiet["secure_now"] == quiet["recallable_now"]


@contextmanager
def _swap(board: Session, megabytes: int) -> Iterator[None]:
    make = f"dd if=/dev/zero of=/swap bs=1M count={megabytes} && mkswap /swap && swapon /swap"
    board.client.check(make, Deadline(300, "make swap"))
    try:
        yield
    finally:
        board.client.check("swapoff /swap && rm /swap", Deadline(300, "end swap"))


def _swapped(board: Session) -> int:
    """Bytes that are swapped out when nearly all memory is held and a process takes what is free but 12 MiB: well below
    Linux's watermarks, whoever has to give for that."""
    with _tight(board, LEFT):
        before = _events(board, "pswpout")[0]
        board.client.fault_in(_meminfo(board)["MemFree"] - 12 * MIB, Deadline(300, "fault in"))
        return (_events(board, "pswpout")[0] - before) * PAGE


def test_weights_go_before_anything_is_swapped_out(board: Session, resident: Resident) -> None:
    """As long as there are weights, nothing is swapped out for what a process needs; without any, the same is."""
    limit = Deadline(900, "swap")
    with _swap(board, 64):
        resident()
        before = board.client.stats(limit).info["secure_now"]
        swapped = _swapped(board)
        left = board.client.stats(limit).info["secure_now"]
        print(f"pages of weights: {before - left} went, {left} stayed; {swapped} bytes were swapped out")
        assert (before - left) * PAGE > 4 * MIB
        assert swapped == 0 or left * PAGE < MIB
        board.client.recall(left, limit)
        assert _swapped(board) > 0
    resident()


@dataclass(frozen=True)
class Group:
    """A memory cgroup of the board that the agent is in, with all that it starts."""

    board: Session
    path: str = "/sys/fs/cgroup/lab"

    def number(self, file: str, key: str = "") -> int:
        """What a file of the group says, of ``key`` where it has several lines."""
        text = self.board.client.check(f"cat {self.path}/{file}", Deadline(20, file))
        return int(dict(line.split() for line in text.splitlines())[key] if key else text)

    def limit(self, size: int) -> None:
        self._set("memory.max", size)

    def guarantee(self, size: int) -> None:
        self._set("memory.low", size)

    def _set(self, file: str, size: int) -> None:
        self.board.client.check(f"echo {size} > {self.path}/{file}", Deadline(60, file))

    def leave(self) -> None:
        """What the agent starts from now on is the root group's."""
        self.board.client.check("echo $PPID > /sys/fs/cgroup/cgroup.procs", Deadline(20, "leave the group"))


@pytest.fixture
def group(board: Session, resident: Resident) -> Iterator[Group]:
    """Nothing of the model is secure at first, so that what comes is charged to the group."""
    limit = Deadline(60, "group")
    found = Group(board)
    resident.forget()
    board.client.check("echo +memory > /sys/fs/cgroup/cgroup.subtree_control", limit)
    board.client.check(f"mkdir {found.path} && echo $PPID > {found.path}/cgroup.procs", limit)
    yield found
    found.leave()
    resident.forget()
    board.client.check(f"rmdir {found.path}", Deadline(60, "end the group"))


def test_secure_pages_are_charged_to_whoever_opened_the_device(
    board: Session, resident: Resident, group: Group
) -> None:
    limit = Deadline(120, "charge")
    before = group.number("memory.stat", "kernel")
    resident()
    secure = board.client.stats(limit).info["secure_now"] * PAGE
    charged = group.number("memory.stat", "kernel") - before
    assert secure > 20 * MIB
    assert abs(charged - secure) < 4 * MIB, "what else the kernel holds for the group comes and goes"
    board.client.recall(secure // PAGE, limit)
    assert group.number("memory.stat", "kernel") - before < 4 * MIB, "given back with the pages"


def test_a_capped_group_gives_its_own_secure_pages(board: Session, resident: Resident, group: Group) -> None:
    """At its limit a group's own weights go, without an OOM kill. Under a cap that is smaller than the model, prompts
    are still answered: what has just been computed goes first."""
    limit = Deadline(300, "cap")
    resident()
    secure = board.client.stats(limit).info["secure_now"]
    assert group.number("memory.stat", "kernel") > secure * PAGE - 4 * MIB
    group.limit(group.number("memory.current") - 12 * MIB)
    capped = board.client.stats(limit).info["secure_now"]
    assert 8 * MIB < (secure - capped) * PAGE < 20 * MIB
    resident()
    assert board.client.stats(limit).info["secure_now"] * PAGE <= group.number("memory.max")
    assert group.number("memory.events", "oom_kill") == 0
    assert group.number("memory.events", "max") > 0, "it came to its limit"


def test_another_group_s_limit_takes_nothing(board: Session, resident: Resident, infer: Infer, group: Group) -> None:
    """Weights that the root group is charged for stay when a capped group is short."""
    limit = Deadline(300, "others")
    back = f"echo $PPID > {group.path}/cgroup.procs"
    group.leave()
    infer()
    board.client.check(back, limit)
    resident()
    group.limit(group.number("memory.current") - 12 * MIB)
    assert infer().loaded_pages == 0


def test_a_guarantee_keeps_a_group_s_weights(
    board: Session, resident: Resident, infer: Infer, demo: Path, group: Group
) -> None:
    """Reclaim takes what was used longest ago first, but not what memory.low guarantees to another group."""
    limit = Deadline(600, "guarantee")

    def reloaded(guaranteed: int) -> int:
        """Pages of the group's model to be read again after a process took as much as another model gives."""
        group.guarantee(guaranteed)
        resident()
        with _tight(board, LEFT):
            board.client.fault_in(256 * MIB, limit, until_recalled=WANTED // PAGE)
        return infer().loaded_pages

    board.client.forget(board.put_model(demo, limit, "flexserve"), limit)
    infer()
    group.leave()
    assert reloaded(64 * MIB) == 0
    assert reloaded(0) > 0


def test_each_batch_leaves_a_trace(board: Session, resident: Resident) -> None:
    limit = Deadline(60, "trace")
    resident()
    events = "/sys/kernel/tracing/events/flexserve/flexserve_batch/enable"
    board.client.check(f"echo > /sys/kernel/tracing/trace && echo 1 > {events}", limit)
    board.client.recall(700, limit)
    board.client.check(f"echo 0 > {events}", limit)
    text = board.client.check("cat /sys/kernel/tracing/trace", limit)
    batches = re.findall(r"flexserve_batch: function=0x(\w+) count=(\d+) done=(\d+) error=0 ticks=(\d+)", text)
    assert {int(function, 16) for function, *_ in batches} == {abi()["FLEX_MON_RECALL"]}
    assert sum(int(done) for _, _, done, _ in batches) == 700
    assert all(int(count) <= abi()["FLEX_MAILBOX_ENTRIES"] and int(ticks) > 0 for _, count, _, ticks in batches)


def test_the_quota_of_pins_can_be_read(board: Session, resident: Resident) -> None:
    resident()
    limit = Deadline(20, "quota")
    words = board.client.check("cd /sys/class/misc/flexserve && cat quota_pages pinned_pages", limit).split()
    quota, pinned = (int(word) for word in words)
    assert quota == boards.load("qemu-virt").monitor.pin_quota
    assert pinned == 0
