"""A new kernel onto a board that runs, by SSH: into the slot that it does not run from, tried once, and left again if
it does not come up.

    write other slot ──read back──> switch, one try ──power off and on──> it answers from there, with its identities
         │                                                │ yes: marked good, entered in the ledger
         │ fails: nothing has changed                     │ no: U-Boot is back in the old slot at the next start; both
                                                            the failure and what runs now are entered
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from flexkit import lock
from flexkit.boards import Instance
from flexkit.boards.slots import ARGUMENT, GOOD, SECTOR, SLOTS, Pair, State, other, pair_of
from flexkit.deadline import Deadline
from flexkit.deployed import ledger as ledgers
from flexkit.deployed.ledger import Deployment, Ledger
from flexkit.deployed.plan import Plan, Write
from flexkit.drivers.access import bind, deployment_of
from flexkit.drivers.session import Flavour, Session
from flexkit.errors import BadInput, BoardLost, FlashError, FlexError, TimedOut
from flexkit.events import Bus
from flexkit.flash.deploy import author, refuse_astray, refuse_missing
from flexkit.flash.engine import Outcome, open_device, write_region
from flexkit.flash.ways.ssh import SshMedium
from flexkit.flash.ways.tool import Limits
from flexkit.link.client import Client

_ONE_TRY = 1


def update(
    instance: Instance, plan: Plan, parts: Mapping[str, str], profile: str, bus: Bus, deadline: Deadline
) -> dict[str, Any]:
    """Bring a plan's kernel onto a board over SSH, and boot it. Returns what it took, by place.

    Raises BadInput for a board without a pair or without SSH, FlashError when more than the slots would have to change,
    or when the new slot did not come up: then the board runs what it ran before.
    """
    pair = pair_of(instance.type)
    if pair is None:
        raise BadInput(f"{instance.type.name} has no pair of slots", mend="name another way: flexkit flash --via …")
    if not instance.wired:
        raise BadInput(
            f"{instance.name} is emulated by this tool, and forgets what a run writes to its media",
            mend="flash it without --via ssh",
        )
    refuse_missing(plan)
    refuse_astray(instance, plan)
    with lock.acquire(instance.identity):
        present = deployment_of(instance, plan.flavour)
        _refuse_more_than_slots(plan, pair, present)
        ledgers.keep(instance.identity, plan, profile, parts)
        wanted = ledgers.load(instance.identity, plan.build)
        assert wanted is not None
        return _Update(instance, pair, plan, present, wanted, bus, deadline).carry_out()


def _refuse_more_than_slots(plan: Plan, pair: Pair, present: Deployment) -> None:
    """A board that runs cannot have its firmware and root file system changed under it."""
    slots = {region.name for region in (*pair.regions.values(), pair.state)}
    others = [write for write in plan.writes if write.medium != pair.medium.name or write.region not in slots]
    known = {name: image.sha256 for name, image in present.images.items()}
    changed = [f"{write.medium}.{write.region}" for write in others if known.get(write.image or "") != write.sha256]
    if changed:
        raise FlashError(
            f"{', '.join(changed)} would have to change too, and a board that runs takes its slots alone",
            mend="flash it by another way once",
        )


class _Update:
    """One update on its way. ``detail`` is what the ledger will say of it."""

    def __init__(
        self,
        instance: Instance,
        pair: Pair,
        plan: Plan,
        present: Deployment,
        wanted: Deployment,
        bus: Bus,
        deadline: Deadline,
    ) -> None:
        flavour: Flavour = "stock" if plan.flavour == "stock" else "flex"
        self._instance = instance
        self._pair = pair
        self._plan = plan
        self._present = present
        self._wanted = wanted
        self._bus = bus
        self._deadline = deadline
        self._book = Ledger(instance.identity)
        self._session = Session(instance, present, bind(instance, flavour, present, bus), "ssh", bus)
        self.detail: dict[str, Any] = {"board": plan.board, "by": author(), "wired": True, "regions": {}, "backups": {}}

    def carry_out(self) -> dict[str, Any]:
        """Write, switch, try, and enter what came of it."""
        session = self._session
        written = False
        try:
            with self._bus.step(f"reach {self._instance.name}", "ssh"):
                session.connect(self._deadline)
            old = self._running(session.client)
            new = other(old)
            written = True
            self._write(old, new)
            why = self._try(new)
            if why:
                self._fall_back(old)
                raise FlashError(f"slot {new} did not come up: {why}; the board runs slot {old} again")
            self._enter(self._plan.build, good=True)
            return dict(self.detail["regions"])
        except FlexError as error:
            if written and "failed" not in self.detail:
                self._enter(self._plan.build, good=False, failed=error.message)
                self._enter(self._present.identity, good=True, regions={})
            raise
        finally:
            session.disconnect()

    def _enter(self, build: str, *, good: bool, **more: Any) -> None:
        self.detail |= more
        self._book.append("flash", self._plan.flavour, build, good, self.detail)

    def _running(self, client: Client) -> str:
        """The slot that the kernel came from: what U-Boot told it, also where its own command line is built in."""
        for word in client.check("tr '\\0' ' ' </proc/device-tree/chosen/bootargs", self._deadline).split():
            name, _, slot = word.partition("=")
            if name == ARGUMENT and slot in SLOTS:
                return slot
        raise FlashError(
            f"{self._instance.name} does not say which slot it runs from", mend="flash it by another way once"
        )

    def _medium(self, running: str) -> SshMedium:
        """The board's medium, over the connection that there is; the running slot is never written."""
        way = next(way for way in self._pair.medium.ways if way.tool == "ssh")
        timeouts = self._instance.type.timeouts
        limits = Limits(timeouts.tool, timeouts.enumerate, way.bytes_per_second or 1_000_000)
        used = self._pair.regions[running]
        ssh = self._session.ssh
        assert ssh is not None
        medium = self._pair.medium
        return SshMedium(
            medium.name, medium.size, way.device, lambda _: (ssh, ssh), limits, [range(used.offset, used.end)]
        )

    def _write(self, old: str, new: str) -> None:
        """The image into the new slot, proven; then the switch, which is one sector."""
        region = self._pair.regions[new]
        place = f"{self._pair.medium.name}.{region.name}"
        write = self._image(region.name)
        medium, outcome = self._medium(old), Outcome()
        try:
            open_device(medium, self._deadline)
            with self._bus.step(f"flash {place}", f"{write.size} bytes over SSH, slot {old} runs") as progress:
                write_region(medium, write, self._pair.medium.chunk, self._deadline, progress, outcome=outcome)
            self._switch(medium, State(new, _ONE_TRY))
        finally:
            self.detail["regions"][place] = asdict(outcome) | {"sha256": write.sha256, "slot": new}
            medium.close()
        self._bus.note(place, outcome.words())

    def _image(self, region: str) -> Write:
        for write in self._plan.writes:
            if (write.medium, write.region) == (self._pair.medium.name, region):
                return write
        raise FlashError(f"the plan has nothing for {self._pair.medium.name}.{region}")

    def _switch(self, medium: SshMedium, state: State) -> None:
        """Write the sector by which U-Boot chooses, and see it there."""
        at, sector = self._pair.state.offset, state.pack()
        medium.write(at, sector, self._deadline)
        medium.settle(self._deadline)
        if medium.look(at, SECTOR, self._deadline) != medium.evidence(sector):
            raise FlashError(f"{medium.name}: stage switch: the sector at {at:#x} does not read back")

    def _try(self, new: str) -> str:
        """Start the board once from the new slot. Returns why that is not what runs now; empty: it is, and marked."""
        session = self._session
        session.deployment, session.strict = self._wanted, False
        session.also_wrong = lambda client: self._elsewhere(client, new)
        try:
            with self._bus.step(f"try slot {new}", "one start"):
                session.cycle(self._deadline)
            if not session.wrong:
                self._mark(new)
                return ""
            return "; ".join(session.wrong)
        except (BoardLost, TimedOut) as error:
            self._deadline.check()
            return error.message

    def _elsewhere(self, client: Client, slot: str) -> list[str]:
        found = self._running(client)
        return [] if found == slot else [f"the board came up in slot {found}"]

    def _mark(self, slot: str) -> None:
        medium = self._medium(slot)
        medium.open(self._deadline)
        self._switch(medium, State(slot, GOOD))
        medium.close()

    def _fall_back(self, old: str) -> None:
        """Into the old slot, where U-Boot goes by itself now. Raises BoardLost when even that does not answer."""
        session = self._session
        session.deployment, session.strict = self._present, True
        session.also_wrong = lambda client: self._elsewhere(client, old)
        with self._bus.step(f"back to slot {old}"):
            session.cycle(self._deadline)
