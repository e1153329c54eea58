"""Python's numbers are those of firmware/agent/protocol.h, and the encoding holds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flexkit.link import protocol
from flexkit.link.client import DRIVER_COUNTERS, MEASURED_PARTS, MONITOR_COUNTERS, MONITOR_SLOTS
from flexkit.link.protocol import InferFlag, InferMode, MeasureKind, Msg, Part, ProtocolError, Tag, encode, take

TOP = Path(__file__).resolve().parents[3]
HEADER = TOP / "firmware/agent/protocol.h"


def defined(prefix: str, header: Path = HEADER) -> dict[str, int]:
    """Every ``#define`` of a number with this prefix."""
    found = re.findall(rf"^#define {prefix}(\w+) (\w+)", header.read_text(), re.MULTILINE)
    return {name: int(value, 0) for name, value in found}


def names(enum: type[Msg] | type[Tag] | type[Part]) -> dict[str, int]:
    return {each.name: int(each) for each in enum}


def test_messages_tags_and_parts_are_the_same() -> None:
    assert names(Msg) == defined("FLEX_MSG_")
    assert names(Tag) == defined("FLEX_TAG_")
    assert names(Part) == defined("FLEX_PART_")
    assert defined("FLEX_MESSAGE_MAX".removesuffix("MAX"))["MAX"] == protocol.MESSAGE_MAX


def test_bounds_are_the_same() -> None:
    assert defined("FLEX_PROMPT_", TOP / "firmware/abi/flexkit/payload.h")["BYTES"] == protocol.PROMPT_BYTES
    assert defined("FLEX_INFER_", HEADER.with_name("infer_report.h"))["TURNS"] == protocol.CONVERSATION_TURNS


def test_modes_and_flags_are_the_same() -> None:
    both = {each.name: int(each) for each in (*InferMode, *InferFlag)}
    assert both == defined("FLEX_INFER_")


def test_what_can_be_measured_follows_the_abi() -> None:
    uapi = TOP / "firmware/abi/flexkit/uapi.h"
    assert {each.name: int(each) for each in MeasureKind} == defined("FLEX_MEASURE_", uapi)
    body = re.search(r"struct flex_ioc_measure \{(.*?)\};", uapi.read_text(), re.DOTALL)
    assert body is not None
    assert tuple(re.findall(r"__u64 (\w+);.*?out", body[1])) == MEASURED_PARTS


def test_counters_follow_the_abi() -> None:
    monitor = defined("FLEX_STAT_", TOP / "firmware/abi/flexkit/smc.h")
    count = monitor.pop("COUNT")
    assert [name.lower() for name, _ in sorted(monitor.items(), key=lambda item: item[1])] == list(MONITOR_COUNTERS)
    assert len(MONITOR_COUNTERS) == count
    uapi = (TOP / "firmware/abi/flexkit/uapi.h").read_text()
    body = re.search(r"struct flex_ioc_stats \{(.*?)\};", uapi, re.DOTALL)
    assert body is not None
    fields = re.findall(r"\w+(?=[,;])", re.sub(rf"/\*.*?\*/|monitor\[{MONITOR_SLOTS}\];", "", body[1]))
    assert tuple(fields) == DRIVER_COUNTERS


def test_what_is_encoded_is_taken_again_however_it_is_cut() -> None:
    stream = encode(Msg.STAT, 1, [(Tag.PATH, "/a"), (Tag.SIZE, -2)]) + encode(Msg.PING, 2, [(Tag.DATA, b"")])
    buffer, found = bytearray(), []
    for byte in stream:
        buffer.append(byte)
        found += take(buffer)
    assert [(each.kind, each.request) for each in found] == [(Msg.STAT, 1), (Msg.PING, 2)]
    assert found[0].text(Tag.PATH) == "/a"
    assert found[0].number(Tag.SIZE) == -2
    assert found[0].number(Tag.MODE, 7) == 7
    assert found[1].bytes(Tag.DATA) == b""
    assert not buffer


def test_a_message_beyond_the_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="at most"):
        encode(Msg.PING, 1, [(Tag.DATA, bytes(protocol.MESSAGE_MAX))])


@pytest.mark.parametrize(
    "stream",
    [
        b"\x04\0\0\0\x01\0\0\0\0",  # shorter than its own head
        b"\0\0\x02\0\x01\0\0\0\0",  # longer than any message
        b"\x07\0\0\0\x01\0\0\0\0\x01\x01",  # a field that is cut
        b"\x0a\0\0\0\x01\0\0\0\0\x01\x09\0\0\0",  # a field that overruns
    ],
)
def test_nonsense_is_an_error(stream: bytes) -> None:
    with pytest.raises(ProtocolError):
        list(take(bytearray(stream)))
