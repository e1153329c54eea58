"""The tool on a host whose devices are the ones of a tree in umockdev's format, read by the real libudev.

``umockdev-wrapper python mock_udev.py TREE PROJECT [--plug TREE] -- WORDS…``: PROJECT is the project's folder for it.
With --plug, that tree's devices are plugged in once the tool says that it waits.
"""

from __future__ import annotations

import ctypes
import io
import sys
import threading
import time
from pathlib import Path

from flexkit import paths
from flexkit.cli.main import run

_WAITS = "plug it in"
_PLUG_SECONDS = 30.0


class Testbed:
    """UMockdevTestbed, by its C interface: its Python one needs packages that pip does not have."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libumockdev.so.0")
        self._library.umockdev_testbed_new.restype = ctypes.c_void_p
        self._handle = ctypes.c_void_p(self._library.umockdev_testbed_new())

    def add(self, tree: str) -> None:
        """Adds devices; whoever waits for new ones is told."""
        arguments = (self._handle, ctypes.c_char_p(tree.encode()), None)
        if not self._library.umockdev_testbed_add_from_string(*arguments):
            sys.exit("umockdev does not take this tree")


class Watched(io.TextIOWrapper):
    """Standard error, watched for the moment at which the tool waits."""

    waits = threading.Event()

    def write(self, text: str) -> int:
        if _WAITS in text:
            self.waits.set()
        return super().write(text)


def main(arguments: list[str]) -> int:
    at = arguments.index("--")
    own, words = arguments[:at], arguments[at + 1 :]
    testbed = Testbed()
    testbed.add(Path(own[0]).read_text())
    paths.project = lambda: Path(own[1])
    if "--plug" in own:
        sys.stderr = Watched(sys.stderr.buffer, line_buffering=True)

        def plug() -> None:
            Watched.waits.wait(_PLUG_SECONDS)
            time.sleep(0.2)  # a person is slower
            testbed.add(Path(own[own.index("--plug") + 1]).read_text())

        threading.Thread(target=plug, daemon=True).start()
    return run(words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
