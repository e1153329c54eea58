"""Windows of a model's plaintext as they may lie in memory, raw or repacked as by an engine, known by their hashes.

The hashes are those of flexattack (tests/system/modules), which looks for them at every multiple of 8 bytes. Each
place is therefore given eight times, from each of its first eight bytes on: wherever a copy lies, one of them fits.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flexkit.models import gguf_file
from flexkit.models.gguf_file import Gguf, Tensor

WORDS = 4
SHIFTS = 8
BYTES = 8 * WORDS + SHIFTS - 1
"""Of a place: its last window ends here."""
_PLACES = 3  # of each kind in a tensor
_MASK = (1 << 64) - 1
_MIX_WORD, _MIX_WINDOW = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93
_DISTINCT = 12  # byte values in a place that is like no other
_ROOM = 64  # of a planted place; a page holds whole ones
_SPAN = 3 * 34  # of a Q8_0 tensor: three blocks of 32 weights, for places of the repacked kinds
_LAYER = re.compile(r"blk\.(\d+)\.")


@dataclass(frozen=True)
class Place:
    """``kind``: raw (as in the file), quants (8-bit weights without their scales) or f32 (weights times scales)."""

    kind: str
    tensor: str
    data: bytes

    @property
    def layer(self) -> str:
        """The layer's number, or the name of a tensor that is in none."""
        found = _LAYER.match(self.tensor)
        return found[1] if found else self.tensor


def _quants(span: bytes) -> bytes:
    return b"".join(span[at + 2 : at + 34] for at in range(0, len(span), 34))


def _floats(span: bytes) -> bytes:
    """The first block's weights, as the engine multiplies them out."""
    scale = np.frombuffer(span[:2], "<f2").astype("<f4")
    return (np.frombuffer(span[2:34], np.int8).astype("<f4") * scale).tobytes()


def _kinds(tensor: Tensor, span: bytes) -> dict[str, bytes]:
    if tensor.quant is not gguf_file.Q8_0:
        return {"raw": span[:BYTES]}
    return {"raw": span[:BYTES], "quants": _quants(span)[:BYTES], "f32": _floats(span)[:BYTES]}


def _spans(file: Gguf, tensor: Tensor) -> list[bytes]:
    """Evenly spread, each from the beginning of a block."""
    step = tensor.size // (_PLACES + 1) // tensor.quant.size * tensor.quant.size
    with file.path.open("rb") as stream:
        spans = []
        for number in range(_PLACES):
            stream.seek(tensor.offset + number * step)
            spans.append(stream.read(_SPAN))
    return spans


def places(model: Path) -> list[Place]:
    """Several of each tensor of a Q8_0 model. What is all alike (norms of ones) is left out: it may lie anywhere."""
    file = gguf_file.read(model)
    found = []
    for tensor in file.tensors.values():
        for span in _spans(file, tensor):
            found += [Place(kind, tensor.name, data) for kind, data in _kinds(tensor, span).items()]
    return [place for place in found if len(set(place.data)) >= _DISTINCT]


def _hash(window: bytes) -> bytes:
    words = struct.unpack(f"<{WORDS}Q", window)
    mixed = 0
    for word in words:
        mixed = (mixed ^ word) * _MIX_WINDOW & _MASK
        mixed ^= mixed >> 32
    return struct.pack("<QQ", words[0] * _MIX_WORD & _MASK, mixed)


def hashes(looked_for: list[Place]) -> bytes:
    """What the module is given: ``SHIFTS`` windows a place, in order."""
    return b"".join(_hash(place.data[shift : shift + 8 * WORDS]) for place in looked_for for shift in range(SHIFTS))


def found(looked_for: list[Place], bits: bytes) -> list[Place]:
    """Which places the module found: its bits, one a window."""
    seen = np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little")[: len(looked_for) * SHIFTS]
    return [place for place, any_seen in zip(looked_for, seen.reshape(-1, SHIFTS).any(axis=1), strict=True) if any_seen]


def planted(looked_for: list[Place]) -> bytes:
    """A file with every place in it, at addresses of every remainder by 8."""
    return b"".join((bytes(number % 8) + place.data).ljust(_ROOM, b"\0") for number, place in enumerate(looked_for))
