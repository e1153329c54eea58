"""What a host can ask of a board, typed. Every call takes a Deadline; every failure is a flexkit error."""

from __future__ import annotations

import errno
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Protocol

from flexkit.deadline import Deadline
from flexkit.errors import FlexError, TimedOut
from flexkit.link.answers import (
    DRIVER_COUNTERS,
    FINISHES,
    INFO,
    MEASURED_PARTS,
    MODES,
    MONITOR_COUNTERS,
    MONITOR_SLOTS,
    AgentError,
    Beside,
    Dropped,
    ExecResult,
    Faulted,
    FileStat,
    Identity,
    InferRequest,
    InferResult,
    Job,
    Measured,
    Recalled,
    Stats,
    Token,
    beside_of,
    fields_of,
    raise_error,
    result_of,
    token_of,
)
from flexkit.link.connection import Exchange
from flexkit.link.protocol import Field, Giver, MeasureKind, Message, Msg, Tag

__all__ = [
    "DRIVER_COUNTERS",
    "FINISHES",
    "MEASURED_PARTS",
    "MODES",
    "MONITOR_COUNTERS",
    "AgentError",
    "Beside",
    "Client",
    "Dropped",
    "ExecResult",
    "Faulted",
    "FileStat",
    "Identity",
    "InferRequest",
    "InferResult",
    "Job",
    "Measured",
    "Recalled",
    "Requests",
    "Stats",
    "Token",
]

_CHUNK = 16384
_CHUNKS_AHEAD = 4


class Requests(Protocol):
    """What carries requests: a connection, or a batch (batch.py)."""

    def request(self, kind: Msg, fields: list[Field], what: str) -> Exchange:
        """Send a request; its answers come from the exchange."""

    def cancel(self, exchange: Exchange) -> None:
        """End a request that is under way."""

    def close(self) -> None:
        """No requests any more."""


class Client:
    """Typed operations over a connection."""

    def __init__(self, connection: Requests) -> None:
        self.connection = connection

    def _call(self, kind: Msg, fields: list[Field], what: str, deadline: Deadline) -> Message:
        exchange = self.connection.request(kind, fields, what)
        while (message := exchange.next(deadline)).kind != Msg.RESULT:
            if message.kind == Msg.ERROR:
                raise_error(message, what)
        return message

    def identify(self, deadline: Deadline) -> Identity:
        """Who the parts on the board say that they are. Raises BoardLost, TimedOut."""
        message = self._call(Msg.IDENTIFY, [], "identify", deadline)
        return Identity(
            agent=message.text(Tag.AGENT_ID),
            monitor=message.bytes(Tag.MONITOR_ID).hex(),
            payload=message.bytes(Tag.PAYLOAD_ID).hex(),
            rootfs=message.text(Tag.ROOTFS_ID),
            uname=message.text(Tag.UNAME),
            boot_id=message.text(Tag.BOOT_ID),
            cores=message.number(Tag.CORES),
            counter_hz=message.number(Tag.COUNTER_HZ),
            ticks=message.number(Tag.TICKS),
            debug=message.number(Tag.DEBUG) != 0,
            protection=message.number(Tag.PROTECTION) != 0,
        )

    def ping(self, deadline: Deadline, data: bytes = b"") -> int:
        """The board's counter; what was sent has to come back."""
        message = self._call(Msg.PING, [(Tag.DATA, data)], "ping", deadline)
        if message.bytes(Tag.DATA) != data:
            raise AgentError("ping: other bytes came back than were sent", errno.EIO)
        return message.number(Tag.TICKS)

    def spawn(self, argv: Sequence[str] | str, *, limit: float = 0.0, stdin: bool = False) -> Job:
        """Start a program and return at once. A string is for ``sh -c``. ``limit``: seconds after which the board
        kills it, 0 for never."""
        words = ["sh", "-c", argv] if isinstance(argv, str) else list(argv)
        fields: list[Field] = [(Tag.ARG, word) for word in words]
        fields += [(Tag.DEADLINE_MS, int(limit * 1000)), (Tag.STDIN, int(stdin))]
        return Job(self.connection.request(Msg.EXEC, fields, words[-1] if isinstance(argv, str) else shlex.join(words)))

    def execute(
        self,
        argv: Sequence[str] | str,
        deadline: Deadline,
        *,
        stdin: Iterator[bytes] | None = None,
        on_output: Callable[[bytes], None] | None = None,
    ) -> ExecResult:
        """Run a program to its end; any exit status is a result. At the deadline the board kills it: TimedOut.
        ``on_output`` gets standard output as it comes."""
        job = self.spawn(argv, limit=deadline.check(), stdin=stdin is not None)
        try:
            if stdin is not None:
                self._feed(job, stdin, deadline)
            shown = 0
            while job.result is None:
                job.take(job.exchange.next(deadline))
                if on_output is not None and len(job.out) > shown:
                    on_output(bytes(job.out[shown:]))
                    shown = len(job.out)
        except BaseException:
            self._cancel_quietly(job.exchange)
            raise
        if job.result.timed_out:
            raise TimedOut(f"{deadline.what}: {job.exchange.what!r} on the board was ended at its deadline")
        return job.result

    def check(self, argv: Sequence[str] | str, deadline: Deadline) -> str:
        """Run a program that has to succeed; its standard output."""
        result = self.execute(argv, deadline)
        if result.status:
            text = result.err.decode(errors="replace").strip() or f"exit status {result.status}"
            raise AgentError(f"{argv if isinstance(argv, str) else shlex.join(argv)}: {text}", errno.EIO)
        return result.out.decode(errors="replace")

    def _feed(self, job: Job, chunks: Iterator[bytes], deadline: Deadline) -> None:
        """Input for a program, never more ahead of it than its buffer on the board holds."""
        sent = 0
        for chunk in chunks:
            for begin in range(0, len(chunk), _CHUNK):
                part = chunk[begin : begin + _CHUNK]
                while job.result is None and sent + len(part) - job.accepted > _CHUNKS_AHEAD * _CHUNK:
                    job.take(job.exchange.next(deadline))
                if job.result is not None:
                    return
                job.exchange.send(Msg.INPUT, [(Tag.DATA, part)])
                sent += len(part)
        job.exchange.send(Msg.INPUT, [])

    def _cancel_quietly(self, exchange: Exchange) -> None:
        """For a request whose caller is already failing: the first error is the one to see."""
        with suppress(FlexError):
            self.connection.cancel(exchange)

    def stat(self, path: str, deadline: Deadline) -> FileStat | None:
        """A file's size, mode and time; None when there is none."""
        try:
            message = self._call(Msg.STAT, [(Tag.PATH, path)], f"stat {path}", deadline)
        except AgentError as error:
            if error.number == errno.ENOENT:
                return None
            raise
        return FileStat(message.number(Tag.SIZE), message.number(Tag.MODE), message.number(Tag.MTIME))

    def sha256(self, path: str, deadline: Deadline) -> str:
        """A file's SHA-256, computed on the board."""
        return self.check(["sha256sum", path], deadline).split()[0]

    def put(
        self, local: Path, path: str, deadline: Deadline, progress: Callable[[int, int], None] | None = None
    ) -> None:
        """Send a file over the link itself (the fallback where there is no SFTP). The caller checks its hash."""
        size = local.stat().st_size

        def chunks() -> Iterator[bytes]:
            with local.open("rb") as source:
                while chunk := source.read(_CHUNK):
                    yield chunk
                    if progress is not None:
                        progress(source.tell(), size)

        command = f"mkdir -p {shlex.quote(str(PurePosixPath(path).parent))} && cat > {shlex.quote(path)}"
        result = self.execute(command, deadline, stdin=chunks())
        if result.status:
            raise AgentError(f"{path}: {result.err.decode(errors='replace').strip()}", errno.EIO)

    def get(self, path: str, deadline: Deadline) -> bytes:
        """A file's bytes over the link itself."""
        result = self.execute(["cat", path], deadline)
        if result.status:
            raise AgentError(f"{path}: {result.err.decode(errors='replace').strip()}", errno.EIO)
        return result.out

    def infer(
        self, request: InferRequest, deadline: Deadline, on_token: Callable[[Token], None] | None = None
    ) -> InferResult:
        """Run one prompt to its end. At the deadline, or when the caller is interrupted, it is cancelled.

        ``on_token`` gets each token as it comes; a long text comes in pieces, with the same index.
        """
        return self.converse(request, [], deadline, on_token)[0]

    def converse(
        self,
        request: InferRequest,
        more: Sequence[str],
        deadline: Deadline,
        on_token: Callable[[Token], None] | None = None,
        on_turn: Callable[[InferResult], None] | None = None,
    ) -> list[InferResult]:
        """As ``infer``, and then the prompts of ``more``, each behind the answer to the one before, in one context.

        ``on_turn`` gets each result as it comes.
        """
        exchange = self.connection.request(Msg.INFER, fields_of(request, more), f"infer ({request.mode})")
        turns: list[InferResult] = []
        try:
            for _ in (request.prompt, *more):
                turns.append(self._turn(exchange, deadline, on_token))
                if on_turn is not None:
                    on_turn(turns[-1])
        except BaseException:
            self._cancel_quietly(exchange)
            raise
        return turns

    @staticmethod
    def _turn(exchange: Exchange, deadline: Deadline, on_token: Callable[[Token], None] | None) -> InferResult:
        """One prompt's tokens, and its end."""
        tokens: list[Token] = []
        while (message := exchange.next(deadline)).kind not in (Msg.TURN, Msg.RESULT):
            if message.kind == Msg.ERROR:
                raise_error(message, exchange.what)
            if message.kind == Msg.TOKEN:
                tokens.append(token_of(message))
                if on_token is not None:
                    on_token(tokens[-1])
            elif message.kind == Msg.TEXT and tokens:
                more = replace(tokens[-1], text=message.bytes(Tag.DATA))
                tokens[-1] = replace(more, text=tokens[-1].text + more.text)
                if on_token is not None:
                    on_token(more)
        return result_of(message, tokens)

    def beside(
        self, request: InferRequest, argv: Sequence[str], period: float, deadline: Deadline, *, phase: float = 0.0
    ) -> Beside:
        """Run a program to its end, and the prompt again and again meanwhile: ``phase`` seconds after its start and
        every ``period`` from then on, or at once when the last answer took longer."""
        fields = fields_of(request)
        fields += [(Tag.ARG, word) for word in argv]
        fields += [(Tag.PERIOD_US, round(period * 1e6)), (Tag.PHASE_US, round(phase * 1e6))]
        exchange = self.connection.request(Msg.BESIDE, fields, f"{argv[0]} beside {request.mode}")
        try:
            while (message := exchange.next(deadline)).kind != Msg.RESULT:
                if message.kind == Msg.ERROR:
                    raise_error(message, exchange.what)
        except BaseException:
            self._cancel_quietly(exchange)
            raise
        return beside_of(message)

    def forget(self, model: str, deadline: Deadline) -> None:
        """Drop a model's cached weights from secure memory."""
        self._call(Msg.FORGET, [(Tag.MODEL, model)], "forget", deadline)

    def protect(self, on: bool, deadline: Deadline) -> None:
        """Switch stage 2 and the SMMU on or off."""
        self._call(Msg.PROTECT, [(Tag.ON, int(on))], "protect", deadline)

    def recall(self, pages: int, deadline: Deadline, model: str | None = None) -> Recalled:
        """Take pages back now: of this model's weights, or whoever's."""
        named: list[Field] = [] if model is None else [(Tag.MODEL, model)]
        message = self._call(Msg.RECALL, [(Tag.PAGES, pages), *named], "recall", deadline)
        return Recalled(message.number(Tag.PAGES), message.number(Tag.TICKS), message.number(Tag.SPENT))

    def drop_cached(self, path: str, size: int, deadline: Deadline) -> Dropped:
        """Have the first ``size`` bytes of a file read into the page cache, and given up by it."""
        message = self._call(Msg.DROP, [(Tag.PATH, path), (Tag.SIZE, size)], "drop page cache", deadline)
        return Dropped(message.number(Tag.SIZE), message.number(Tag.TICKS))

    def stats(self, deadline: Deadline) -> Stats:
        """The driver's and the monitor's counters; empty where there is no driver."""
        message = self._call(Msg.STATS, [], "stats", deadline)
        counters = message.numbers(Tag.COUNTER)
        return Stats(
            driver=dict(zip(DRIVER_COUNTERS, counters[MONITOR_SLOTS:], strict=False)),
            monitor=dict(zip(MONITOR_COUNTERS, counters[:MONITOR_SLOTS], strict=False)),
            info=dict(zip(INFO, message.numbers(Tag.INFO), strict=False)),
        )

    def hold(self, leave: int, deadline: Deadline) -> tuple[Exchange, int]:
        """A process takes memory until only ``leave`` bytes are free and keeps it until ``let_go``."""
        return self._held(Msg.HOLD, leave, deadline)

    def fragment(self, leave: int, deadline: Deadline) -> tuple[Exchange, int]:
        """As ``hold``, and then every second page is free again."""
        return self._held(Msg.FRAGMENT, leave, deadline)

    def _held(self, kind: Msg, leave: int, deadline: Deadline) -> tuple[Exchange, int]:
        exchange = self.connection.request(kind, [(Tag.LEAVE, leave)], f"{kind.name.lower()} memory")
        message = exchange.next(deadline)
        if message.kind != Msg.HELD:
            raise_error(message, exchange.what)
        return exchange, message.number(Tag.SIZE)

    def let_go(self, exchange: Exchange, deadline: Deadline) -> None:
        """End what ``hold`` began."""
        self.connection.cancel(exchange)
        while not exchange.ended:
            exchange.next(deadline)

    def fault_in(
        self, size: int, deadline: Deadline, *, until_recalled: int = 0, giver: Giver = Giver.SECURE
    ) -> Faulted:
        """A process maps ``size`` bytes and touches them, then ends. With ``until_recalled``, it takes first what is
        free; when ``giver`` begins to give, its clock begins, and runs until it has so many pages and as many have
        been given."""
        asked: list[Field] = [(Tag.SIZE, size), (Tag.PAGES, until_recalled), (Tag.KIND, giver)]
        message = self._call(Msg.FAULT, asked, "fault in memory", deadline)
        return Faulted(message.number(Tag.SIZE), message.number(Tag.TICKS), message.number(Tag.PAGES))

    def measure(self, kind: MeasureKind, count: int, batch: int, deadline: Deadline) -> Measured:
        """Have the driver time one kind of step ``count`` times, in batches of ``batch`` pages where it has pages."""
        fields: list[Field] = [(Tag.KIND, kind), (Tag.PAGES, count), (Tag.BATCH, batch)]
        spent = self._call(Msg.MEASURE, fields, f"measure {kind.name.lower()}", deadline).numbers(Tag.SPENT)
        if len(spent) != len(MEASURED_PARTS):
            raise AgentError(f"measure: {len(spent)} times came back, not {len(MEASURED_PARTS)}", errno.EIO)
        return Measured(*spent)

    def drill(self, kind: int, deadline: Deadline) -> None:
        """Rehearse a failure of the secure world (FLEX_DRILL_*)."""
        self._call(Msg.DRILL, [(Tag.KIND, kind)], "drill", deadline)

    def panic_record(self, deadline: Deadline) -> bytes:
        """The last panic record of the secure world; all zero when there is none."""
        return self._call(Msg.PANIC, [], "panic record", deadline).bytes(Tag.DATA)

    def meminfo(self, deadline: Deadline) -> dict[str, int]:
        """/proc/meminfo in bytes."""
        lines = self.check(["cat", "/proc/meminfo"], deadline).splitlines()
        pairs = (line.split(":", 1) for line in lines if ":" in line)
        return {name: int(rest.split()[0]) * (1024 if rest.endswith("kB") else 1) for name, rest in pairs}

    def pressure(self, deadline: Deadline) -> str:
        """/proc/pressure/memory as it is."""
        return self.check(["cat", "/proc/pressure/memory"], deadline)
