"""What a board answers, typed, and how it is read from messages.

All times are ticks of the board's own counter; ``Identity.counter_hz`` turns them into seconds.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flexkit.deadline import Deadline
from flexkit.errors import BadInput, Busy, FlexError, TimedOut
from flexkit.link.connection import Exchange
from flexkit.link.protocol import Field, InferFlag, InferMode, Message, Msg, Part, Tag

MODES: Mapping[str, InferMode] = {
    "flexserve": InferMode.FLEXSERVE,
    "strawman": InferMode.STRAWMAN,
    "strawman-opt": InferMode.STRAWMAN_OPT,
    "normal": InferMode.NORMAL,
    "normal-idle": InferMode.NORMAL_IDLE,
    "stock": InferMode.STOCK,
}
FINISHES = ("length", "eos")

DRIVER_COUNTERS = (
    "donated", "recalled", "recall_pinned", "shrinker_calls", "shrinker_pages", "preemptions", "migrations", "reloads",
)  # fmt: skip
MONITOR_COUNTERS = (
    "donated", "recalled", "secure_pages", "tlbi", "el3_max_ticks", "el3_max_call", "faults", "switches", "panics",
    "protect_on_ticks", "protect_off_ticks", "reset_scrubbed", "smmu_invalidations", "moved",
    "dma_blocked", "scrub_ticks", "smmu_ticks",
)  # fmt: skip
MONITOR_SLOTS = 32
INFO = ("slots", "quota_pages", "secure_now", "recallable_now", "protection")


class AgentError(FlexError):
    """The board refused or failed; ``number`` is its errno."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number = number


@dataclass(frozen=True)
class Identity:
    """Who the parts of a board say they are, at run time. Empty: that part is not there (``stock`` has no monitor)."""

    agent: str
    monitor: str
    payload: str
    rootfs: str
    uname: str
    boot_id: str
    cores: int
    counter_hz: int
    ticks: int
    debug: bool
    protection: bool


@dataclass(frozen=True)
class ExecResult:
    """A program that ended. ``status``: its exit status, 128 + signal when one ended it. ``ticks``: fork to end."""

    status: int
    out: bytes
    err: bytes
    ticks: int
    timed_out: bool = False


@dataclass(frozen=True)
class FileStat:
    """What the board says of a file."""

    size: int
    mode: int
    mtime: int


@dataclass(frozen=True)
class Token:
    """A token that came. ``ticks``: when it was available on the board."""

    index: int
    id: int
    text: bytes
    ticks: int


@dataclass(frozen=True)
class InferRequest:
    """One prompt. ``context``: tokens that prompt and answer may have together."""

    model: str
    prompt: str
    tokens: int
    mode: str = "flexserve"
    threads: int = 1
    context: int = 512
    ignore_eos: bool = False
    drop_page_cache: bool = False


@dataclass(frozen=True)
class InferResult:
    """What a prompt gave. ``exposed`` has the parts that the mode has; they sum to first_token - submitted.

    Of the positions that a conversation had computed before: ``kept`` in memory, ``opened`` from where they had been
    put aside, ``recomputed``."""

    prompt_ids: tuple[int, ...]
    tokens: tuple[Token, ...]
    finish: str
    submitted: int
    first_token: int
    finished: int
    exposed: Mapping[str, int]
    busy: Mapping[str, int]
    switches: int
    loaded_pages: int
    prefill_ticks: int
    decode_ticks: int
    kept: int = 0
    opened: int = 0
    recomputed: int = 0

    @property
    def text(self) -> str:
        """All of it; bytes that are no UTF-8 are replaced."""
        return b"".join(token.text for token in self.tokens).decode(errors="replace")


@dataclass(frozen=True)
class Beside:
    """A program that ended beside answers. ``answers``: the tokens of each; ``spent``: ticks from the program's start
    to the end of both."""

    program: ExecResult
    answers: tuple[tuple[int, ...], ...]
    spent: int


@dataclass(frozen=True)
class Recalled:
    """Pages that came back, ticks of the monitor's calls, and of all that the driver did for them."""

    pages: int
    ticks: int
    whole: int


@dataclass(frozen=True)
class Dropped:
    """Bytes that the page cache gave up, and the ticks that it took."""

    size: int
    ticks: int


@dataclass(frozen=True)
class Faulted:
    """What a process got that took memory."""

    size: int
    ticks: int
    recalled_pages: int


@dataclass(frozen=True)
class Stats:
    """Counters of driver and monitor; all empty without a driver."""

    driver: Mapping[str, int] = field(default_factory=dict)
    monitor: Mapping[str, int] = field(default_factory=dict)
    info: Mapping[str, int] = field(default_factory=dict)


MEASURED_PARTS = ("whole", "allocate", "secure", "recall", "free", "smmu", "scrub")


@dataclass(frozen=True)
class Measured:
    """struct flex_ioc_measure: ticks of the board's counter in each part, 0 for one that the kind does not have."""

    whole: int
    allocate: int
    secure: int
    recall: int
    free: int
    smmu: int
    scrub: int


def raise_error(message: Message, what: str) -> None:
    """A message ERROR as the failure that it tells of."""
    number = message.number(Tag.ERRNO)
    text = f"{what}: {message.text(Tag.TEXT)}"
    if number == errno.EKEYREJECTED:
        raise BadInput(text)
    if number == errno.EBUSY:
        raise Busy(text)
    if number == errno.ETIMEDOUT:
        raise TimedOut(text)
    raise AgentError(text, number)


@dataclass
class Job:
    """A program under way on the board. ``out`` and ``err`` grow as they come."""

    exchange: Exchange
    out: bytearray = field(default_factory=bytearray)
    err: bytearray = field(default_factory=bytearray)
    accepted: int = 0
    """Bytes of input that the program has taken."""
    result: ExecResult | None = None

    def take(self, message: Message) -> None:
        """Sort in a message of this program. Raises AgentError when it could not be run or was cancelled."""
        if message.kind == Msg.OUTPUT:
            (self.out if message.number(Tag.STREAM) == 1 else self.err).extend(message.bytes(Tag.DATA))
        elif message.kind == Msg.ACCEPTED:
            self.accepted += message.number(Tag.SIZE)
        elif message.kind == Msg.ERROR:
            raise_error(message, self.exchange.what)
        elif message.kind == Msg.RESULT:
            self.result = ExecResult(
                status=_status(message),
                out=bytes(self.out),
                err=bytes(self.err),
                ticks=message.number(Tag.TICKS),
                timed_out=message.number(Tag.TIMED_OUT) != 0,
            )

    def running(self) -> bool:
        """Whether it still runs, as far as the host knows."""
        while self.result is None and (message := self.exchange.poll()) is not None:
            self.take(message)
        return self.result is None

    def wait(self, deadline: Deadline) -> ExecResult:
        """Its end."""
        while self.result is None:
            self.take(self.exchange.next(deadline))
        return self.result


def fields_of(request: InferRequest, more: Sequence[str] = ()) -> list[Field]:
    """A prompt as INFER has it, ``more`` of them the turns behind it."""
    flags = InferFlag(0)
    flags |= InferFlag.IGNORE_EOS if request.ignore_eos else InferFlag(0)
    flags |= InferFlag.DROP_PAGE_CACHE if request.drop_page_cache else InferFlag(0)
    return [
        (Tag.MODEL, request.model),
        *((Tag.PROMPT, prompt) for prompt in (request.prompt, *more)),
        (Tag.TOKENS, request.tokens),
        (Tag.THREADS, request.threads),
        (Tag.MODE, MODES[request.mode]),
        (Tag.CONTEXT, request.context),
        (Tag.FLAGS, flags),
    ]


def beside_of(message: Message) -> Beside:
    """The RESULT of a BESIDE."""
    program = ExecResult(_status(message), b"", message.bytes(Tag.TEXT), message.number(Tag.TICKS))
    return Beside(program, tuple(_ids(ids) for ids in message.all(Tag.DATA)), message.number(Tag.SPENT))


def _ids(data: bytes) -> tuple[int, ...]:
    return tuple(struct.unpack(f"<{len(data) // 4}i", data))


def _status(message: Message) -> int:
    """A program's exit status, 128 + signal when one ended it."""
    signal = message.number(Tag.SIGNAL)
    return 128 + signal if signal else message.number(Tag.STATUS)


def token_of(message: Message) -> Token:
    """A message TOKEN."""
    return Token(message.number(Tag.INDEX), message.number(Tag.ID), message.bytes(Tag.DATA), message.number(Tag.TICKS))


def _parts(message: Message, tag: Tag) -> dict[str, int]:
    return {
        Part(value[0]).name.lower(): int.from_bytes(value[1:], "little")
        for value in message.all(tag)
        if len(value) == 9
    }


def result_of(message: Message, tokens: list[Token]) -> InferResult:
    """The end of a prompt, or of a turn, whose tokens came already."""
    return InferResult(
        prompt_ids=_ids(message.bytes(Tag.PROMPT_IDS)),
        tokens=tuple(tokens),
        finish=FINISHES[message.number(Tag.FINISH)],
        submitted=message.number(Tag.SUBMITTED),
        first_token=message.number(Tag.FIRST_TOKEN),
        finished=message.number(Tag.FINISHED),
        exposed=_parts(message, Tag.EXPOSED),
        busy=_parts(message, Tag.BUSY),
        switches=message.number(Tag.SWITCHES),
        loaded_pages=message.number(Tag.LOADED_PAGES),
        prefill_ticks=message.number(Tag.PREFILL_TICKS),
        decode_ticks=message.number(Tag.DECODE_TICKS),
        kept=message.number(Tag.KEPT),
        opened=message.number(Tag.OPENED),
        recomputed=message.number(Tag.RECOMPUTED),
    )
