"""Deadlines are moved by hand here: no test waits."""

import pytest

from flexkit.deadline import Deadline
from flexkit.errors import TimedOut


class HandClock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_remaining_falls_with_the_clock_and_never_below_zero() -> None:
    clock = HandClock()
    deadline = Deadline(10.0, "boot", clock)
    assert deadline.remaining == 10.0
    clock.now += 4.0
    assert deadline.remaining == 6.0
    clock.now += 100.0
    assert deadline.remaining == 0.0
    assert deadline.expired


def test_check_names_what_did_not_end() -> None:
    clock = HandClock()
    deadline = Deadline(3.0, "boot of qemu-virt", clock)
    clock.now += 3.0
    with pytest.raises(TimedOut, match="boot of qemu-virt: no end after 3 s"):
        deadline.check()


def test_a_part_never_outlives_the_whole() -> None:
    clock = HandClock()
    whole = Deadline(10.0, "bench", clock)
    clock.now += 8.0
    assert whole.within(5.0, "one run").seconds == 2.0
    assert whole.within(1.0, "one run").seconds == 1.0
