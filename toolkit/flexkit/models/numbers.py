"""Numbers as GGUF stores them: F32, F16 and Q8_0, to bytes and back, the same on every machine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flexkit.models.gguf_file import F16, F32, Q8_0, Quant

Floats = NDArray[np.float32]
_BLOCK = np.dtype([("d", "<f2"), ("q", "i1", (32,))])


def pack(values: Floats, quant: Quant) -> bytes:
    """``values`` (any shape, rows contiguous) in ``quant``."""
    if quant is F32:
        return values.astype("<f4").tobytes()
    if quant is F16:
        return values.astype("<f2").tobytes()
    blocks = values.reshape(-1, 32)
    scale = np.abs(blocks).max(axis=1) / np.float32(127)
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
    packed = np.empty(len(blocks), _BLOCK)
    packed["d"] = scale
    # Halves away from zero, as ggml's reference quantiser rounds them.
    scaled = blocks * inverse[:, None]
    packed["q"] = np.trunc(scaled + np.copysign(np.float32(0.5), scaled))
    return packed.tobytes()


def pack_blocks(scales: Floats, numbers: NDArray[np.int8], quant: Quant) -> bytes:
    """Blocks of 32 ``numbers`` with one of ``scales`` each, given as they are: exact in Q8_0."""
    if quant is Q8_0:
        packed = np.empty(len(numbers), _BLOCK)
        packed["d"], packed["q"] = scales, numbers
        return packed.tobytes()
    return pack(numbers.astype(np.float32) * scales[:, None], quant)


def unpack(data: bytes, quant: Quant) -> Floats:
    """The numbers that ``data`` stores, flat."""
    if quant is F32:
        return np.frombuffer(data, "<f4").astype(np.float32)
    if quant is F16:
        return np.frombuffer(data, "<f2").astype(np.float32)
    blocks = np.frombuffer(data, _BLOCK)
    return (blocks["q"].astype(np.float32) * blocks["d"].astype(np.float32)[:, None]).reshape(-1)
