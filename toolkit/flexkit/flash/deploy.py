"""Flashing: a plan is carried out, proved by reading back, and entered in the ledger. Going back is the same with
images that were kept."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flexkit import lock, paths, whole
from flexkit.boards import Instance, Medium
from flexkit.deadline import Deadline
from flexkit.deployed import ledger as ledgers
from flexkit.deployed.ledger import Deployment, Ledger
from flexkit.deployed.plan import Plan, Write, make_plan
from flexkit.drivers import qemu
from flexkit.errors import Busy, FlashError, FlexError
from flexkit.events import Bus
from flexkit.flash import backup as backups_of
from flexkit.flash import bmap
from flexkit.flash.backup import back_up
from flexkit.flash.engine import Outcome, open_device, write_region
from flexkit.flash.journal import Journal
from flexkit.flash.protocol import FlashMedium, NeedsHands
from flexkit.flash.ways.choose import Ways

Opener = Callable[[Instance, Medium, str], FlashMedium]
"""Gives the way to one medium of an instance in a flavour, not yet open."""
_WAYS = Ways()


def deploy(
    instance: Instance,
    plan: Plan,
    parts: Mapping[str, str],
    profile: str,
    bus: Bus,
    deadline: Deadline,
    opener: Opener = _WAYS,
) -> dict[str, Any]:
    """Write a plan onto an instance's media. Returns what it took, by place.

    Raises FlashError for a plan with missing pieces, Busy when the board is on or in somebody's hands.
    """
    with lock.acquire(instance.identity):
        return deploy_held(instance, plan, parts, profile, bus, deadline, opener)


def deploy_held(
    instance: Instance,
    plan: Plan,
    parts: Mapping[str, str],
    profile: str,
    bus: Bus,
    deadline: Deadline,
    opener: Opener = _WAYS,
) -> dict[str, Any]:
    """``deploy`` for a caller who holds the instance's lock already."""
    refuse_missing(plan)
    refuse_astray(instance, plan)
    _refuse_running(instance.name)
    return _Flash(instance, plan, bus, deadline, opener).carry_out(parts, profile)


def rehearse(instance: Instance, plan: Plan, folder: Path, bus: Bus, deadline: Deadline) -> dict[str, Any]:
    """Write a plan onto files ``folder/MEDIUM.img``, which are then what a card from sector 0 would hold (FIELD F18),
    each with its block map. Nothing is entered anywhere."""
    refuse_missing(plan)
    refuse_astray(instance, plan)
    done = _Flash(instance, plan, bus, deadline, Ways(folder=folder)).write_all()
    for medium in instance.type.media:
        image = folder / f"{medium.name}.img"
        if image.is_file():
            bmap.write(image, [(each.offset, each.size) for each in plan.writes if each.medium == medium.name])
    return done


def refuse_missing(plan: Plan) -> None:
    """Raises FlashError that names every piece which the build could not make, and where it comes from."""
    if plan.missing:
        lines = "\n".join(f"  MISSING {name}: {source}" for name, source in plan.missing.items())
        raise FlashError(f"not flashed, pieces are missing:\n{lines}")


def refuse_astray(instance: Instance, plan: Plan) -> None:
    """The last look before bytes move: offsets are the board file's as it is now, whoever made the plan (FIELD F3)."""
    for write in plan.writes:
        try:
            region = instance.type.medium(write.medium).region(write.region)
        except KeyError:
            raise FlashError(f"{instance.type.name} has no region {write.medium}.{write.region}") from None
        if write.offset != region.offset or write.size > region.size:
            raise FlashError(
                f"{write.medium}.{write.region}: {write.offset:#x} to {write.offset + write.size:#x} "
                "is not inside that region of the board file",
                mend="run: flexkit flash again, which makes a new plan",
            )


def _refuse_running(name: str) -> None:
    if qemu.running(name) is not None:
        raise Busy(f"{name} is on, and its medium in use", mend=f"run: flexkit power off -b {name}")


class _Flash:
    """One plan on its way onto one instance. ``detail`` is what the ledger will say of it, however it ends."""

    def __init__(self, instance: Instance, plan: Plan, bus: Bus, deadline: Deadline, opener: Opener) -> None:
        self._instance = instance
        self._plan = plan
        self._bus = bus
        self._deadline = deadline
        self._opener = opener
        self.detail: dict[str, Any] = {"board": plan.board, "by": author(), "wired": instance.wired}
        self.detail |= {"regions": {}, "backups": {}}

    def carry_out(self, parts: Mapping[str, str], profile: str) -> dict[str, Any]:
        """Write, prove, keep, enter. What failed is entered too, with its reason (FIELD F14)."""
        book = Ledger(self._instance.identity)
        flavour = self._plan.flavour
        done = False
        try:
            self.write_all()
            loaders = self._opener.loaders(self._instance) if isinstance(self._opener, Ways) else {}
            ledgers.keep(self._instance.identity, self._plan, profile, parts, loaders)
            done = True
        except FlexError as error:
            self.detail["failed"] = error.message
            raise
        except OSError as error:
            self.detail["failed"] = str(error)
            raise FlashError(f"{self._instance.name}: stage keep: {error}") from error
        finally:
            book.append("flash", flavour, self._plan.build, done, self.detail)
        book.prune({_golden_identity(self._instance.identity, each) for each in ("flex", "stock")})
        return dict(self.detail["regions"])

    def write_all(self) -> dict[str, Any]:
        """Every medium that the plan has something for."""
        for medium in self._instance.type.media:
            self._write_medium(medium, [write for write in self._plan.writes if write.medium == medium.name])
        return dict(self.detail["regions"])

    def _write_medium(self, medium: Medium, writes: Sequence[Write]) -> None:
        target = self._opener(self._instance, medium, self._plan.flavour)
        if not writes and not target.fresh:
            return
        self._refuse_half_of_a_blank(target, medium, writes)
        journal = Journal(
            paths.state() / "journal" / f"{self._instance.identity}-{self._plan.flavour}-{medium.name}.json"
        )
        try:
            open_device(target, self._deadline)
            for write in writes:
                self._write(target, medium.chunk, write, journal)
            journal.close()
            target.release(self._deadline)
        finally:
            target.close()

    def _refuse_half_of_a_blank(self, target: FlashMedium, medium: Medium, writes: Sequence[Write]) -> None:
        """A blank medium with a part of what belongs on it never boots, and looks like a broken board (FIELD F18)."""
        written = {write.region for write in writes}
        absent = [each.name for each in medium.regions if each.image is not None and each.name not in written]
        if target.fresh and writes and absent:
            raise FlashError(
                f"{medium.name} is blank, and would lack {', '.join(absent)}",
                mend="run: flexkit flash --provision",
            )

    def _write(self, target: FlashMedium, chunk: int, write: Write, journal: Journal) -> None:
        place = f"{write.medium}.{write.region}"
        if write.destructive and not target.fresh:
            self._back_up(target, chunk, write, journal)
        outcome = Outcome()
        try:
            with self._bus.step(f"flash {place}", f"{write.size} bytes") as progress:
                write_region(target, write, chunk, self._deadline, progress, journal, outcome, self._ask)
        finally:
            self.detail["regions"][place] = asdict(outcome) | {"sha256": write.sha256}
        self._bus.note(place, outcome.words())

    def _ask(self, need: NeedsHands) -> None:
        with self._bus.step("hands are needed", f"{need.message}; {need.mend}"):
            pass

    def _back_up(self, target: FlashMedium, chunk: int, write: Write, journal: Journal) -> None:
        """What a destructive region holds is kept before it is overwritten (FIELD F4). Once in all attempts at a flash:
        a later one would find it half overwritten."""
        known = journal.backup(write)
        if not known or not Path(known).is_file():
            known = str(back_up(self._instance, target, write, chunk, self._plan.flavour, self._bus, self._deadline))
            journal.backed_up(write, known)
        self.detail["backups"][f"{write.medium}.{write.region}"] = known


def author() -> str:
    """Who flashes: user and host."""
    return f"{lock.user()}@{socket.gethostname()}"


def _replay(instance: Instance, deployment: Deployment, bus: Bus, deadline: Deadline, opener: Opener) -> dict[str, Any]:
    """With the loaders that were kept too, where no other way is asked for."""
    plan = make_plan(instance.type, deployment.identity, deployment.flavour, dict(deployment.images), {})
    if opener is _WAYS:
        opener = Ways(images={name: image.path for name, image in deployment.images.items()}, bus=bus)
    return deploy(instance, plan, deployment.parts, deployment.profile, bus, deadline, opener)


def rollback(instance: Instance, flavour: str, bus: Bus, deadline: Deadline, opener: Opener = _WAYS) -> Deployment:
    """Back to the last deployment, but the present one, that was verified and booted with matching identities."""
    book = Ledger(instance.identity)
    present = book.current(flavour)
    found = book.last_proven(flavour, present.identity if present else "")
    if found is None:
        raise FlashError(f"{instance.name} has no earlier deployment that was verified and booted")
    _replay(instance, found, bus, deadline, opener)
    return found


def restore(instance: Instance, name: str, bus: Bus, deadline: Deadline, opener: Opener = _WAYS) -> dict[str, Any]:
    """Put a backup back: by its name, or the newest of a region by the region's. What is there now is backed up in its
    turn. What the ledger says was flashed stays true: destructive regions are part of no build.

    Raises FlashError for a backup that there is none of, or that is damaged.
    """
    with lock.acquire(instance.identity):
        found = backups_of.find(instance, name)
        plan = backups_of.plan_of(instance, found)
        _refuse_running(instance.name)
        run = _Flash(instance, plan, bus, deadline, opener)
        done = False
        try:
            run.write_all()
            done = True
        except FlexError as error:
            run.detail["failed"] = error.message
            raise
        finally:
            run.detail["restored"] = found.name
            Ledger(instance.identity).append("restore", plan.flavour, "", done, run.detail)
        return dict(run.detail["regions"])


def _golden_file(instance: str, flavour: str) -> Path:
    return ledgers.folder_of(instance) / f"golden-{flavour}"


def _golden_identity(instance: str, flavour: str) -> str:
    path = _golden_file(instance, flavour)
    return path.read_text().strip() if path.is_file() else ""


def set_golden(instance: Instance, flavour: str) -> Deployment:
    """Mark what is on the board as the one to return to."""
    present = Ledger(instance.identity).current(flavour)
    if present is None:
        raise FlashError(f"{instance.name} has no verified deployment to mark")
    path = _golden_file(instance.identity, flavour)
    whole.write_text(path, present.identity + "\n")  # replaced also where another user of the group had made it
    return present


def golden(instance: Instance, flavour: str, bus: Bus, deadline: Deadline, opener: Opener = _WAYS) -> Deployment:
    """Back to the deployment that was marked."""
    found = ledgers.load(instance.identity, _golden_identity(instance.identity, flavour))
    if found is None:
        raise FlashError(f"no deployment of {instance.name} is marked as golden", mend="flexkit flash golden --set")
    _replay(instance, found, bus, deadline, opener)
    return found
