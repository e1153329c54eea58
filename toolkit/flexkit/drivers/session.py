"""A board in use: locked, on, its agent answering, and its parts the ones that were flashed. Left as it was found."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal, TypeVar

from flexkit.boards.lab import Instance
from flexkit.boards.schema import Board
from flexkit.deadline import Deadline
from flexkit.deployed.ledger import Deployment, Ledger
from flexkit.digest import sha256_of
from flexkit.drivers.bind import Drivers, console_of
from flexkit.drivers.console import Console, ConsoleTransport
from flexkit.drivers.protocols import Counter
from flexkit.drivers.qemu import QemuPower
from flexkit.drivers.ssh import Ssh, lab_key
from flexkit.errors import BadInput, BoardLost, FlashError, TimedOut
from flexkit.events import Bus
from flexkit.link.client import AgentError, Client, Identity
from flexkit.link.connection import Connection
from flexkit.models import atrest

T = TypeVar("T")
Flavour = Literal["flex", "stock"]
Via = Literal["serial", "ssh"]
_SSH_RETRY_SECONDS = 0.3
_KNOCK_SECONDS = 6.0
_SUPPLY_SECONDS = 0.2
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


class AgentCounter(Counter):
    """The board's counter, as its agent reads it."""

    def __init__(self, client: Client, hertz: int) -> None:
        self._client = client
        self._hertz = hertz

    def ticks(self, deadline: Deadline) -> int:
        return self._client.ping(deadline)

    def hertz(self) -> int:
        return self._hertz


class Session:
    """A board that answers. ``client`` goes over ``via``; the serial console is read in any case."""

    def __init__(self, instance: Instance, deployment: Deployment, drivers: Drivers, via: Via, bus: Bus) -> None:
        self.instance = instance
        self.deployment = deployment
        self.drivers = drivers
        self.via: Via = via
        self.strict = True
        """Refuse a board whose parts are not the ones that were flashed; else ``wrong`` tells."""
        self.wrong: tuple[str, ...] = ()
        self.also_wrong: Callable[[Client], Sequence[str]] = lambda client: ()
        """What else a caller wants to be so, asked of each boot: in words, what is not."""
        self.revive = True
        """Cycle a board that is on and silent, where its supply may do that unasked."""
        self.started = False
        """Whether it was off and this session switched it on."""
        self.client: Client
        self._console: Console | None = None
        self.identity: Identity
        self.ssh: Ssh | None = None
        self.boot_seconds = 0.0
        self._cold = False  # the caller has just switched it off
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

    @property
    def emulator(self) -> QemuPower:
        """The emulator, for what only that can do. Raises BadInput on a wired board."""
        if not isinstance(self.drivers.power, QemuPower):
            raise BadInput(f"{self.instance.name} is not emulated by this tool")
        return self.drivers.power

    @property
    def counter(self) -> Counter:
        """The board's own counter, which times everything that happens on it."""
        return AgentCounter(self.client, self.identity.counter_hz)

    def connect(self, deadline: Deadline) -> None:
        """Power on if needed, wait for the agent, check who it is, open the way that was asked for.

        Raises BoardLost with the last stage reached when the board does not come up in its own time, TimedOut (with
        the same) when the caller's deadline was sooner, FlashError when the parts are not the ones that were flashed.
        """
        try:
            self._reach_agent(deadline)
        except BoardLost as error:
            if deadline.expired and not self.drivers.power.why_dead():
                raise TimedOut(f"{deadline.what}: {error.message}", mend=error.mend) from error
            raise

    def _reach_agent(self, deadline: Deadline) -> None:
        begin = time.monotonic()
        boot = deadline.within(self.board.timeouts.boot, f"boot {self.instance.name}")
        found = self.drivers.power.is_on(boot)
        self.started = self.started or found is False
        fresh = self._cold or found is False
        self._cold = False
        if fresh:
            self.drivers.power.prepare(boot)
        self._console = console_of(self.instance, self.drivers)
        self._stack.callback(self._console.close)
        if fresh:
            self._switch_on(boot)
        connection = self._knock(boot, patient=fresh)
        if connection is None:
            fresh = True
            boot = self._revive(deadline)
            connection = self._knock(boot, patient=True)
        assert connection is not None
        self.console.answered()
        self._serial = self.client = Client(connection)
        self.identity = self._ask(lambda: self.client.identify(boot))
        self.boot_seconds = time.monotonic() - begin if fresh else 0.0
        self.wrong = (*mismatches(self.deployment, self.identity), *self.also_wrong(self.client))
        if fresh:
            self._note_boot()
        if self.strict:
            self.check_identity()
        if self.via == "ssh":
            self._open_ssh(boot)

    def _switch_on(self, boot: Deadline) -> None:
        switch_on(self.instance, self.drivers, self.console, boot)
        self.console.wait_ready(boot)

    def _revive(self, deadline: Deadline) -> Deadline:
        """A cold start for a board that is on and silent."""
        boot = deadline.within(self.board.timeouts.boot, f"boot {self.instance.name}")
        with self._bus.step(f"{self.instance.name} does not answer", "power off and on"):
            self.console.switched(on=False)
            self.drivers.power.off(boot)
            self._switch_on(boot)
        return boot

    def _knock(self, boot: Deadline, patient: bool) -> Connection | None:
        """Ask for the agent, again and again, each time with the same question. None: nobody answers, and the board may
        be cycled. Raises BoardLost when it may not."""
        soon = self.drivers.power.revives and not patient
        limit = boot.within(_KNOCK_SECONDS, boot.what) if soon else boot
        connection = self._stack.enter_context(Connection(ConsoleTransport(self.console)))
        try:
            connection.wait_open(limit)
        except (BoardLost, TimedOut) as error:
            connection.close()
            why = self.drivers.power.why_dead()
            if why:
                raise self.console.lost(why) from error
            if not soon or not self.revive:
                raise self.console.silent(self.console.why_gone() or "the agent does not answer") from error
            return None
        return connection

    def disconnect(self) -> None:
        """Let console and SSH go; the board stays as it is."""
        self._stack.close()
        self.ssh = None
        self._serial = None

    def start(self, deadline: Deadline) -> None:
        """``connect`` from a cold start, whatever the board did before."""
        if self.drivers.power.is_on(deadline) is False:
            self.connect(deadline)
        else:
            self.cycle(deadline)

    def cycle(self, deadline: Deadline) -> None:
        """A cold start: nothing volatile survives, media do."""
        self.disconnect()
        self.drivers.power.off(deadline)
        self._cold = True
        self.connect(deadline)

    def put_file(self, local: Path, path: str, deadline: Deadline) -> None:
        """Send a file: by SFTP where SSH can be had, else over the link. Checked by its hash on the board."""
        digest = sha256_of(local)
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

    def put_model(self, model: Path, deadline: Deadline, mode: str = "flexserve") -> str:
        """Make a model available for a mode, under its hash; sent once, found again afterwards. Returns its path on
        the board."""
        local = atrest.for_mode(model, mode, deadline)
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
        why = self._console.why_lost()
        if not why and self._console.boots > 1:
            why = "the board started again by itself"
        return self._console.lost(why or error.message)

    def _ask(self, question: Callable[[], T]) -> T:
        """What the agent fails to answer while the board itself is gone is said as what it is."""
        try:
            return question()
        except (BoardLost, TimedOut) as error:
            why = self.drivers.power.why_dead()
            raise self.console.lost(why or error.message) from error

    def _note_boot(self) -> None:
        """Each boot goes into the ledger: one with the right parts is what ``rollback`` looks for."""
        detail = {"board": self.board.name, "boot_id": self.identity.boot_id, "wrong": list(self.wrong)}
        flavour, identity = self.deployment.flavour, self.deployment.identity
        Ledger(self.instance.identity).append("boot", flavour, identity, not self.wrong, detail)

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
        connection = self._stack.enter_context(Connection(self._connect_ssh(deadline).agent(deadline)))
        self._ask(lambda: connection.wait_open(deadline))
        self.client = Client(connection)

    def _ssh_for_files(self, deadline: Deadline) -> Ssh | None:
        """SSH for a transfer, or None on a board where it cannot be had: records carry the file then."""
        if self.drivers.ssh is None:
            return None
        try:
            return self._connect_ssh(deadline)
        except (BoardLost, AgentError) as error:
            if self.drivers.power.why_dead():
                raise
            self._bus.note("ssh", error.message)
            return None

    def _connect_ssh(self, deadline: Deadline) -> Ssh:
        """The connection, made when it is first wanted: the lab's key goes onto the board, and the board's key comes
        from it, over serial."""
        if self.ssh is not None:
            return self.ssh
        assert self._serial is not None
        if self.drivers.ssh is None:
            raise BadInput(
                f"the lab file does not say where SSH of {self.instance.name} is",
                mend=f'add to [board.{self.instance.name}]: ssh = "host:port"; or go --via serial',
            )
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
        assert self.drivers.ssh is not None
        limit = deadline.within(self.board.timeouts.shell, "SSH")
        while True:
            try:
                return Ssh(*self.drivers.ssh(), host_key, limit)
            except BoardLost as error:
                if why := self.drivers.power.why_dead():
                    raise self.console.lost(why) from error
                if limit.remaining < _SSH_RETRY_SECONDS:
                    raise
                time.sleep(_SSH_RETRY_SECONDS)


def model_name(local: Path) -> str:
    """What a model is called on boards: its hash, so that the same name is the same file."""
    return f"{sha256_of(local)}.gguf"


def switch_on(instance: Instance, drivers: Drivers, console: Console, deadline: Deadline) -> None:
    """Raises BoardLost when the supply was switched on and says that it is off: a tool's own success is no evidence."""
    drivers.power.on(deadline)
    limit = deadline.within(instance.type.timeouts.power, f"power on {instance.name}")
    while drivers.power.is_on(deadline) is False:
        if limit.expired:
            raise console.lost(drivers.power.why_dead() or "it was switched on, but its supply says that it is off")
        time.sleep(_SUPPLY_SECONDS)
    console.switched(on=True)
