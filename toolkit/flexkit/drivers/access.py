"""Boards to be had: one user at a time, on if they were off, and left as they were found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from flexkit import lock
from flexkit.boards import Instance
from flexkit.deadline import Deadline
from flexkit.deployed.ledger import Deployment, Ledger
from flexkit.drivers import qemu
from flexkit.drivers.bind import Drivers, bind_emulated, bind_wired, console_of
from flexkit.drivers.console import Console
from flexkit.drivers.session import Flavour, Session, Via, model_name, switch_on
from flexkit.drivers.staging import stage
from flexkit.errors import BoardLost, Busy, FlashError
from flexkit.events import Bus
from flexkit.link.client import Identity


def deployment_of(instance: Instance, flavour: str) -> Deployment:
    """What is on the board. Raises FlashError when that is nothing that was verified."""
    found = Ledger(instance.identity).current(flavour)
    if found is None:
        stock = " --flavour stock" if flavour == "stock" else ""
        raise FlashError(
            f"{instance.name} has no verified deployment of flavour {flavour}",
            mend=f"run: flexkit flash -b {instance.name}{stock}",
        )
    return found


_ENTER = b"\r"  # what the agent answers with a shell


def bind(
    instance: Instance,
    flavour: Flavour,
    deployment: Deployment,
    bus: Bus,
    *,
    stay: bool = False,
    extra: Sequence[str] = (),
) -> Drivers:
    """The drivers of a board. ``stay``, ``extra``: for the emulator (QemuPower). Raises Busy when the board runs
    something else, BadInput when the lab file does not say enough."""
    if instance.wired:
        return bind_wired(instance, bus)
    return bind_emulated(instance, flavour, deployment.identity, stay=stay, extra=extra)


def _leave(session: Session, instance: Instance) -> None:
    """A board that was off is off again, and what the run left is gone."""
    session.disconnect()
    if session.started:
        _switch_off(instance, session.drivers)


def _switch_off(instance: Instance, drivers: Drivers) -> None:
    drivers.power.off(Deadline(instance.type.timeouts.power, "power off"))
    drivers.power.discard()


@contextmanager
def open_board(
    instance: Instance,
    deadline: Deadline,
    bus: Bus,
    *,
    flavour: Flavour = "flex",
    via: Via = "serial",
    wait: bool = False,
    extra: Sequence[str] = (),
    models: Sequence[Path] = (),
    strict: bool = True,
    revive: bool = True,
) -> Iterator[Session]:
    """Have a board for a block. One that runs already is used as it is; one that is off is started, and ended with the
    block; one that is on and silent is cycled if its supply may do that and ``revive``.

    ``extra``: more words for the emulator's command line. ``wait``: for whoever has it now. ``models`` will be wanted:
    a board that is off and has its medium on this host is given them there, which spares sending them; ``put_model``
    finds them. Not ``strict``: hand over a board whatever parts it runs.
    """
    with lock.acquire(instance.identity, deadline if wait else None):
        deployment = deployment_of(instance, flavour)
        drivers = bind(instance, flavour, deployment, bus, extra=extra)
        off = drivers.power.is_on(deadline) is False
        if models and off and not instance.wired:
            stage(instance, flavour, {model_name(path): path for path in models}, deadline)
        session = Session(instance, deployment, drivers, via, bus)
        session.strict, session.revive = strict, revive
        try:
            with bus.step(f"{'boot' if off else 'reach'} {instance.name}", f"{flavour}, {via}"):
                session.connect(deadline)
            yield session
        except BoardLost as error:
            raise session.explain(error) from error
        finally:
            _leave(session, instance)


@contextmanager
def open_console(instance: Instance, deadline: Deadline, bus: Bus, flavour: Flavour = "flex") -> Iterator[Console]:
    """Have a board's console for a block and nothing else: whatever the board does is left alone. One that is off is
    switched on, and off with the block. The agent, once it is there, is asked for a shell."""
    with lock.acquire(instance.identity), ExitStack() as stack:
        drivers = _running(instance, bus)
        if drivers is None:
            drivers = bind(instance, flavour, deployment_of(instance, flavour), bus)
        power = drivers.power
        started = power.is_on(deadline) is False
        if started:
            stack.callback(_switch_off, instance, drivers)
            power.prepare(deadline)
        console = console_of(instance, drivers)
        stack.callback(console.close)
        if started:
            console.when_ready(_ENTER)
            with bus.step(f"switch on {instance.name}"):
                switch_on(instance, drivers, console, deadline)
        else:
            console.write(_ENTER)
        yield console


def power_on(instance: Instance, deadline: Deadline, bus: Bus, flavour: Flavour = "flex") -> Identity | None:
    """Start a board that stays on after this process. Returns who it says it is; None for one on which nothing of ours
    was flashed yet, which is merely switched on. Raises Busy when it is on already."""
    with lock.acquire(instance.identity):
        wired = _running(instance, bus)
        if wired is not None and wired.power.is_on(deadline):
            raise Busy(f"{instance.name} is on already", mend=f"run: flexkit power off -b {instance.name}")
        if wired is not None and Ledger(instance.identity).current(flavour) is None:
            wired.power.on(deadline)
            return None
        deployment = deployment_of(instance, flavour)
        session = Session(instance, deployment, bind(instance, flavour, deployment, bus, stay=True), "serial", bus)
        try:
            with bus.step(f"boot {instance.name}", flavour):
                session.connect(deadline)
            session.drivers.power.keep()
        except BaseException:
            _leave(session, instance)
            raise
        session.disconnect()
        return session.identity


def power_off(instance: Instance, deadline: Deadline, bus: Bus) -> bool:
    """End a board that runs. False: it is known that none did."""
    with lock.acquire(instance.identity):
        drivers = _running(instance, bus)
        if drivers is None or drivers.power.is_on(deadline) is False:
            return False
        drivers.power.off(deadline)
        drivers.power.discard()
        return True


def _running(instance: Instance, bus: Bus) -> Drivers | None:
    """A wired board in any case; an emulated one as it runs, None when it does not."""
    if instance.wired:
        return bind_wired(instance, bus)
    state = qemu.running(instance.name)
    return bind_emulated(instance, state.flavour, state.build) if state else None
