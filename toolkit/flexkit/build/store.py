"""The cache of built parts: one folder for each set of inputs, shared by all checkouts of a user.

A folder's name is the hash of everything that went into it. It counts as built once it holds the marker file; a folder
without one is what an interrupted build left, and is removed before the part is built again. A part is built in its
final place, because a kernel tree does not survive being moved.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flexkit.deadline import Deadline
from flexkit.digest import sha256_of
from flexkit.errors import Busy, MissingTool
from flexkit.proc import run

_MARKER = ".complete"
_KEEP_SECONDS = 3 * 3600.0
_LOCK_POLL_SECONDS = 0.2


def tree_hash(roots: Iterable[Path], *, skip: Callable[[Path], bool] = lambda path: False) -> str:
    """SHA-256 over files and folders: relative names, executable bits, symbolic links and contents, nothing else.

    ``skip`` gets each path relative to its root.
    """
    total = hashlib.sha256()
    for root in roots:
        total.update(b"root\0")
        for path in [root] if root.is_file() else sorted(root.rglob("*")):
            relative = path.relative_to(root)
            if skip(relative) or "__pycache__" in relative.parts or (path.is_dir() and not path.is_symlink()):
                continue
            total.update(f"{relative}\0{int(os.access(path, os.X_OK))}\0".encode())
            total.update(str(path.readlink()).encode() if path.is_symlink() else sha256_of(path).encode())
    return total.hexdigest()


def identity(inputs: Mapping[str, str]) -> str:
    """The identity of what is made from ``inputs``: 32 hex digits."""
    text = "".join(f"{name}={value}\n" for name, value in sorted(inputs.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@contextmanager
def locked(path: Path, deadline: Deadline, what: str) -> Iterator[None]:
    """Hold an exclusive lock on ``path``; Busy when somebody else holds it until the deadline."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if deadline.expired:
                    raise Busy(f"{what}: another flexkit is at it (lock {path})") from None
                time.sleep(_LOCK_POLL_SECONDS)
        yield


@dataclass(frozen=True)
class Store:
    """The folder of built parts."""

    root: Path

    def folder(self, part: str, key: str) -> Path:
        """Where a part of these inputs lies, whether or not it is there."""
        return self.root / "parts" / part / key

    def has(self, part: str, key: str) -> bool:
        """Whether it is there, and whole."""
        return (self.folder(part, key) / _MARKER).is_file()

    def get(self, part: str, key: str, make: Callable[[Path], None], deadline: Deadline) -> Path:
        """The folder of a part, made by ``make(folder)`` if it is not there. Two builders of one part wait in line."""
        folder = self.folder(part, key)
        marker = folder / _MARKER
        if not marker.is_file():
            with locked(self.root / "locks" / f"{part}-{key}", deadline, f"build {part}"):
                if not marker.is_file():
                    shutil.rmtree(folder, ignore_errors=True)
                    folder.mkdir(parents=True)
                    make(folder)
                    marker.touch()
        os.utime(marker)
        return folder

    def retire(self, part: str, keep: int, age: float = _KEEP_SECONDS) -> list[Path]:
        """Remove folders of a part beyond the ``keep`` used last, if they have not been used for ``age`` seconds.

        One that somebody is building stays. Returns what was removed.
        """

        def used(folder: Path) -> float:
            marker = folder / _MARKER
            return (marker if marker.is_file() else folder).stat().st_mtime

        base = self.root / "parts" / part
        folders = sorted(base.iterdir(), key=used, reverse=True) if base.is_dir() else []
        old = [folder for folder in folders[keep:] if time.time() - used(folder) > age]
        return [folder for folder in old if self._remove(part, folder)]

    def _remove(self, part: str, folder: Path) -> bool:
        try:
            with locked(self.root / "locks" / f"{part}-{folder.name}", Deadline(0.0, "prune"), f"prune {part}"):
                shutil.rmtree(folder, ignore_errors=True)
        except Busy:
            return False
        return True

    def parts(self) -> list[str]:
        """Names of the parts that there are folders of."""
        base = self.root / "parts"
        return sorted(path.name for path in base.iterdir()) if base.is_dir() else []


def need_space(folder: Path, size: int, what: str) -> None:
    """Refuse to begin what would fill the disk."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise MissingTool(
            f"{what} needs {size / 1e9:.1f} GB below {folder}, there are {free / 1e9:.1f} GB",
            mend="run: flexkit cache prune, or set XDG_CACHE_HOME to a folder on a larger disk",
        )


def copy_tree(source: Path, target: Path, deadline: Deadline) -> None:
    """Copy a tree with its times (kbuild goes by them); shares blocks where the file system can."""
    run(["cp", "-a", "--reflink=auto", f"{source}/.", target], deadline)


def leftover(path: Path) -> bool:
    """Not a source: what a compiler or an editor left in a source folder, and what is only for people to read."""
    return path.suffix in (".o", ".a", ".d", ".md") or path.name.endswith("~") or path.name.startswith(".")


def project_copy(sources: Mapping[str, Path], target: Path) -> None:
    """Copy project folders into a scratch tree: relative name there -> folder here. Leftovers stay behind."""

    def ignore(_: str, names: list[str]) -> set[str]:
        return {name for name in names if name == "__pycache__" or leftover(Path(name))}

    for name, folder in sources.items():
        shutil.copytree(folder, target / name, ignore=ignore, dirs_exist_ok=True)
