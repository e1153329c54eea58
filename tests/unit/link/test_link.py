"""The host's half of the link; time is moved by hand."""

from __future__ import annotations

import pytest

from flexkit.link.link import LOST_SECONDS, WINDOW, Link, State
from flexkit.link.records import DATA_MAX, Kind, Record, decode


def written(link: Link) -> list[Record]:
    """What the link wants to write, taken from it."""
    lines = bytes(link.wire).splitlines(keepends=True)
    link.wire.clear()
    found = [decode(line) for line in lines]
    assert None not in found
    return [record for record in found if record is not None]


def opened() -> Link:
    link = Link(session=5)
    link.run(0.0)
    assert [record.kind for record in written(link)] == [Kind.HELLO]
    link.take(Record(Kind.WELCOME, 5), 0.0)
    assert link.state is State.OPEN
    return link


@pytest.mark.field("F10")
def test_hello_is_repeated_until_it_is_answered() -> None:
    link = Link(session=5)
    for now in (0.0, 0.1, 0.6, 1.2):
        link.run(now)
    assert [record.kind for record in written(link)] == [Kind.HELLO] * 3
    link.take(Record(Kind.WELCOME, 6), 1.3)
    assert link.state is State.CALLING, "that was for somebody else"
    link.take(Record(Kind.WELCOME, 5), 1.3)
    assert link.state is State.OPEN


def test_the_window_bounds_what_is_under_way() -> None:
    link = opened()
    link.send(bytes(DATA_MAX * (WINDOW + 3)))
    link.run(0.0)
    assert [record.sequence for record in written(link)] == list(range(WINDOW))
    link.take(Record(Kind.ACK, 5, 2), 0.1)
    link.run(0.1)
    assert [record.sequence for record in written(link)] == [WINDOW, WINDOW + 1]


def test_what_is_not_acknowledged_is_sent_again_and_in_the_end_given_up() -> None:
    link = opened()
    link.send(b"x")
    link.run(0.0)
    assert len(written(link)) == 1
    now, sent = 0.0, 0
    while link.state is State.OPEN:
        patience = link.patience(now)
        assert patience is not None
        now += patience + 0.001
        link.run(now)
        sent += len(written(link))
    assert LOST_SECONDS <= now < LOST_SECONDS + 3
    assert 5 < sent < 20
    assert link.patience(now) is None


def test_a_complaint_brings_the_window_again_but_once() -> None:
    link = opened()
    link.send(bytes(DATA_MAX * 3))
    link.run(0.0)
    written(link)
    for _ in range(3):
        link.take(Record(Kind.ACK, 5, 0), 0.01)
    assert [record.sequence for record in written(link)] == [0, 1, 2]
    assert link.resent == 3


def test_data_is_taken_once_and_in_order() -> None:
    link = opened()
    for sequence, data in ((1, b"b"), (0, b"a"), (0, b"a"), (1, b"b")):
        link.take(Record(Kind.DATA, 5, sequence, data), 0.0)
    assert bytes(link.received) == b"ab"
    assert [record.sequence for record in written(link)] == [0, 1, 1, 2]


def test_acknowledgements_that_cannot_be_are_ignored() -> None:
    link = opened()
    link.send(b"x")
    link.run(0.0)
    written(link)
    link.take(Record(Kind.ACK, 5, 9), 0.1)
    assert written(link) == []
    assert link.patience(0.1) is not None


def test_bye_ends_it_from_both_sides() -> None:
    link = opened()
    link.bye()
    assert [record.kind for record in written(link)] == [Kind.BYE]
    other = opened()
    other.take(Record(Kind.BYE, 5), 0.0)
    assert other.state is State.LOST
