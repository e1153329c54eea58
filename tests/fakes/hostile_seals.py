"""Sealed models that somebody laid hands on: what was done, and the one refusal that host and payload must give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flexkit.deadline import Deadline
from flexkit.models import catalogue, seal, sealed
from flexkit.models.sealed import CHUNK, MAGIC, BoardKey, Facts, Why

OTHER_BOARD = BoardKey("another-board-01", b"The key of another board, 32 by.")
ENTRY = 32
VERSION_AT, SIZE_AT, CHUNKS_AT = 32, 16, 24


@dataclass(frozen=True)
class Seals:
    """The files that an attacker has: bytes of sealed models, all for the same board. ``foreign``: for another."""

    good: bytes
    facts: Facts
    again: bytes  # the same GGUF under the same name and version, sealed a second time
    other: bytes  # another model
    foreign: bytes


def make_seals(folder: Path) -> Seals:
    """The demo model, version 3, sealed in these ways; ``folder`` is scratch. Not under its own name: a board that has
    seen these would refuse it, which is of version 1, as rolled back."""

    def sealed_bytes(name: str, key: BoardKey) -> bytes:
        order = seal.Order(catalogue.demo_model(), name, 3, key)
        seal.seal(order, folder / "sealed", Deadline(60, "sealing"))
        return (folder / "sealed").read_bytes()

    foreign = sealed_bytes("touched", OTHER_BOARD)
    again, other, good = (sealed_bytes(name, sealed.test_key()) for name in ("touched", "another", "touched"))
    return Seals(good, seal.read_facts(folder / "sealed"), again, other, foreign)


@dataclass(frozen=True)
class Hostile:
    """``make`` changes the good file; the board has already seen version ``minimum``."""

    name: str
    why: Why
    make: Callable[[Seals], bytes]
    minimum: int = 0


def entry(index: int) -> slice:
    """Of a chunk in the table."""
    return slice(CHUNK + index * ENTRY, CHUNK + (index + 1) * ENTRY)


def chunk(facts: Facts, index: int) -> slice:
    at = (facts.first_page + index) * CHUNK
    return slice(at, at + CHUNK)


def _put(data: bytes, at: slice, value: bytes) -> bytes:
    return data[: at.start] + value + data[at.stop :]


def _flip(data: bytes, at: int, bit: int = 0) -> bytes:
    return _put(data, slice(at, at + 1), bytes([data[at] ^ 1 << bit]))


def _number(data: bytes, at: int, value: int) -> bytes:
    return _put(data, slice(at, at + 8), value.to_bytes(8, "little"))


def _exchange(seals: Seals, first: int, second: int) -> bytes:
    """Two chunks change places, with their entries."""
    good, facts = seals.good, seals.facts
    out = good
    for to, source in ((first, second), (second, first)):
        out = _put(out, chunk(facts, to), good[chunk(facts, source)])
        out = _put(out, entry(to), good[entry(source)])
    return out


def _renumbered(seals: Seals) -> bytes:
    """Chunks change places and their entries say the index of the place: only the cipher can tell."""
    out = _exchange(seals, 2, 3)
    return _number(_number(out, entry(2).start, 2), entry(3).start, 3)


def _from(seals: Seals, donor: bytes, index: int) -> bytes:
    """A chunk and its entry out of another sealing, at the same place."""
    out = _put(seals.good, chunk(seals.facts, index), donor[chunk(seals.facts, index)])
    return _put(out, entry(index), donor[entry(index)])


def _disguised(seals: Seals) -> bytes:
    """The same, and the entry claims to be of this sealing."""
    at = slice(entry(4).start + 8, entry(4).start + 16)
    return _put(_from(seals, seals.again, 4), at, seals.good[at])


HOSTILE = (
    Hostile("empty", Why.PLAIN, lambda s: b""),
    Hostile("a GGUF as it is", Why.PLAIN, lambda s: b"GGUF" + bytes(2 * CHUNK)),
    Hostile("another format", Why.FORMAT, lambda s: _flip(s.good, len(MAGIC))),
    Hostile("other chunks", Why.FORMAT, lambda s: _flip(s.good, len(MAGIC) + 4)),
    Hostile("no bytes", Why.FORMAT, lambda s: _number(s.good, SIZE_AT, 0)),
    Hostile("all bytes", Why.FORMAT, lambda s: _number(s.good, SIZE_AT, (1 << 64) - 1)),
    Hostile("all chunks", Why.FORMAT, lambda s: _number(s.good, CHUNKS_AT, (1 << 64) - 1)),
    Hostile("the most that fits", Why.CUT,
            lambda s: _number(_number(s.good, SIZE_AT, (1 << 64) - 1), CHUNKS_AT, 1 << 52)),
    Hostile("cut by a page", Why.CUT, lambda s: s.good[:-CHUNK]),
    Hostile("cut to the header", Why.CUT, lambda s: s.good[:CHUNK]),
    Hostile("cut inside the header", Why.CUT, lambda s: s.good[:100]),
    Hostile("cut inside a page", Why.CUT, lambda s: s.good[:-1]),
    Hostile("longer", Why.CUT, lambda s: s.good + bytes(CHUNK)),
    Hostile("for another board", Why.FOREIGN, lambda s: s.foreign),
    Hostile("for another board, renamed", Why.HEADER, lambda s: _put(s.foreign, slice(64, 80), s.good[64:80])),
    Hostile("a version of its own", Why.HEADER, lambda s: _number(s.good, VERSION_AT, s.facts.version + 1)),
    Hostile("another model's name", Why.HEADER, lambda s: _flip(s.good, 40)),
    Hostile("the bare part", Why.HEADER, lambda s: _flip(s.good, 2000)),
    Hostile("another key", Why.HEADER, lambda s: _put(s.good, slice(4036, CHUNK), s.other[4036:CHUNK])),
    Hostile("a bit of the key's tag", Why.HEADER, lambda s: _flip(s.good, CHUNK - 1, 7)),
    Hostile("rolled back", Why.OLD, lambda s: s.good, minimum=4),
    Hostile("two chunks exchanged", Why.MOVED, lambda s: _exchange(s, 1, 300)),
    Hostile("neighbours exchanged and renumbered", Why.TAMPERED, _renumbered),
    Hostile("another model's chunk", Why.SWAPPED, lambda s: _from(s, s.other, 5)),
    Hostile("the same chunk of another sealing", Why.SWAPPED, lambda s: _from(s, s.again, 0)),
    Hostile("the same, disguised", Why.TAMPERED, _disguised),
    Hostile("another header before these chunks", Why.SWAPPED, lambda s: s.again[:CHUNK] + s.good[CHUNK:]),
    Hostile("a bit of the first chunk", Why.TAMPERED, lambda s: _flip(s.good, chunk(s.facts, 0).start)),
    Hostile("a bit of the last chunk", Why.TAMPERED, lambda s: _flip(s.good, len(s.good) - 1, 7)),
    Hostile("an entry's sealing alone", Why.SWAPPED, lambda s: _flip(s.good, entry(6).start + 8)),
    Hostile("an entry's index alone", Why.MOVED, lambda s: _flip(s.good, entry(6).start)),
    Hostile("a bit of a tag", Why.TAMPERED, lambda s: _flip(s.good, entry(7).stop - 1)),
    Hostile("chunks exchanged without their entries", Why.TAMPERED,
            lambda s: _put(s.good, chunk(s.facts, 9), s.good[chunk(s.facts, 10)])),
    Hostile("a chunk of zeroes", Why.TAMPERED, lambda s: _put(s.good, chunk(s.facts, 20), bytes(CHUNK))),
)  # fmt: skip
