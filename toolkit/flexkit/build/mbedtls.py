"""Mbed TLS: the cryptographic library of the secure world. Only its sources are wanted, our Makefiles compile them."""

from __future__ import annotations

from pathlib import Path

from flexkit.build import sources
from flexkit.build.sources import Source
from flexkit.build.store import Store, copy_tree, identity
from flexkit.deadline import Deadline
from flexkit.errors import BuildError
from flexkit.events import Bus
from flexkit.proc import run

_FOLDERS = ("include", "library")


def known(store: Store, bus: Bus, deadline: Deadline) -> Path:
    """The tree of the source that every build takes by itself."""
    return tree(sources.obtain("mbedtls", store.root, bus, deadline), store, deadline)


def tree(source: Source, store: Store, deadline: Deadline) -> Path:
    """A source, unpacked if it is not yet: ``include/`` and ``library/``."""
    return store.get("mbedtls", identity({"source": source.sha256}), lambda at: unpack(source, at, deadline), deadline)


def unpack(source: Source, at: Path, deadline: Deadline) -> None:
    """The folders that are compiled, from an archive or a tree of the user's own, into ``at``."""
    if source.path.is_dir():
        for name in _FOLDERS:
            (at / name).mkdir()
            copy_tree(source.path / name, at / name, deadline)
        return
    words = ["tar", "-xf", str(source.path), "--strip-components=1", "-C", str(at), "--wildcards"]
    run([*words, *(f"*/{name}" for name in _FOLDERS)], deadline, error=BuildError)
