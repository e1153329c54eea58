"""Sealing a GGUF for a board, and checking what was sealed: the host's side of firmware/payload/sealing."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from flexkit import whole
from flexkit.deadline import Deadline
from flexkit.errors import BadInput
from flexkit.models import gguf_file, layers
from flexkit.models.sealed import CHUNK, BoardKey, Entry, Facts, Refused, Why, Wrap, entries, nonce, number, parse

_STRIDE = 1024  # chunks between two looks at the deadline


@dataclass(frozen=True)
class Order:
    """What is to be sealed as what. ``name`` decides which model it is a version of."""

    source: Path
    name: str
    version: int
    board_key: BoardKey


def model_id(name: str) -> bytes:
    """Which model a name stands for: its versions are told apart by number."""
    return hashlib.sha256(b"flexkit model\0" + name.encode()).digest()[: number("MODEL_BYTES")]


def seal(order: Order, target: Path, deadline: Deadline) -> Facts:
    """Seal a GGUF into ``target``, which appears whole or not at all. Raises BadInput for what cannot be read, sealed
    or written."""
    _check(order)
    plan = layers.plan(gguf_file.read(order.source))
    facts = Facts(
        size=plan.size,
        version=order.version,
        model=model_id(order.name),
        sealing=secrets.token_bytes(number("SEALING_BYTES")),
        board_key=order.board_key.name,
        name=order.name,
    )
    with _whole(target) as out:
        _write(out, facts, order.board_key, plan, deadline)
    return facts


def _check(order: Order) -> None:
    room = number("NAME_BYTES") - 1
    if not order.name.isascii() or not order.name.isprintable() or not 0 < len(order.name) <= room:
        raise BadInput(f"a model's name is 1 to {room} printable ASCII characters, not {order.name!r}")
    if not 0 < order.version < 1 << 64:
        raise BadInput(f"a model's version is a positive number of 64 bits, not {order.version}")


def _write(out: BinaryIO, facts: Facts, board_key: BoardKey, plan: layers.Plan, deadline: Deadline) -> None:
    key = secrets.token_bytes(number("KEY_BYTES"))
    cipher = AESGCM(key)
    table = bytearray()
    out.seek(facts.first_page * CHUNK)
    for index, chunk in enumerate(_chunks(plan)):
        if index % _STRIDE == 0:
            deadline.check()
        box = cipher.encrypt(nonce(index), chunk, facts.binding(index))
        out.write(box[:CHUNK])
        table += Entry(index, facts.sealing, box[CHUNK:]).pack()
    out.seek(0)
    out.write(facts.pack() + _wrap(facts, key, board_key).pack())
    out.write(bytes(table).ljust((facts.first_page - 1) * CHUNK, b"\0"))


def _chunks(plan: layers.Plan) -> Iterator[bytes]:
    """The plan's bytes, a chunk at a time, zeroes behind the last."""
    rest = b""
    for piece in plan.pieces():
        rest += piece
        whole = len(rest) // CHUNK * CHUNK
        yield from (rest[at : at + CHUNK] for at in range(0, whole, CHUNK))
        rest = rest[whole:]
    if rest:
        yield rest.ljust(CHUNK, b"\0")


def _wrap(facts: Facts, key: bytes, board_key: BoardKey) -> Wrap:
    once = secrets.token_bytes(number("NONCE_BYTES"))
    box = AESGCM(board_key.secret).encrypt(once, key, facts.pack())
    return Wrap(once, box[: len(key)], box[len(key) :])


# --- opening -------------------------------------------------------------------------------------------------------


def read_facts(path: Path) -> Facts:
    """What a sealed file's header says; nobody has authenticated it. Raises Refused, or BadInput for no file."""
    with _opened(path) as stream:
        return parse(stream.read(CHUNK), os.fstat(stream.fileno()).st_size, str(path))[0]


def check(path: Path, board_key: BoardKey, minimum: int, deadline: Deadline) -> Facts:
    """Open every chunk as the payload would, and keep nothing. Raises Refused with what the payload would say first."""
    with _opened(path) as stream:
        facts, cipher = _open(stream, board_key, minimum)
        for _ in _plain(stream, facts, cipher, deadline):
            pass
    return facts


def unseal(path: Path, target: Path, board_key: BoardKey, minimum: int, deadline: Deadline) -> Facts:
    """The GGUF in a sealed file, into ``target``, which appears whole and authenticated or not at all."""
    with _opened(path) as stream, _whole(target) as out:
        facts, cipher = _open(stream, board_key, minimum)
        for chunk in _plain(stream, facts, cipher, deadline):
            out.write(chunk)
        out.truncate(facts.size)
    return facts


@contextmanager
def _whole(target: Path) -> Iterator[BinaryIO]:
    """A file to write that becomes ``target`` at the end, or leaves nothing. BadInput when it cannot be written."""
    try:
        with whole.replacing(target) as draft, draft.open("wb") as out:
            yield out
    except OSError as error:
        raise BadInput(
            f"{target}: cannot be written: {error.strerror or error}", mend="name another file with -o"
        ) from error


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}", mend="name a file that is there") from error


def _open(stream: BinaryIO, board_key: BoardKey, minimum: int) -> tuple[Facts, AESGCM]:
    """Header and key, in the order of sealed.h."""
    where, page = stream.name, stream.read(CHUNK)
    facts, wrap = parse(page, os.fstat(stream.fileno()).st_size, where)
    if facts.board_key != board_key.name:
        raise Refused(Why.FOREIGN, where, f"it wants the key {facts.board_key!r}, the board has {board_key.name!r}")
    try:
        bound = page[: CHUNK - len(wrap.pack())]
        key = AESGCM(board_key.secret).decrypt(wrap.nonce, wrap.key + wrap.tag, bound)
    except InvalidTag:
        raise Refused(Why.HEADER, where) from None
    if facts.version < minimum:
        raise Refused(Why.OLD, where, f"version {facts.version}, at least {minimum} is wanted")
    return facts, AESGCM(key)


def _plain(stream: BinaryIO, facts: Facts, cipher: AESGCM, deadline: Deadline) -> Iterator[bytes]:
    """Authenticated chunks, in order."""
    table = stream.read((facts.first_page - 1) * CHUNK)
    for index, entry in enumerate(entries(table, facts.chunks)):
        if index % _STRIDE == 0:
            deadline.check()
        where = f"chunk {index} of {facts.chunks}"
        _check_entry(facts, index, entry, stream.name, where)
        try:
            yield cipher.decrypt(nonce(index), stream.read(CHUNK) + entry.tag, facts.binding(index))
        except InvalidTag:
            raise Refused(Why.TAMPERED, stream.name, where) from None
    if any(table[facts.table_size :]):
        raise Refused(Why.TAMPERED, stream.name, "behind the table of chunks")


def _check_entry(facts: Facts, index: int, entry: Entry, where: str, detail: str) -> None:
    """What an entry says of its chunk has to be right; it proves nothing."""
    if entry.sealing != facts.sealing:
        raise Refused(Why.SWAPPED, where, detail)
    if entry.index != index:
        raise Refused(Why.MOVED, where, detail)
