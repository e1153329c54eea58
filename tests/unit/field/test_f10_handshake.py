"""F10: a start-up handshake was sent once; if the other side was not ready it was lost, and reported as success (20 to
43 % of runs hung)."""

from __future__ import annotations

import pytest

from flexkit.link.link import Link, State
from flexkit.link.records import Kind, Record, decode


class LateBoard:
    """A board whose agent is not there yet: what comes before ``ready`` seconds is lost, and never answered."""

    def __init__(self, ready: float) -> None:
        self.ready = ready
        self.begun: list[int] = []

    def take(self, line: bytes, now: float) -> Record | None:
        if now < self.ready:
            return None
        record = decode(line)
        if record is None or record.kind is not Kind.HELLO:
            return None
        if record.session not in self.begun:
            self.begun.append(record.session)
        return Record(Kind.WELCOME, record.session)


def naive(board: LateBoard) -> bool:
    """Says hello once, and goes on as if it had been heard. Whether it was."""
    said = Link(session=7)
    said.run(0.0)
    return board.take(bytes(said.wire), 0.0) is not None


@pytest.mark.field("F10")
@pytest.mark.parametrize("ready", [0.0, 0.2, 3.0, 59.0])
def test_it_is_repeated_until_it_is_answered(ready: float) -> None:
    assert naive(LateBoard(ready)) == (ready == 0.0), "said too early, it is never heard"

    board, link, now = LateBoard(ready), Link(session=7), 0.0
    while link.state is State.CALLING and now < ready + 2:
        link.run(now)
        for line in bytes(link.wire).splitlines(keepends=True):
            answer = board.take(line, now)
            if answer is not None:
                link.take(answer, now)
        link.wire.clear()
        now += 0.1
    assert link.state is State.OPEN
    assert board.begun == [7], "said many times, it begins one session"


@pytest.mark.field("F10")
def test_nothing_is_taken_for_sent_before_the_other_side_has_answered() -> None:
    link = Link(session=7)
    link.send(b"a request")
    for now in range(60):
        link.run(float(now))
    kinds = {record.kind for line in bytes(link.wire).splitlines(keepends=True) if (record := decode(line))}
    assert kinds == {Kind.HELLO}
    assert link.state is State.CALLING
