"""The board that benchmarks see (flexkit.bench.board.BenchBoard), over the link."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from flexkit import build, lock, proc
from flexkit.bench import asking
from flexkit.bench.board import (
    BenchBoard,
    BesideResult,
    BoardFacts,
    ExecResult,
    FaultResult,
    Flavour,
    Mode,
    RecallResult,
    RunRequest,
    RunResult,
    Spent,
    Stats,
    StepKind,
)
from flexkit.boards import Instance
from flexkit.deadline import Deadline
from flexkit.deployed import Ledger, make_plan
from flexkit.deployed.ledger import Deployment
from flexkit.drivers import Session, qemu, virtual
from flexkit.drivers.access import bind, deployment_of
from flexkit.drivers.session import Via, mismatches, model_name
from flexkit.drivers.staging import stage
from flexkit.errors import BoardLost, Busy, FlashError, FlexError, MissingTool
from flexkit.events import Bus
from flexkit.flash import deploy_held
from flexkit.flash.ways.choose import Ways
from flexkit.link.batch import Batch
from flexkit.link.client import Identity
from flexkit.link.connection import Exchange
from flexkit.link.protocol import Giver
from flexkit.models import atrest

_OFF_SECONDS = 15.0
P = ParamSpec("P")
R = TypeVar("R")


def _explained(method: Callable[Concatenate[LinkBoard, P], R]) -> Callable[Concatenate[LinkBoard, P], R]:
    """A board that is lost is told with what its emulator and its console know of it."""

    @functools.wraps(method)
    def call(board: LinkBoard, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(board, *args, **kwargs)
        except BoardLost as error:
            raise board.explain(error) from error

    return call


def open_bench_board(instance: Instance, bus: Bus, deadline: Deadline, via: Via = "ssh") -> LinkBoard:
    """A board for benchmarks, locked until ``close``; it is off until ``boot``. Raises Busy."""
    deadline.check()
    return LinkBoard(instance, bus, via)


class LinkBoard(BenchBoard):
    """See BenchBoard for what each method does."""

    def __init__(self, instance: Instance, bus: Bus, via: Via) -> None:
        self._instance = instance
        self._bus = bus
        self._via: Via = via
        self._session: Session | None = None
        self._holder: Exchange | None = None
        self._staged: dict[str, Path] = {}
        self._stack = ExitStack()
        self._stack.enter_context(lock.acquire(instance.identity))
        if not instance.wired and qemu.running(instance.name) is not None:
            self._stack.close()
            raise Busy(f"{instance.name} is on", mend=f"run: flexkit power off -b {instance.name}")

    def stage(self, models: Sequence[Path], deadline: Deadline) -> None:
        deadline.check()
        forms = [*models, *(atrest.sealed_form(path, deadline) for path in models)]
        self._staged = {model_name(path): path for path in forms}

    def boot(self, flavour: Flavour, deadline: Deadline) -> BoardFacts:
        self._off()
        self._flash(flavour, deadline)
        if self._staged and not self._instance.wired:
            with self._bus.step("stage models", f"{len(self._staged)} files, {flavour}"):
                stage(self._instance, flavour, self._staged, deadline)
        deployment = deployment_of(self._instance, flavour)
        drivers = bind(self._instance, flavour, deployment, self._bus)
        session = Session(self._instance, deployment, drivers, self._via, self._bus)
        self._session = session
        with self._bus.step(f"boot {self._instance.name}", f"{flavour}, {self._via}"):
            session.start(deadline)
        return self._facts(session.identity, session.deployment, session.boot_seconds, deadline)

    @_explained
    def put_model(self, path: Path, mode: Mode, deadline: Deadline) -> str:
        return self._running.put_model(path, deadline, mode)

    @_explained
    def run(self, request: RunRequest, deadline: Deadline) -> RunResult:
        return asking.run_on(self._running.client, request, deadline)

    @_explained
    def forget(self, model: str, deadline: Deadline) -> None:
        self._running.client.forget(model, deadline)

    @_explained
    def protect(self, on: bool, deadline: Deadline) -> None:
        self._running.client.protect(on, deadline)

    @_explained
    def recall(self, model: str, pages: int, deadline: Deadline) -> RecallResult:
        found = self._running.client.recall(pages, deadline, model)
        return RecallResult(found.pages, found.ticks, found.whole)

    @_explained
    def drop_cached(self, path: str, size_bytes: int, deadline: Deadline) -> int:
        dropped = self._running.client.drop_cached(path, size_bytes, deadline)
        if dropped.size != size_bytes:
            raise FlexError(f"the page cache gave up {dropped.size} bytes of {path}, not {size_bytes}")
        return dropped.ticks

    @_explained
    def hold(self, leave_bytes: int, deadline: Deadline) -> int:
        self._holder, held = self._running.client.hold(leave_bytes, deadline)
        return held

    @_explained
    def fault_in(
        self, size_bytes: int, deadline: Deadline, *, until_recalled: int = 0, page_cache: bool = False
    ) -> FaultResult:
        giver = Giver.PAGE_CACHE if page_cache else Giver.SECURE
        found = self._running.client.fault_in(size_bytes, deadline, until_recalled=until_recalled, giver=giver)
        return FaultResult(found.size, found.ticks, found.recalled_pages)

    @_explained
    def let_go(self, deadline: Deadline) -> None:
        if self._holder is not None:
            self._running.client.let_go(self._holder, deadline)
            self._holder = None

    @_explained
    def fragment(self, leave_bytes: int, deadline: Deadline) -> int:
        self._holder, held = self._running.client.fragment(leave_bytes, deadline)
        return held

    @_explained
    def measure(self, kind: StepKind, count: int, batch: int, deadline: Deadline) -> Spent:
        return asking.measure_on(self._running.client, kind, count, batch, deadline)

    @_explained
    def stats(self, deadline: Deadline) -> Stats:
        return asking.stats_on(self._running.client, deadline)

    @_explained
    def execute(self, argv: Sequence[str], deadline: Deadline) -> ExecResult:
        return asking.execute_on(self._running.client, argv, deadline, limit=deadline.check())

    @_explained
    def beside(
        self, request: RunRequest, argv: Sequence[str], period_seconds: float, phase_seconds: float, deadline: Deadline
    ) -> BesideResult:
        return asking.beside_on(self._running.client, request, argv, period_seconds, phase_seconds, deadline)

    def work_off(self, batch: Batch, models: Mapping[str, Path], seconds: float, *, programs: bool) -> BoardFacts:
        """Boot under the virtual clock with a batch of requests and these models in memory (path on the board, without
        its first slash -> file), with ``programs`` the board's own too, and take the answers in. Raises BoardLost when
        it does not come to its end."""
        deadline = Deadline(seconds, f"batch of {self._instance.name}")
        who = batch.plan(lambda client: client.identify(deadline))
        self._off()
        manifest = self._flash("flex", deadline)
        with tempfile.TemporaryDirectory(prefix="flexkit-") as folder:
            proc.run(["debugfs", "-R", f"rdump /usr {folder}", manifest.images["rootfs"].path], deadline)
            usr = Path(folder) / "usr"
            tools = {"busybox": usr / "bin/busybox", "flexagent": manifest.outputs["agent"] / "flexagent"}
            rootfs = manifest.parts["rootfs"]
            program = virtual.Program(bytes(batch.bytes), tools, models, rootfs, usr if programs else None)
            firmware = qemu.media_folder(self._instance.name, "flex") / "pflash.img"
            console = virtual.run(self._instance.type, firmware, program, deadline)
        try:
            batch.take(console)
        except BoardLost as error:
            raise BoardLost(f"{self._instance.name}: {error.message}; it said last: {virtual.tail(console)}") from error
        identity = batch.answer(who, lambda client: client.identify(deadline))
        deployment = deployment_of(self._instance, "flex")
        wrong = mismatches(deployment, identity)
        if wrong:
            raise FlashError(f"{self._instance.name} does not run what was flashed: {'; '.join(wrong)}")
        facts = self._facts(identity, deployment, 0.0, deadline)
        return replace(facts, evidence="emulated-virtual", clock="virtual", via="memory")

    def close(self) -> None:
        self._off()
        self._stack.close()

    def explain(self, error: BoardLost) -> BoardLost:
        """The same loss with its cause, where that is known."""
        return error if self._session is None else self._session.explain(error)

    @property
    def _running(self) -> Session:
        if self._session is None:
            raise BoardLost(f"{self._instance.name} has not been booted")
        return self._session

    def _off(self) -> None:
        """Whatever runs there ends with the board."""
        session, self._session = self._session, None
        self._holder = None
        if session is not None:
            session.disconnect()
            session.drivers.power.off(Deadline(_OFF_SECONDS, "power off"))
            session.drivers.power.discard()

    def _flash(self, flavour: Flavour, deadline: Deadline) -> build.Manifest:
        """What these sources build has to be on the board."""
        manifest = build.run(self._instance.type, bus=self._bus, deadline=deadline, flavour=flavour)
        present = Ledger(self._instance.identity).current(flavour)
        if present is None or present.identity != manifest.identity:
            plan = make_plan(self._instance.type, manifest.identity, flavour, manifest.images, manifest.missing)
            ways = Ways(images={name: image.path for name, image in manifest.images.items()}, bus=self._bus)
            deploy_held(self._instance, plan, manifest.parts, manifest.profile, self._bus, deadline, ways)
        return manifest

    def _facts(self, identity: Identity, deployment: Deployment, boot_seconds: float, deadline: Deadline) -> BoardFacts:
        reported = {"monitor": identity.monitor, "payload": identity.payload, "agent": identity.agent}
        kernel = deployment.parts.get("kernel", "")
        reported |= {"rootfs": identity.rootfs, "kernel": kernel if kernel in identity.uname else ""}
        return BoardFacts(
            name=self._instance.name,
            type=self._instance.type.name,
            evidence="emulated-wall" if self._instance.type.emulated else "silicon",
            clock="wall" if self._instance.type.emulated else "board",
            via=self._via,
            counter_hz=identity.counter_hz,
            cores=identity.cores,
            dma_open=bool(self._instance.type.open_masters),
            identities={part: value for part, value in reported.items() if value},
            debug=identity.debug or deployment.profile == "debug",
            kernel=identity.uname,
            emulator=_emulator_version(deadline) if self._instance.type.emulated else "",
            boot_seconds=boot_seconds,
        )


def _emulator_version(deadline: Deadline) -> str:
    try:
        return proc.run([qemu.PROGRAM, "--version"], deadline).splitlines()[0]
    except (MissingTool, IndexError):
        return ""
