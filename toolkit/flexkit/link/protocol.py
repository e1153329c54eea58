"""Messages between host and agent. ``firmware/agent/protocol.h`` is the definition; these are its numbers
(``tests/unit/agent/test_protocol.py`` compares the two files) and its encoding."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, IntFlag

MESSAGE_MAX = 0x10000
PROMPT_BYTES = 0x8000
"""Of one prompt, as the payload takes it (firmware/abi)."""
CONVERSATION_TURNS = 32
"""Prompts of one request (firmware/agent/infer_report.h)."""
_HEAD = struct.Struct("<IBI")
_FIELD = struct.Struct("<BI")
_SIZE_BYTES = 4


class Msg(IntEnum):
    IDENTIFY = 1
    PING = 2
    EXEC = 3
    INPUT = 4
    STAT = 5
    INFER = 6
    CANCEL = 7
    FORGET = 8
    PROTECT = 9
    RECALL = 10
    STATS = 11
    HOLD = 12
    FAULT = 13
    DRILL = 14
    PANIC = 15
    MEASURE = 32
    FRAGMENT = 33
    DROP = 34
    BESIDE = 35
    RESULT = 64
    ERROR = 65
    OUTPUT = 66
    ACCEPTED = 67
    TOKEN = 68
    HELD = 69
    TEXT = 70
    TURN = 71


class Tag(IntEnum):
    DATA = 1
    TEXT = 2
    ERRNO = 3
    ARG = 4
    DEADLINE_MS = 5
    STDIN = 6
    STREAM = 7
    STATUS = 8
    SIGNAL = 9
    TIMED_OUT = 10
    TICKS = 11
    PATH = 12
    SIZE = 13
    MODE = 14
    MTIME = 15
    MODEL = 16
    PROMPT = 17
    TOKENS = 18
    THREADS = 19
    CONTEXT = 20
    FLAGS = 21
    TARGET = 22
    ON = 23
    PAGES = 24
    LEAVE = 25
    KIND = 26
    COUNTER = 27
    INFO = 28
    AGENT_ID = 29
    MONITOR_ID = 30
    PAYLOAD_ID = 31
    DEBUG = 32
    UNAME = 33
    ROOTFS_ID = 34
    BOOT_ID = 35
    CORES = 36
    COUNTER_HZ = 37
    PROTECTION = 38
    ID = 39
    INDEX = 40
    SUBMITTED = 41
    FIRST_TOKEN = 42
    FINISHED = 43
    FINISH = 44
    EXPOSED = 45
    BUSY = 46
    SWITCHES = 47
    LOADED_PAGES = 48
    PROMPT_IDS = 49
    PREFILL_TICKS = 50
    DECODE_TICKS = 51
    KEPT = 52
    OPENED = 53
    RECOMPUTED = 54
    BATCH = 64
    SPENT = 65
    PERIOD_US = 66
    PHASE_US = 67


class Part(IntEnum):
    """Parts of a time to first token, in the order of struct flex_breakdown."""

    ALLOCATE = 0
    READ = 1
    DONATE = 2
    DECRYPT = 3
    PREFILL = 4
    SWITCH = 5


class InferMode(IntEnum):
    FLEXSERVE = 0
    STRAWMAN = 1
    NORMAL = 2
    NORMAL_IDLE = 3
    STOCK = 4
    STRAWMAN_OPT = 5


class MeasureKind(IntEnum):
    """FLEX_MEASURE_* of firmware/abi/flexkit/uapi.h: what the driver can time."""

    CALL = 0
    SWITCH = 1
    CLEAR = 2
    PAGES = 3
    REGION = 4


class Giver(IntEnum):
    """What gives memory back to a process that takes it (FAULT)."""

    SECURE = 0
    PAGE_CACHE = 1


class InferFlag(IntFlag):
    IGNORE_EOS = 1
    DROP_PAGE_CACHE = 2


class ProtocolError(Exception):
    """The stream from the board cannot be followed any more."""


Field = tuple[Tag, "bytes | str | int"]


def _field(tag: Tag, value: bytes | str | int) -> bytes:
    if isinstance(value, int):
        value = (value & 0xFFFF_FFFF_FFFF_FFFF).to_bytes(8, "little")
    elif isinstance(value, str):
        value = value.encode()
    return _FIELD.pack(tag, len(value)) + value


def encode(kind: Msg, request: int, fields: list[Field]) -> bytes:
    """A whole message. Raises ValueError beyond MESSAGE_MAX."""
    body = b"".join(_field(tag, value) for tag, value in fields)
    size = _HEAD.size + len(body)
    if size > MESSAGE_MAX:
        raise ValueError(f"message of {size} bytes; at most {MESSAGE_MAX} fit")
    return _HEAD.pack(size - _SIZE_BYTES, kind, request) + body


@dataclass(frozen=True)
class Message:
    """A message from the board. Fields with a tag that this host does not know are kept and ignored."""

    kind: int
    request: int
    fields: tuple[tuple[int, bytes], ...]

    def all(self, tag: Tag) -> list[bytes]:
        return [value for key, value in self.fields if key == tag]

    def bytes(self, tag: Tag) -> bytes:
        """The first field of that tag, empty when there is none."""
        return next(iter(self.all(tag)), b"")

    def text(self, tag: Tag) -> str:
        return self.bytes(tag).decode(errors="replace")

    def numbers(self, tag: Tag) -> list[int]:
        return [int.from_bytes(value, "little", signed=True) for value in self.all(tag) if len(value) == 8]

    def number(self, tag: Tag, otherwise: int = 0) -> int:
        return next(iter(self.numbers(tag)), otherwise)


def take(stream: bytearray) -> Iterator[Message]:
    """Messages that are whole at the head of the stream, which loses them. Raises ProtocolError."""
    while len(stream) >= _HEAD.size:
        size, kind, request = _HEAD.unpack_from(stream)
        size += _SIZE_BYTES
        if not _HEAD.size <= size <= MESSAGE_MAX:
            raise ProtocolError(f"a message of {size} bytes")
        if len(stream) < size:
            return
        body = bytes(stream[_HEAD.size : size])
        del stream[:size]
        yield Message(kind, request, tuple(_split(body)))


def _split(body: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset < len(body):
        if len(body) - offset < _FIELD.size:
            raise ProtocolError("a field is cut")
        tag, length = _FIELD.unpack_from(body, offset)
        offset += _FIELD.size
        if length > len(body) - offset:
            raise ProtocolError("a field overruns its message")
        yield tag, body[offset : offset + length]
        offset += length
