"""A GGUF with its tensors in the order in which layers are computed, whatever order its maker chose.

The secure world reads, decrypts and computes layer by layer, and gives the last layers back first; both want a layer's
tensors beside each other. Only offsets in the header change, so the header keeps its size, and a file that is in order
already stays as it is, to the byte.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from flexkit.errors import BadInput
from flexkit.models.gguf_file import Gguf, Tensor

_LAYER = re.compile(r"blk\.(\d+)\.")
_PIECE = 1 << 20
_FIRST, _LAST = -1, 1 << 32
_BEHIND = ("output_norm.weight", "output.weight")


@dataclass(frozen=True)
class Move:
    """A tensor and the offset that it gets, from the file's beginning."""

    tensor: Tensor
    offset: int


@dataclass(frozen=True)
class Plan:
    """How a file's bytes are given out, ``size`` of them. ``moves`` by new offset; none: the file stays as it is."""

    file: Gguf
    moves: Sequence[Move]
    size: int

    def pieces(self) -> Iterator[bytes]:
        """The bytes, some at a time. Raises BadInput when the file is no longer what was planned for."""
        with self.file.path.open("rb") as stream:
            if not self.moves:
                yield from self._span(stream, 0, self.size)
                return
            header = bytearray(stream.read(self.file.data))
            for move in self.moves:
                struct.pack_into("<Q", header, move.tensor.offset_field, move.offset - self.file.data)
            yield bytes(header)
            at = self.file.data
            for move in self.moves:
                yield bytes(move.offset - at)
                yield from self._span(stream, move.tensor.offset, move.tensor.size)
                at = move.offset + move.tensor.size
            yield bytes(self.size - at)

    def _span(self, stream: BinaryIO, at: int, count: int) -> Iterator[bytes]:
        stream.seek(at)
        while count:
            piece = stream.read(min(_PIECE, count))
            if not piece:
                raise BadInput(f"{self.file.path}: it became shorter while it was read", mend="try again")
            count -= len(piece)
            yield piece


def plan(file: Gguf) -> Plan:
    """The order for a file."""
    wanted = sorted(file.tensors.values(), key=lambda tensor: (_layer(tensor.name), tensor.offset))
    if wanted == sorted(wanted, key=lambda tensor: tensor.offset):
        return Plan(file, (), file.size)
    at, moves = file.data, []
    for tensor in wanted:
        moves.append(Move(tensor, at))
        at += -(-tensor.size // file.alignment) * file.alignment
    return Plan(file, moves, at)


def _layer(name: str) -> int:
    """When a tensor is wanted: before the layers, in one of them, or behind them."""
    found = _LAYER.match(name)
    if found:
        return int(found.group(1))
    return _LAST + _BEHIND.index(name) if name in _BEHIND else _FIRST
