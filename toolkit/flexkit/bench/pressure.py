"""Linux's memory as a measurement wants to find it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from flexkit.bench.board import ExecResult
from flexkit.bench.probes import MIB, Pressure
from flexkit.bench.session import Session
from flexkit.errors import FlexError

DROP_PAGE_CACHE = ("sh", "-c", "echo 0 > /proc/sys/vm/watermark_boost_factor; sync; echo 1 > /proc/sys/vm/drop_caches")
"""Page cache only: dropping slabs too would call every shrinker, the one of secure memory included. And Linux's
watermarks stay where they are: raised for a while after every mixed page block, they would make the figures depend on
what was measured before, and ``hold`` fight reclaim for what it is to leave."""
_HOLE = "/data/hole"
_FILL_PAGE_CACHE = (
    "sh",
    "-c",
    f"truncate -s $(awk '/^MemFree/ {{ print $2 }}' /proc/meminfo)K {_HOLE} && cat {_HOLE} > /dev/null",
)
"""Reads a file as large as what is free, of which no block lies on the medium: clean page cache, at memory speed."""
_EMPTY_PAGE_CACHE = ("rm", "-f", _HOLE)
_IN_ONE_PIECE = 64 * MIB
"""Free memory that is left whole where all the rest is fragmented."""


@contextmanager
def pressed(session: Session, pressure: Pressure | None, size_bytes: int, room_bytes: int) -> Iterator[None]:
    """``size_bytes`` are about to be taken. Under ``anon`` processes hold all memory but them and ``room_bytes``; under
    ``fragmented`` every second page of it but a rest, under ``half`` but half of what is asked for."""
    board = session.board
    if pressure is None:
        yield
        return
    shell(session, DROP_PAGE_CACHE, "drop the page cache")
    deadline = session.within(session.limits.program, f"bring memory under pressure ({pressure})")
    try:
        if pressure == "pagecache":
            ended_well(board.execute(_FILL_PAGE_CACHE, deadline))
        elif pressure == "anon":
            board.hold(size_bytes + room_bytes, deadline)
        elif pressure == "fragmented":
            board.fragment(_IN_ONE_PIECE, deadline)
        elif pressure == "half":
            board.fragment(_IN_ONE_PIECE + size_bytes // 2, deadline)
        yield
    finally:
        if pressure == "pagecache":
            shell(session, _EMPTY_PAGE_CACHE, "empty the page cache")
        elif pressure != "idle":
            board.let_go(session.within(session.limits.command, "free memory"))


def shell(session: Session, argv: Sequence[str], what: str) -> ExecResult:
    """A short command on the board, which has to end well."""
    return ended_well(session.board.execute(argv, session.within(session.limits.command, what)))


def ended_well(result: ExecResult) -> ExecResult:
    """The result of a program that did what it was to do; FlexError with its last line otherwise."""
    if result.status != 0:
        tail = (result.err or result.out).strip().splitlines()[-1:]
        raise FlexError(f"the program ended with status {result.status}{': ' + tail[0] if tail else ''}")
    if result.ticks <= 0:
        raise FlexError("the board's counter did not advance")
    return result
