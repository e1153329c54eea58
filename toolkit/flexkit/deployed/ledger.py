"""What is on a board: a ledger of every deployment, by board, and the deployments themselves, kept by build identity so
that going back needs no build. Both are the host's, shared by its users."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from flexkit import paths, whole
from flexkit.deployed.plan import Plan
from flexkit.digest import sha256_of
from flexkit.errors import FlashError
from flexkit.lock import shared_file, shared_folder

_KEPT = 6
_BLOCK = 1 << 16
Action = Literal["flash", "boot", "restore"]


@dataclass(frozen=True)
class KeptImage:
    """An image of a deployment, as it was written."""

    path: Path
    sha256: str
    size: int


@dataclass(frozen=True)
class Deployment:
    """A build as it was flashed: enough to flash it again and to know it when it boots."""

    identity: str
    board: str
    flavour: str
    profile: str
    parts: Mapping[str, str]
    images: Mapping[str, KeptImage]


def folder_of(instance: str) -> Path:
    """Where the deployments of an instance are kept. Not made."""
    return paths.state() / "deployments" / instance


def keep(
    instance: str, plan: Plan, profile: str, parts: Mapping[str, str], loaders: Mapping[str, Path] | None = None
) -> Deployment:
    """Keep the images of a plan, and ``loaders``, without which its board cannot be written. Done twice it changes
    nothing."""
    folder = folder_of(instance) / plan.build
    shared_folder(folder_of(instance))
    shared_folder(folder)
    images: dict[str, KeptImage] = {}
    for write in plan.writes:
        if write.image is None or write.path is None:
            continue
        target = folder / write.image
        if not target.is_file() or target.stat().st_size != write.size:
            part = folder / f"{write.image}.part"
            if _copy_sparse(write.path, part) != write.sha256:
                raise FlashError(f"{part}: the copy that is kept for a rollback differs", mend="check the disk")
            part.replace(target)
        images[write.image] = KeptImage(target, write.sha256, write.size)
    for name, path in (loaders or {}).items():
        digest = _copy_sparse(path, folder / f"{name}.part")
        (folder / f"{name}.part").replace(folder / name)
        images[name] = KeptImage(folder / name, digest, path.stat().st_size)
    known = load(instance, plan.build)
    if known is not None:
        images = {**known.images, **images}
    deployment = Deployment(plan.build, plan.board, plan.flavour, profile, dict(parts), images)
    value = asdict(deployment)
    value["images"] = {name: [image.sha256, image.size] for name, image in images.items()}
    whole.write_text(folder / "deployment.json", json.dumps(value, indent=1, sort_keys=True))
    return deployment


def _copy_sparse(source: Path, target: Path) -> str:
    """The same bytes; blocks of zeros, most of a file system's image, take no space. Returns the copy's SHA-256."""
    with source.open("rb") as reader, target.open("wb") as writer:
        while block := reader.read(_BLOCK):
            if block.count(0) == len(block):
                writer.seek(len(block), os.SEEK_CUR)
            else:
                writer.write(block)
        writer.truncate()
    return sha256_of(target)


def load(instance: str, identity: str) -> Deployment | None:
    """A kept deployment, or None."""
    folder = folder_of(instance) / identity
    try:
        value = json.loads((folder / "deployment.json").read_text())
    except (OSError, ValueError):
        return None
    value["images"] = {name: KeptImage(folder / name, *rest) for name, rest in value["images"].items()}
    return Deployment(**value)


@dataclass(frozen=True)
class Entry:
    """A line of the ledger. ``good``: verified by reading back (flash), or identities as expected (boot)."""

    time: str
    action: Action
    flavour: str
    identity: str
    good: bool
    detail: Mapping[str, Any]


class Ledger:
    """The ledger of one board instance: a file of JSON lines that is only ever appended to."""

    def __init__(self, instance: str) -> None:
        self.instance = instance
        self.path = paths.state() / "ledger" / f"{instance}.jsonl"

    def append(self, action: Action, flavour: str, identity: str, good: bool, detail: Mapping[str, Any]) -> None:
        """Add a line, durable when this returns."""
        shared_folder(self.path.parent)
        entry = Entry(datetime.now(UTC).isoformat(timespec="seconds"), action, flavour, identity, good, dict(detail))
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o664)
        try:
            shared_file(descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.write(descriptor, json.dumps(asdict(entry), separators=(",", ":")).encode() + b"\n")
            os.fsync(descriptor)
        except OSError as error:
            raise FlashError(f"{self.path}: {error.strerror}") from error
        finally:
            os.close(descriptor)

    def entries(self) -> Iterator[Entry]:
        """All lines, oldest first; a cut last line (power loss) is passed over."""
        if not self.path.is_file():
            return
        for line in self.path.read_text().splitlines():
            try:
                yield Entry(**json.loads(line))
            except (ValueError, TypeError):
                continue

    def current(self, flavour: str) -> Deployment | None:
        """What is on the board in this flavour: the last deployment, if its write was verified. Of a board on the bench
        only the last flavour that was flashed is there; an emulated one has media for each."""
        last = None
        for entry in self.entries():
            if entry.action == "flash" and entry.flavour == flavour:
                last = entry
            elif entry.action == "flash" and entry.detail.get("wired"):
                last = None
        if last is None or not last.good:
            return None
        return load(self.instance, last.identity)

    def last_proven(self, flavour: str, but: str = "") -> Deployment | None:
        """The last deployment, other than ``but``, that was verified and booted with matching identities."""
        booted = [
            entry.identity
            for entry in self.entries()
            if (entry.action, entry.flavour, entry.good) == ("boot", flavour, True)
        ]
        for identity in reversed(booted):
            if identity != but and (found := load(self.instance, identity)) is not None:
                return found
        return None

    def prune(self, spare: set[str]) -> None:
        """Forget kept deployments beyond the last few; never those in ``spare``, on the board, or what a rollback would
        go back to, however many failed since (FIELD F7)."""
        needed = set(spare)
        for flavour in ("flex", "stock"):
            present = self.current(flavour)
            proven = self.last_proven(flavour, present.identity if present else "")
            needed |= {found.identity for found in (present, proven) if found is not None}
        recent = list(dict.fromkeys(each.identity for each in reversed(list(self.entries())) if each.identity))[:_KEPT]
        folder = folder_of(self.instance)
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.is_dir() and path.name not in {*needed, *recent}:
                shutil.rmtree(path, ignore_errors=True)
