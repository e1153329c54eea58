"""Flashing: a plan is carried out, proved by reading back, and entered in the ledger. Going back is the same with
images that were kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flexkit import paths
from flexkit.boards.lab import Instance
from flexkit.deadline import Deadline
from flexkit.drivers import lock, qemu
from flexkit.drivers.lock import shared_folder
from flexkit.errors import Busy, FlashError
from flexkit.events import Bus
from flexkit.flash import ledger as ledgers
from flexkit.flash.ledger import Deployment, Ledger
from flexkit.flash.medium import FileMedium, write_region
from flexkit.flash.plan import Plan, Write, make_plan


def deploy(
    instance: Instance,
    plan: Plan,
    parts: Mapping[str, str],
    profile: str,
    bus: Bus,
    deadline: Deadline,
) -> dict[str, Any]:
    """Write a plan onto an instance's media. Returns what it took, by place.

    Raises FlashError for a plan with missing pieces, Busy when the board is on or in somebody's hands.
    """
    with lock.acquire(instance.name):
        return deploy_held(instance, plan, parts, profile, bus, deadline)


def deploy_held(
    instance: Instance, plan: Plan, parts: Mapping[str, str], profile: str, bus: Bus, deadline: Deadline
) -> dict[str, Any]:
    """``deploy`` for a caller who holds the instance's lock already."""
    _refuse_missing(plan)
    _refuse_running(instance.name)
    return _carry_out(instance, plan, parts, profile, bus, deadline)


def _refuse_missing(plan: Plan) -> None:
    if plan.missing:
        lines = "\n".join(f"  MISSING {name}: {source}" for name, source in plan.missing.items())
        raise FlashError(f"not flashed, pieces are missing:\n{lines}")


def _refuse_running(name: str) -> None:
    if qemu.running(name) is not None:
        raise Busy(f"{name} is on, and its medium in use", mend=f"run: flexkit power off -b {name}")


def _carry_out(
    instance: Instance, plan: Plan, parts: Mapping[str, str], profile: str, bus: Bus, deadline: Deadline
) -> dict[str, Any]:
    book = Ledger(instance.name)
    detail: dict[str, Any] = {"board": plan.board, "regions": {}}
    done = False
    try:
        for medium in instance.type.media:
            writes = [write for write in plan.writes if write.medium == medium.name]
            path = qemu.media_folder(instance.name, plan.flavour) / f"{medium.name}.img"
            if writes or not path.exists():
                detail["regions"] |= _write_medium(path, medium.name, medium.size, medium.chunk, writes, bus, deadline)
        ledgers.keep(instance.name, plan, profile, parts)
        done = True
    finally:
        book.append("flash", plan.flavour, plan.build, done, detail)
    book.prune({_golden_identity(instance.name, flavour) for flavour in ("flex", "stock")})
    return dict(detail["regions"])


def _write_medium(
    path: Path, name: str, size: int, chunk: int, writes: Sequence[Write], bus: Bus, deadline: Deadline
) -> dict[str, Any]:
    target = FileMedium(name, path, size)
    outcomes: dict[str, Any] = {}
    try:
        for write in writes:
            place = f"{name}.{write.region}"
            if write.protected and not target.fresh:
                _back_up(target, write, deadline)
            with bus.step(f"flash {place}", f"{write.size} bytes") as progress:
                outcome = write_region(target, write, chunk, deadline, progress)
                target.flush()
            bus.note(place, f"{outcome.chunks} chunks, {outcome.written} differed, {outcome.repeated} written again")
            outcomes[place] = asdict(outcome) | {"sha256": write.sha256}
    except OSError as error:
        raise FlashError(f"{path}: {error.strerror}") from error
    finally:
        target.close()
    return outcomes


def _back_up(medium: FileMedium, write: Write, deadline: Deadline) -> None:
    """What a protected region holds is kept before it is overwritten, sparse."""
    folder = paths.state() / "backups"
    shared_folder(folder)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    step = 1 << 20
    with (folder / f"{medium.path.parent.parent.name}-{write.region}-{stamp}").open("wb") as sink:
        for begin in range(0, write.size, step):
            data = medium.read(write.offset + begin, min(step, write.size - begin), deadline)
            if any(data):
                sink.seek(begin)
                sink.write(data)
        sink.truncate(write.size)


def _replay(instance: Instance, deployment: Deployment, bus: Bus, deadline: Deadline) -> dict[str, Any]:
    plan = make_plan(instance.type, deployment.identity, deployment.flavour, dict(deployment.images), {})
    return deploy(instance, plan, deployment.parts, deployment.profile, bus, deadline)


def rollback(instance: Instance, flavour: str, bus: Bus, deadline: Deadline) -> Deployment:
    """Back to the last deployment, but the present one, that was verified and booted with matching identities."""
    book = Ledger(instance.name)
    present = book.current(flavour)
    found = book.last_proven(flavour, present.identity if present else "")
    if found is None:
        raise FlashError(f"{instance.name} has no earlier deployment that was verified and booted")
    _replay(instance, found, bus, deadline)
    return found


def _golden_file(instance: str, flavour: str) -> Path:
    return ledgers.folder_of(instance) / f"golden-{flavour}"


def _golden_identity(instance: str, flavour: str) -> str:
    path = _golden_file(instance, flavour)
    return path.read_text().strip() if path.is_file() else ""


def set_golden(instance: Instance, flavour: str) -> Deployment:
    """Mark what is on the board as the one to return to."""
    present = Ledger(instance.name).current(flavour)
    if present is None:
        raise FlashError(f"{instance.name} has no verified deployment to mark")
    _golden_file(instance.name, flavour).write_text(present.identity + "\n")
    return present


def golden(instance: Instance, flavour: str, bus: Bus, deadline: Deadline) -> Deployment:
    """Back to the deployment that was marked."""
    found = ledgers.load(instance.name, _golden_identity(instance.name, flavour))
    if found is None:
        raise FlashError(f"no deployment of {instance.name} is marked as golden", mend="flexkit flash golden --set")
    _replay(instance, found, bus, deadline)
    return found
