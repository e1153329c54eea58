"""A person's terminal joined to something on a board."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from flexkit.deadline import Deadline

LEAVE = b"\x1d"  # Ctrl-]
LEAVE_NAME = "Ctrl-]"
_POLL_SECONDS = 0.2
_CHUNK = 1024


@contextmanager
def raw() -> Iterator[None]:
    """Keys arrive as they are typed; nothing changes where standard input is no terminal."""
    if not sys.stdin.isatty():
        yield
        return
    kept = termios.tcgetattr(sys.stdin)
    try:
        tty.setraw(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, kept)


def show(chunk: bytes) -> None:
    """What came, as it came."""
    os.write(sys.stdout.fileno(), chunk)


def join(send: Callable[[bytes], None], ended: Callable[[], bool], deadline: Deadline) -> None:
    """Hand every key to ``send`` until the person leaves, the input or the deadline ends, or ``ended`` says so."""
    with raw():
        while not ended() and not deadline.expired:
            if not select.select([sys.stdin], [], [], _POLL_SECONDS)[0]:
                continue
            typed = os.read(sys.stdin.fileno(), _CHUNK)
            if not typed or LEAVE in typed:
                break
            send(typed)
    click.echo(err=True)
