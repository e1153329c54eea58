"""What a destructive region held before it was overwritten (FIELD F4): kept by name, and how it is had back."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from flexkit import paths, whole
from flexkit.boards import Instance
from flexkit.deadline import Deadline
from flexkit.deployed.plan import Plan, Write
from flexkit.digest import sha256_of
from flexkit.errors import BadInput, FlashError
from flexkit.events import Bus
from flexkit.flash.engine import Progress, steady_look, steady_read
from flexkit.flash.protocol import FlashMedium
from flexkit.lock import shared_folder

_SHARE = 16  # parts of a piece that is not all zeros, each looked at again, until they are small enough to be read


@dataclass(frozen=True)
class Backup:
    """One region as it was. ``name`` is unique on its board; ``place`` is MEDIUM.REGION; times are UTC."""

    name: str
    place: str
    flavour: str
    time: str
    size: int
    sha256: str
    path: Path


def folder_of(identity: str) -> Path:
    """Where the backups of a board are. Not made."""
    return paths.state() / "backups" / identity


def backups(instance: Instance) -> list[Backup]:
    """All of a board, newest first. One without its description (the host died on the way) is none."""
    found = []
    for path in folder_of(instance.identity).glob("*.json"):
        try:
            found.append(Backup(**json.loads(path.read_text()), path=path.with_suffix(".img")))
        except (OSError, ValueError, TypeError):
            continue
    return sorted(found, key=lambda each: (each.time, each.name), reverse=True)


def find(instance: Instance, wanted: str) -> Backup:
    """By its name, or the newest of a region by REGION or MEDIUM.REGION. Raises BadInput."""
    there = backups(instance)
    for each in there:
        if wanted in (each.name, each.place, each.place.split(".", 1)[1]):
            return each
    raise BadInput(
        f"{instance.name} has no backup called {wanted!r}",
        mend=f"see: flexkit flash restore --list -b {instance.name}" if there else "nothing was ever backed up",
    )


def plan_of(instance: Instance, backup: Backup) -> Plan:
    """The plan that puts a backup back where it was. Raises FlashError where that region is no more."""
    medium_name, name = backup.place.split(".", 1)
    try:
        region = instance.type.medium(medium_name).region(name)
    except KeyError:
        raise FlashError(f"{instance.type.name} has no region {backup.place} any more") from None
    if backup.size > region.size:
        raise FlashError(f"{backup.name} has {backup.size} bytes, region {backup.place} holds {region.size}")
    try:
        digest = sha256_of(backup.path)
    except BadInput as error:
        raise FlashError(error.message) from error
    if digest != backup.sha256:
        raise FlashError(f"{backup.path} is not what was backed up (its SHA-256 differs)")
    write = Write(
        medium_name, name, region.offset, backup.size, backup.name, backup.path, backup.sha256, region.destructive
    )
    return Plan(instance.type.name, "", backup.flavour, (write,), {}, {})


def back_up(
    instance: Instance, target: FlashMedium, write: Write, chunk: int, flavour: str, bus: Bus, deadline: Deadline
) -> Path:
    """Keep what a region holds now, sparse. Its description is written last: without it, it is no backup."""
    place = f"{write.medium}.{write.region}"
    folder = folder_of(instance.identity)
    shared_folder(folder)
    now = datetime.now(UTC)
    name = f"{write.region}-{now:%Y%m%dT%H%M%S.%f}"
    path = folder / f"{name}.img"
    told = f"had back by: flexkit flash restore {name}"
    if target.read_speed:
        hours = write.size / target.read_speed / 3600
        told += f"; up to {hours:.1f} h at {target.read_speed} bytes/s, zeros are passed over"
    with bus.step(f"back up {place}", told) as progress:
        digest = _copy(target, write, chunk, path, progress, deadline)
    backup = Backup(name, place, flavour, now.isoformat(), write.size, digest, path)
    described = {key: value for key, value in asdict(backup).items() if key != "path"}
    whole.write_text(path.with_suffix(".json"), json.dumps(described))
    bus.note(place, f"backed up to {path}, SHA-256 {digest}")
    return path


def _copy(target: FlashMedium, write: Write, chunk: int, path: Path, progress: Progress, deadline: Deadline) -> str:
    """A region into a sparse file. Returns its SHA-256."""
    with path.open("w+b") as sink:
        for begin in range(0, write.size, chunk):
            count = min(chunk, write.size - begin)
            _piece(target, write.offset, begin, count, sink, deadline)
            progress(begin + count, write.size)
        sink.truncate(write.size)
        sink.flush()
        os.fsync(sink.fileno())
        sink.seek(0)
        return hashlib.file_digest(sink, "sha256").hexdigest()


def _piece(target: FlashMedium, base: int, begin: int, count: int, sink: BinaryIO, deadline: Deadline) -> None:
    """Zeros, most of a region, are told by looking, which is quick on every way; only what is not zero is read."""
    if steady_look(target, base + begin, count, deadline) == target.evidence(bytes(count)):
        return
    if count > target.read_step:
        for at, size in _split(count, max(target.read_step, count // _SHARE // target.block * target.block)):
            _piece(target, base, begin + at, size, sink, deadline)
        return
    sink.seek(begin)
    sink.write(steady_read(target, base + begin, count, deadline))


def _split(count: int, size: int) -> Sequence[tuple[int, int]]:
    return [(at, min(size, count - at)) for at in range(0, count, size)]
