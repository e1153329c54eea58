"""A board in use: locked, on, its agent answering, and its parts the ones that were flashed. Left as it was found."""

from __future__ import annotations

import hashlib
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeVar

from flexkit import paths
from flexkit.boards.lab import Instance
from flexkit.boards.schema import Board
from flexkit.deadline import Deadline
from flexkit.drivers import lock, qemu
from flexkit.drivers.console import Console, ConsoleTransport
from flexkit.drivers.qemu import QemuPower
from flexkit.drivers.ssh import Ssh, lab_key
from flexkit.errors import BadInput, BoardLost, Busy, FlashError, TimedOut
from flexkit.events import Bus
from flexkit.flash.ledger import Deployment, Ledger
from flexkit.flash.staging import stage
from flexkit.link.client import AgentError, Client, Identity
from flexkit.link.connection import Connection

T = TypeVar("T")
Flavour = Literal["flex", "stock"]
Via = Literal["serial", "ssh"]
_LOGS_KEPT = 40
_SSH_RETRY_SECONDS = 0.3
MODEL_FOLDER = "/data/models"


def flavour_of(mode: str) -> Flavour:
    """Which flavour a mode (DESIGN §2) runs on."""
    return "stock" if mode == "stock" else "flex"


def mismatches(deployment: Deployment, identity: Identity) -> list[str]:
    """Parts that do not report the identity that was flashed, each in words. Empty: all is as it should be."""
    reported = {
        "monitor": identity.monitor,
        "payload": identity.payload,
        "agent": identity.agent,
        "rootfs": identity.rootfs,
    }
    wrong = []
    for part, expected in deployment.parts.items():
        if part == "kernel":
            if expected not in identity.uname:
                wrong.append(f"kernel: {expected} was flashed, the board reports {identity.uname!r}")
        elif part in reported and reported[part] != expected:
            wrong.append(f"{part}: {expected} was flashed, the board reports {reported[part] or 'none'}")
    return wrong


class Session:
    """A board that answers. ``client`` goes over ``via``; the serial console is read in any case."""

    def __init__(self, instance: Instance, deployment: Deployment, power: QemuPower, via: Via, bus: Bus) -> None:
        self.instance = instance
        self.deployment = deployment
        self.power = power
        self.via: Via = via
        self.strict = True
        """Refuse a board whose parts are not the ones that were flashed; else ``wrong`` tells."""
        self.wrong: tuple[str, ...] = ()
        self.client: Client
        self._console: Console | None = None
        self.identity: Identity
        self.ssh: Ssh | None = None
        self.boot_seconds = 0.0
        self._serial: Client | None = None
        self._bus = bus
        self._stack = ExitStack()

    @property
    def board(self) -> Board:
        return self.instance.type

    @property
    def console(self) -> Console:
        """The serial console, read since ``connect``; its log and tail stay after ``disconnect``."""
        if self._console is None:
            raise BoardLost(f"{self.instance.name} has not been reached")
        return self._console

    def connect(self, deadline: Deadline) -> None:
        """Power on if needed, wait for the agent, check who it is, open the way that was asked for.

        Raises BoardLost with the last stage reached when the board does not come up in its own time, TimedOut (with
        the same) when the caller's deadline was sooner, FlashError when the parts are not the ones that were flashed.
        """
        try:
            self._reach_agent(deadline)
        except BoardLost as error:
            if deadline.expired and self.power.is_on():
                raise TimedOut(f"{deadline.what}: {error.message}", mend=error.mend) from error
            raise

    def _reach_agent(self, deadline: Deadline) -> None:
        fresh = not self.power.is_on()
        begin = time.monotonic()
        if fresh:
            self.power.on(deadline)
        boot = deadline.within(self.board.timeouts.boot, f"boot {self.instance.name}")
        self._console = Console(
            self.power.console(), self.board.boot.stages, _new_log(self.instance.name), self.power.why_dead
        )
        self._stack.callback(self.console.close)
        if fresh:
            self.power.go(boot)
            self.console.wait_stage(self.board.boot.stages[-1].name, boot)
        connection = self._stack.enter_context(Connection(ConsoleTransport(self.console)))
        self._open(connection, boot)
        self._serial = self.client = Client(connection)
        self.identity = self._ask(lambda: self.client.identify(boot))
        self.boot_seconds = time.monotonic() - begin if fresh else 0.0
        self.wrong = tuple(mismatches(self.deployment, self.identity))
        if fresh:
            self._note_boot()
        if self.strict:
            self.check_identity()
        if self.via == "ssh":
            self._open_ssh(boot)

    def disconnect(self) -> None:
        """Let console and SSH go; the board stays as it is."""
        self._stack.close()
        self.ssh = None
        self._serial = None

    def cycle(self, deadline: Deadline) -> None:
        """A cold start: nothing volatile survives, media do."""
        self.disconnect()
        self.power.off(deadline)
        self.connect(deadline)

    def put_file(self, local: Path, path: str, deadline: Deadline) -> None:
        """Send a file: by SFTP where SSH can be had, else over the link. Checked by its hash on the board."""
        digest = _sha256(local)
        part = f"{path}.part"
        ssh = self._ssh_for_files(deadline)
        way = "SFTP" if ssh is not None else "serial"
        with self._bus.step(f"send {local.name}", f"{local.stat().st_size} bytes by {way}") as progress:
            if ssh is not None:
                ssh.put(local, part, deadline, progress)
            else:
                self.client.put(local, part, deadline, progress)
            found = self.client.sha256(part, deadline)
            if found != digest:
                raise BoardLost(f"{local.name} arrived damaged: SHA-256 {found} instead of {digest}")
            self.client.check(f"mv {shlex.quote(part)} {shlex.quote(path)} && sync", deadline)

    def put_model(self, local: Path, deadline: Deadline) -> str:
        """Make a model available under its hash; sent once, found again afterwards. Returns its path on the board."""
        size = local.stat().st_size
        path = f"{MODEL_FOLDER}/{model_name(local)}"
        known = self.client.stat(path, deadline)
        if known is None or known.size != size:
            self.put_file(local, path, deadline)
        return path

    def explain(self, error: BoardLost) -> BoardLost:
        """The same loss with what the emulator and the console know of it."""
        if self._console is None or self._console.explains(error):
            return error
        why = self._console.why_gone() or self.power.why_dead()
        if not why and self._console.boots > 1:
            why = "the board started again by itself"
        return self._console.lost(why or error.message)

    def _ask(self, question: Callable[[], T]) -> T:
        """What the agent fails to answer while the board itself is gone is said as what it is."""
        try:
            return question()
        except (BoardLost, TimedOut) as error:
            why = self.power.why_dead()
            raise self.console.lost(why or error.message) from error

    def _open(self, connection: Connection, deadline: Deadline) -> None:
        self._ask(lambda: connection.wait_open(deadline))

    def _note_boot(self) -> None:
        """Each boot goes into the ledger: one with the right parts is what ``rollback`` looks for."""
        detail = {"board": self.board.name, "boot_id": self.identity.boot_id, "wrong": list(self.wrong)}
        flavour, identity = self.deployment.flavour, self.deployment.identity
        Ledger(self.instance.name).append("boot", flavour, identity, not self.wrong, detail)

    def check_identity(self) -> None:
        """Raises FlashError when the parts that run are not the ones that were flashed."""
        if self.wrong:
            raise FlashError(
                f"{self.instance.name} does not run what was flashed:\n"
                + "\n".join(f"  {line}" for line in self.wrong),
                mend=f"run: flexkit flash -b {self.instance.name}",
            )

    def _open_ssh(self, deadline: Deadline) -> None:
        """An agent over SSH becomes the client."""
        connection = self._stack.enter_context(Connection(self._connect_ssh(deadline).agent()))
        self._open(connection, deadline)
        self.client = Client(connection)

    def _ssh_for_files(self, deadline: Deadline) -> Ssh | None:
        """SSH for a transfer, or None on a board where it cannot be had: records carry the file then."""
        try:
            return self._connect_ssh(deadline)
        except (BoardLost, AgentError) as error:
            if self.power.why_dead():
                raise
            self._bus.note("ssh", error.message)
            return None

    def _connect_ssh(self, deadline: Deadline) -> Ssh:
        """The connection, made when it is first wanted: the lab's key goes onto the board, and the board's key comes
        from it, over serial."""
        if self.ssh is not None:
            return self.ssh
        assert self._serial is not None
        _, public = lab_key()
        line = shlex.quote(public)
        keys = "/identity/authorized_keys"
        self._serial.check(
            f"grep -qxF {line} {keys} 2>/dev/null || {{ echo {line} >> {keys}; chmod 600 {keys}; sync; }}", deadline
        )
        shown = self._serial.check("dropbearkey -y -f /identity/host_ed25519 2>/dev/null | grep '^ssh-'", deadline)
        self.ssh = self._dial(shown.strip(), deadline)
        self._stack.callback(self.ssh.close)
        return self.ssh

    def _dial(self, host_key: str, deadline: Deadline) -> Ssh:
        """SSH may come up a moment after the agent; on a board that is gone it will not."""
        limit = deadline.within(self.board.timeouts.shell, "SSH")
        while True:
            try:
                return Ssh("127.0.0.1", self.power.ssh_port, host_key, limit)
            except BoardLost as error:
                if why := self.power.why_dead():
                    raise self.console.lost(why) from error
                if limit.remaining < _SSH_RETRY_SECONDS:
                    raise
                time.sleep(_SSH_RETRY_SECONDS)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as source:
            return hashlib.file_digest(source, "sha256").hexdigest()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from error


def model_name(local: Path) -> str:
    """What a model is called on boards: its hash, so that the same name is the same file."""
    return f"{_sha256(local)}.gguf"


def _new_log(instance: str) -> Path:
    """A file for a console's log; the oldest ones go."""
    folder = paths.state() / "console" / instance
    lock.shared_folder(folder)
    for old in sorted(folder.glob("*.log"))[:-_LOGS_KEPT]:
        old.unlink(missing_ok=True)
    return folder / f"{datetime.now(UTC).strftime('%Y%m%dT%H%M%S.%f')}.log"


def deployment_of(instance: Instance, flavour: str) -> Deployment:
    """What is on the board. Raises FlashError when that is nothing that was verified."""
    found = Ledger(instance.name).current(flavour)
    if found is None:
        stock = " --flavour stock" if flavour == "stock" else ""
        raise FlashError(
            f"{instance.name} has no verified deployment of flavour {flavour}",
            mend=f"run: flexkit flash -b {instance.name}{stock}",
        )
    return found


def _emulated(instance: Instance) -> None:
    if instance.type.emulator is None:
        raise BadInput(f"{instance.name} is of type {instance.type.name}, which this flexkit cannot drive yet")


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
) -> Iterator[Session]:
    """Have a board for a block. One that runs already (``flexkit power on``) is used as it is; else it is started, and
    ended with the block. ``extra``: more words for the emulator's command line. ``wait``: for whoever has it now.
    ``models`` will be wanted: a board that is off and has its medium on this host is given them there, which spares
    sending them; ``put_model`` finds them. Not ``strict``: hand over a board whatever parts it runs."""
    _emulated(instance)
    with lock.acquire(instance.name, deadline if wait else None):
        deployment = deployment_of(instance, flavour)
        state = qemu.running(instance.name)
        if state is not None and (state.flavour != flavour or state.build != deployment.identity or extra):
            raise Busy(
                f"{instance.name} is on with flavour {state.flavour}, build {state.build[:12]}",
                mend=f"run: flexkit power off -b {instance.name}",
            )
        power = QemuPower(instance.type, instance.name, flavour, deployment.identity, extra=extra)
        if state is not None:
            power.attach(state)
        elif models:
            stage(instance, flavour, {model_name(path): path for path in models}, deadline)
        session = Session(instance, deployment, power, via, bus)
        session.strict = strict
        try:
            with bus.step(f"{'boot' if state is None else 'reach'} {instance.name}", f"{flavour}, {via}"):
                session.connect(deadline)
            yield session
        except BoardLost as error:
            raise session.explain(error) from error
        finally:
            session.disconnect()
            if state is None:
                power.off(Deadline(instance.type.timeouts.power, "power off"))
                power.discard()


def power_on(instance: Instance, deadline: Deadline, bus: Bus, flavour: Flavour = "flex") -> Identity:
    """Start a board that stays on after this process. Returns who it says it is."""
    _emulated(instance)
    with lock.acquire(instance.name):
        if qemu.running(instance.name) is not None:
            raise Busy(f"{instance.name} is on already", mend=f"run: flexkit power off -b {instance.name}")
        deployment = deployment_of(instance, flavour)
        power = QemuPower(instance.type, instance.name, flavour, deployment.identity, stay=True)
        session = Session(instance, deployment, power, "serial", bus)
        try:
            with bus.step(f"boot {instance.name}", flavour):
                session.connect(deadline)
            power.publish()
        except BaseException:
            session.disconnect()
            power.off(Deadline(instance.type.timeouts.power, "power off"))
            power.discard()
            raise
        session.disconnect()
        return session.identity


def power_off(instance: Instance, deadline: Deadline) -> bool:
    """End a board that runs. False: none did."""
    with lock.acquire(instance.name):
        state = qemu.running(instance.name)
        if state is None:
            return False
        power = QemuPower(instance.type, instance.name, state.flavour, state.build)
        power.attach(state)
        power.off(deadline)
        power.discard()
        return True
