"""GGUF files: a strict reader for files that nobody vouches for, and a writer whose bytes are always the same.

The reader believes nothing: every length and count is checked against what is left of the file before it is used, so
a cut, garbled or hostile file ends in one BadInput that says what is wrong and where. It reads the header only;
tensors stay in the file. The `gguf` package reads the same files (tests compare); it is not used for foreign ones,
because it maps them first and trips over their contents later.

Layout: "GGUF", version, tensor count, key count; keys with typed values; tensor infos; padding; tensor data.
Little-endian.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO

from flexkit import whole
from flexkit.errors import BadInput
from flexkit.models.sealed import MAGIC as SEALED
from flexkit.models.sealed import is_sealed
from flexkit.models.shape import Value

MAGIC = b"GGUF"
VERSIONS = (2, 3)
ALIGNMENT = 32
_MEND = "get the file again and compare its hash"
_DEEPEST_STRING = 1 << 24
_MOST_KEYS = 1 << 16
_MOST_TENSORS = 1 << 16


class Kind(IntEnum):
    """Types of metadata values."""

    UINT8 = 0
    INT8 = 1
    UINT16 = 2
    INT16 = 3
    UINT32 = 4
    INT32 = 5
    FLOAT32 = 6
    BOOL = 7
    STRING = 8
    ARRAY = 9
    UINT64 = 10
    INT64 = 11
    FLOAT64 = 12


_FORMATS = {
    Kind.UINT8: "B", Kind.INT8: "b", Kind.UINT16: "H", Kind.INT16: "h", Kind.UINT32: "I", Kind.INT32: "i",
    Kind.FLOAT32: "f", Kind.BOOL: "?", Kind.UINT64: "Q", Kind.INT64: "q", Kind.FLOAT64: "d",
}  # fmt: skip


@dataclass(frozen=True)
class Quant:
    """How numbers are stored: ``block`` of them in ``size`` bytes. ``code`` is GGML's, ``file_type`` llama.cpp's."""

    name: str
    code: int
    block: int
    size: int
    file_type: int


F32 = Quant("F32", 0, 1, 4, 0)
F16 = Quant("F16", 1, 1, 2, 1)
Q8_0 = Quant("Q8_0", 8, 32, 34, 7)
QUANTS: Mapping[str, Quant] = {quant.name.lower(): quant for quant in (F32, F16, Q8_0)}
_BY_CODE = {quant.code: quant for quant in QUANTS.values()}
# Names of what is not supported (ggml.h), for the message only.
_FOREIGN = {
    2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K",
    15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S",
    23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", 30: "BF16", 34: "TQ1_0",
    35: "TQ2_0", 39: "MXFP4",
}  # fmt: skip


@dataclass(frozen=True)
class Tensor:
    """Where a tensor lies. ``dims`` in GGUF's order: the contiguous one first. ``offset`` from the file's beginning;
    ``offset_field`` is where the header says so, counted from where tensor data begin."""

    name: str
    dims: tuple[int, ...]
    quant: Quant
    offset: int
    size: int
    offset_field: int

    @property
    def elements(self) -> int:
        return math.prod(self.dims)


@dataclass(frozen=True)
class Gguf:
    """A file's header. Every tensor lies inside the file, aligned, behind ``data``, and overlaps no other."""

    path: Path
    version: int
    metadata: Mapping[str, object]
    tensors: Mapping[str, Tensor]
    size: int
    data: int
    alignment: int


class _Cursor:
    """Reads the header forwards; nothing is read that is not there."""

    def __init__(self, path: Path, stream: BinaryIO, size: int) -> None:
        self.path, self.stream, self.size, self.at = path, stream, size, 0

    def bad(self, message: str, mend: str = _MEND) -> BadInput:
        return BadInput(f"{self.path}: {message}", mend=mend)

    def need(self, count: int, what: str) -> None:
        if count > self.size - self.at:
            raise self.bad(
                f"cut or garbled: {what} at byte {self.at} would need {count} bytes, {self.size - self.at} are left"
            )

    def take(self, count: int, what: str) -> bytes:
        self.need(count, what)
        data = self.stream.read(count)
        if len(data) != count:
            raise self.bad(f"cut: the file ended at byte {self.at + len(data)} while {what} was read")
        self.at += count
        return data

    def number(self, form: str, what: str) -> int:
        return int(struct.unpack("<" + form, self.take(struct.calcsize("<" + form), what))[0])

    def string(self, what: str) -> str:
        length = self.number("Q", "the length of " + what)
        if length > _DEEPEST_STRING:
            raise self.bad(f"garbled: {what} at byte {self.at} claims {length} bytes")
        return self.take(length, what).decode(errors="surrogateescape")

    def kind(self, what: str) -> Kind:
        code = self.number("I", "the type of " + what)
        if code not in Kind.__members__.values():
            raise self.bad(f"garbled: {what} has the unknown type {code} (byte {self.at - 4})")
        return Kind(code)

    def value(self, kind: Kind, what: str) -> object:
        match kind:
            case Kind.STRING:
                return self.string(what)
            case Kind.ARRAY:
                return self.array(what)
            case _:
                form = "<" + _FORMATS[kind]
                return struct.unpack(form, self.take(struct.calcsize(form), what))[0]

    def array(self, what: str) -> list[object]:
        kind, count = self.kind("an entry of " + what), self.number("Q", "the length of " + what)
        match kind:
            case Kind.ARRAY:
                raise self.bad(f"{what} is an array of arrays, which no supported model has")
            case Kind.STRING:
                self.need(count * 8, what)
                return [self.string(what) for _ in range(count)]
            case _:
                form = _FORMATS[kind]
                self.need(count * struct.calcsize("<" + form), what)
                return list(struct.unpack(f"<{count}{form}", self.take(count * struct.calcsize("<" + form), what)))


def read(path: Path) -> Gguf:
    """The header of ``path``. Raises BadInput with one message for whatever is wrong with the file."""
    try:
        with path.open("rb") as stream:
            return _header(_Cursor(path, stream, os.fstat(stream.fileno()).st_size))
    except OSError as error:
        raise BadInput(
            f"{path}: {error.strerror or error}", mend="flexkit models list shows the models there are"
        ) from error


def _header(cursor: _Cursor) -> Gguf:
    version = _preamble(cursor)
    tensor_count = cursor.number("Q", "the number of tensors")
    key_count = cursor.number("Q", "the number of keys")
    if tensor_count > _MOST_TENSORS or key_count > _MOST_KEYS:
        raise cursor.bad(f"garbled: it claims {tensor_count} tensors and {key_count} keys")
    metadata: dict[str, object] = {}
    for _ in range(key_count):
        key = cursor.string("a key")
        if key in metadata:
            raise cursor.bad(f"garbled: the key {key!r} stands in it twice")
        metadata[key] = cursor.value(cursor.kind(f"key {key!r}"), f"key {key!r}")
    alignment = metadata.get("general.alignment", ALIGNMENT)
    if not isinstance(alignment, int) or not 8 <= alignment <= 1 << 16 or alignment & (alignment - 1):
        raise cursor.bad(f"garbled: general.alignment is {alignment!r}, not a power of two from 8 to 65536")
    found = [_tensor_info(cursor, alignment) for _ in range(tensor_count)]
    start = -(-cursor.at // alignment) * alignment
    return Gguf(cursor.path, version, metadata, _placed(cursor, found, start), cursor.size, start, alignment)


def _preamble(cursor: _Cursor) -> int:
    """Magic and version."""
    if cursor.size == 0:
        raise cursor.bad("is empty")
    magic = cursor.take(min(4, cursor.size), "the magic")
    if magic != MAGIC:
        if MAGIC.startswith(magic):
            raise cursor.bad(f"cut: a GGUF of {cursor.size} bytes")
        if is_sealed(magic + cursor.take(min(len(SEALED) - 4, cursor.size - 4), "the magic")):
            raise cursor.bad("is sealed", "name the GGUF that it was made of; secure modes seal it on the way")
        raise cursor.bad(
            f"not a GGUF file (it begins with {magic!r})", "convert the model to GGUF with llama.cpp's converter"
        )
    version = cursor.number("I", "the version")
    if version in VERSIONS:
        return version
    if int.from_bytes(version.to_bytes(4, "little"), "big") in VERSIONS:
        raise cursor.bad("a big-endian GGUF is not supported", "convert the model again, little-endian")
    raise cursor.bad(
        f"GGUF version {version} is not supported (2 and 3 are)", "convert the model again with a current llama.cpp"
    )


def _tensor_info(cursor: _Cursor, alignment: int) -> Tensor:
    """One tensor info; its offset still counts from the beginning of the tensor data."""
    name = cursor.string("a tensor's name")
    what = f"tensor {name!r}"
    rank = cursor.number("I", what)
    if not 1 <= rank <= 4:
        raise cursor.bad(f"garbled: {what} has {rank} dimensions")
    dims = tuple(cursor.number("Q", what) for _ in range(rank))
    code, offset = cursor.number("I", what), cursor.number("Q", what)
    if min(dims) < 1 or math.prod(dims) > 1 << 40:
        raise cursor.bad(f"garbled: {what} has the dimensions {dims}")
    quant = _BY_CODE.get(code)
    if quant is None:
        known = _FOREIGN.get(code, f"number {code}")
        raise cursor.bad(
            f"{what} has the quantisation {known}, which is not supported",
            "supported are F32, F16 and Q8_0: quantise the model again, for example to Q8_0",
        )
    if dims[0] % quant.block:
        raise cursor.bad(
            f"garbled: rows of {what} have {dims[0]} numbers, not a multiple of {quant.block} as {quant.name} needs"
        )
    if offset % alignment:
        raise cursor.bad(f"garbled: {what} lies at {offset}, not aligned to {alignment}")
    return Tensor(name, dims, quant, offset, math.prod(dims) // quant.block * quant.size, cursor.at - 8)


def _placed(cursor: _Cursor, found: list[Tensor], start: int) -> Mapping[str, Tensor]:
    """The tensors by name, with offsets from the file's beginning. Refuses what lies outside, overlaps or comes
    twice."""
    placed: dict[str, Tensor] = {}
    end_before, name_before = start, "the header"
    for tensor in sorted(found, key=lambda each: each.offset):
        at = start + tensor.offset
        if tensor.name in placed:
            raise cursor.bad(f"garbled: the tensor {tensor.name!r} stands in it twice")
        if at + tensor.size > cursor.size:
            raise cursor.bad(f"cut: tensor {tensor.name!r} ends at byte {at + tensor.size}, the file at {cursor.size}")
        if at < end_before:
            raise cursor.bad(f"garbled: tensor {tensor.name!r} overlaps {name_before}")
        end_before, name_before = at + tensor.size, f"tensor {tensor.name!r}"
        placed[tensor.name] = replace(tensor, offset=at)
    return {tensor.name: placed[tensor.name] for tensor in found}


# --- writing -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Draft:
    """A tensor to be written; ``chunks`` yields its bytes, once."""

    name: str
    dims: tuple[int, ...]
    quant: Quant
    chunks: Iterable[bytes]

    @property
    def size(self) -> int:
        return math.prod(self.dims) // self.quant.block * self.quant.size


def _string(text: str) -> bytes:
    data = text.encode(errors="surrogateescape")
    return struct.pack("<Q", len(data)) + data


def _typed(value: Value) -> bytes:
    """A value behind its type. Integers become UINT32 (arrays: INT32), floats FLOAT32: what llama.cpp expects."""
    match value:
        case bool():
            return struct.pack("<I?", Kind.BOOL, value)
        case int():
            return struct.pack("<II", Kind.UINT32, value)
        case float():
            return struct.pack("<If", Kind.FLOAT32, value)
        case str():
            return struct.pack("<I", Kind.STRING) + _string(value)
    first = value[0]
    kind = Kind.STRING if isinstance(first, str) else Kind.INT32 if isinstance(first, int) else Kind.FLOAT32
    head = struct.pack("<IIQ", Kind.ARRAY, kind, len(value))
    return head + b"".join(
        _string(each) if isinstance(each, str) else struct.pack("<" + _FORMATS[kind], each) for each in value
    )


def _padding(length: int) -> bytes:
    return bytes(-length % ALIGNMENT)


def header(metadata: Mapping[str, Value], tensors: Iterable[Draft]) -> bytes:
    """Everything before the tensor data, padded."""
    tensors = list(tensors)
    out = MAGIC + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    for key, value in metadata.items():
        out += _string(key) + _typed(value)
    offset = 0
    for tensor in tensors:
        out += _string(tensor.name) + struct.pack(
            f"<I{len(tensor.dims)}QIQ", len(tensor.dims), *tensor.dims, tensor.quant.code, offset
        )
        offset += tensor.size + len(_padding(tensor.size))
    return out + _padding(len(out))


def _checked(tensor: Draft) -> Iterator[bytes]:
    written = 0
    for chunk in tensor.chunks:
        written += len(chunk)
        yield chunk
    if written != tensor.size:
        raise ValueError(f"{tensor.name}: {written} bytes given, {tensor.size} announced")
    yield _padding(written)


def write(path: Path, metadata: Mapping[str, Value], tensors: Iterable[Draft]) -> None:
    """Write a GGUF; ``path`` appears whole or not at all. Tensors are asked for their bytes one after the other.

    Raises BadInput when the file cannot be written.
    """
    tensors = list(tensors)
    try:
        with whole.replacing(path) as draft, draft.open("wb") as stream:
            stream.write(header(metadata, tensors))
            for tensor in tensors:
                for chunk in _checked(tensor):
                    stream.write(chunk)
    except OSError as error:
        raise BadInput(
            f"{path}: cannot be written: {error.strerror or error}", mend="name another file with -o"
        ) from error
