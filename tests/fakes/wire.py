"""A wire between two descriptors, for as long as a test needs it."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

End = Callable[[], int]
"""The descriptor as it is now: one that is negative or closed is a cable that is not plugged in."""

_POLL_SECONDS = 0.02


@contextmanager
def wired(one: End, other: End) -> Iterator[None]:
    """Copy bytes both ways; what comes while an end is not there is lost.

    No thread is left at the end: a descriptor that is closed under its reader may be another file's by the next read.
    """
    over = threading.Event()

    def pump(source: End, sink: End) -> None:
        while not over.is_set():
            try:
                if select.select([source()], [], [], _POLL_SECONDS)[0]:
                    os.write(sink(), os.read(source(), 4096))
            except (OSError, ValueError):
                over.wait(_POLL_SECONDS)

    threads = [threading.Thread(target=pump, args=ends) for ends in ((one, other), (other, one))]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()
