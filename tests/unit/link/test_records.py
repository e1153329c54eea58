"""The host's codec, by itself and against the board's."""

from __future__ import annotations

import ctypes
import random
import subprocess
from pathlib import Path

import pytest

from flexkit.link.records import DATA_MAX, LINE_MAX, Kind, LineSplitter, Record, decode, encode

TOP = Path(__file__).resolve().parents[3]


class CRecord(ctypes.Structure):
    """struct flex_record of firmware/agent/record.h."""

    _fields_ = [
        ("kind", ctypes.c_char),
        ("session", ctypes.c_uint16),
        ("sequence", ctypes.c_uint32),
        ("length", ctypes.c_uint16),
        ("data", ctypes.c_uint8 * DATA_MAX),
    ]


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    library = tmp_path_factory.mktemp("codec") / "record.so"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, TOP / "firmware/agent/record.c"], check=True)
    loaded = ctypes.CDLL(str(library))
    loaded.flex_record_encode.restype = ctypes.c_size_t
    loaded.flex_record_decode.restype = ctypes.c_bool
    return loaded


def some_records(count: int) -> list[Record]:
    draw = random.Random(1)
    return [
        Record(draw.choice(list(Kind)), draw.randrange(1 << 16), draw.randrange(1 << 32), draw.randbytes(length))
        for length in (*range(8), DATA_MAX, *(draw.randrange(DATA_MAX) for _ in range(count)))
    ]


def c_encode(codec: ctypes.CDLL, record: Record) -> bytes:
    data = (ctypes.c_uint8 * DATA_MAX)(*record.data)
    given = CRecord(record.kind.value.encode(), record.session, record.sequence, len(record.data), data)
    line = ctypes.create_string_buffer(LINE_MAX)
    count = codec.flex_record_encode(ctypes.byref(given), line)
    return line.raw[:count]


def c_decode(codec: ctypes.CDLL, line: bytes) -> Record | None:
    found = CRecord()
    if not codec.flex_record_decode(line, ctypes.c_size_t(len(line)), ctypes.byref(found)):
        return None
    return Record(Kind(found.kind.decode()), found.session, found.sequence, bytes(found.data[: found.length]))


@pytest.mark.parametrize("record", some_records(8), ids=lambda record: f"{record.kind.value}{len(record.data)}")
def test_a_record_survives(record: Record) -> None:
    line = encode(record)
    assert len(line) <= LINE_MAX
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert decode(line) == record


def test_a_record_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="no such record"):
        encode(Record(Kind.DATA, 0, 0, bytes(DATA_MAX + 1)))


def test_both_codecs_write_the_same_line(codec: ctypes.CDLL) -> None:
    for record in some_records(200):
        assert c_encode(codec, record) == encode(record)


def test_both_codecs_agree_about_damaged_lines(codec: ctypes.CDLL) -> None:
    draw = random.Random(2)
    for record in some_records(300):
        line = bytearray(encode(record))
        for _ in range(draw.randrange(3)):
            line[draw.randrange(len(line))] ^= 1 << draw.randrange(8)
        cut = bytes(line[: draw.randrange(len(line) + 1)]) if draw.randrange(4) == 0 else bytes(line)
        assert c_decode(codec, cut) == decode(cut)


@pytest.mark.field("F12")
def test_the_record_is_found_behind_a_kernel_message() -> None:
    record = Record(Kind.DATA, 1, 2, b"abc")
    assert decode(b"[   1.0] oops @FK1 D 00" + encode(record)) == record


def test_lines_come_whole_however_they_are_cut() -> None:
    lines = [encode(record) for record in some_records(20)]
    splitter, found = LineSplitter(), []
    draw = random.Random(3)
    stream = b"".join(lines)
    while stream:
        count = 1 + draw.randrange(100)
        found += splitter.feed(stream[:count])
        stream = stream[count:]
    assert found == lines


@pytest.mark.field("F12")
def test_noise_without_an_end_does_not_fill_memory() -> None:
    splitter = LineSplitter(limit=1000)
    for _ in range(100):
        assert splitter.feed(b"x" * 100) == []
    assert splitter.feed(b"\n")[0].count(b"x") <= 1000
