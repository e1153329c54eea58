"""Synthetic models: llama shapes of any size with random weights, byte for byte the same on every machine.

For benchmarks the values do not matter, their shape does; but tokens are checked in every run, so the best two logits
must not be ties. Hence: scales that keep activations near 1 through all layers and give logits a spread of about 4;
an untied head (a tied one would repeat its input for ever); head rows of control and byte tokens are zero, so that
greedy decoding never ends early and its text is printable.

Every weight is q * d with an 8-bit q and a d of 4 significant bits a block: exact in F32, F16 and Q8_0 alike, so that
the three files of one seed hold the same numbers. Random bits come from Philox keyed by seed and tensor name: numpy
promises the bit stream of a bit generator for good, not that of its distributions.
"""

from __future__ import annotations

import hashlib
import math
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from flexkit.deadline import Deadline
from flexkit.errors import BadInput
from flexkit.events import Bus
from flexkit.models import gguf_file, numbers
from flexkit.models.gguf_file import F32, QUANTS, Draft, Quant
from flexkit.models.shape import Shape, TensorSpec
from flexkit.models.vocabulary import NORMAL, Vocabulary

VERSION = 1  # of the bytes: raise it when the same options give another file
CONTEXT = 1024
SMALLEST, LARGEST = 500_000, 4_000_000_000
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9}
_CHUNK = 1 << 16  # blocks of 32 weights at a time
_RESERVE = 16 << 20  # bytes of the disk that are left alone
# By how much a matrix amplifies unit input. What layers add to the residual stream is kept below what it holds: the
# rounding of 8-bit activations is then amplified less from layer to layer (0.25 at worst in a logit, against 0.37 with
# gains of 1), and the best token hardly depends on it.
_GAINS = {"attn_q": 1.5, "attn_v": 1.2, "attn_output": 0.75, "ffn_down": 0.5, "output": 4.0}
_UNIFORM = 127 / math.sqrt(3)  # spread of a uniform 8-bit number


def size_of(text: str) -> int:
    """ "25M" -> 25,000,000. Raises BadInput for what is no size, or none that can be made."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMB]?)", text.strip().upper())
    size = round(float(match[1]) * _UNITS[match[2]]) if match else 0
    if not SMALLEST <= size <= LARGEST:
        raise BadInput(f"{text!r} is not a size from 500K to 4B parameters", mend="for example: --params 25M")
    return size


def quant_of(text: str) -> Quant:
    """ "q8_0" -> Q8_0. Raises BadInput."""
    quant = QUANTS.get(text.lower())
    if quant is None:
        raise BadInput(f"{text!r} is not a quantisation that can be made", mend="one of: " + ", ".join(QUANTS))
    return quant


def shape_for(params: int, vocab: int) -> Shape:
    """The llama-like shape nearest to ``params`` weights: within 5 %, with usual proportions.

    Wide models get more width than depth as real ones do (about 64 to 1 at 25M); from 20M on, widths are multiples of
    256.
    """
    step = 256 if params >= 20_000_000 else 64
    wanted_aspect = 64 * (params / 25e6) ** 0.15
    best: tuple[float, Shape] | None = None
    for dim in range(step, 4097, step):
        for ffn in sorted({max(step, round(dim * 8 / 3 / step + extra) * step) for extra in (-1, 0, 1)}):
            one = _shape(vocab, dim, 1, ffn)
            each = one.params - 2 * vocab * dim - dim
            layers = round((params - 2 * vocab * dim - dim) / each)
            if layers < 2:
                continue
            shape = _shape(vocab, dim, layers, ffn)
            cost = (
                20 * abs(math.log(shape.params / params))
                + abs(math.log(dim / layers / wanted_aspect))
                + abs(math.log(ffn / dim / (8 / 3)))
            )
            if best is None or cost < best[0]:
                best = cost, shape
    if best is None:
        raise BadInput(f"no model of {params} parameters fits a vocabulary of {vocab}", mend="ask for a larger one")
    return best[1]


def _shape(vocab: int, dim: int, layers: int, ffn: int) -> Shape:
    heads = dim // (64 if dim >= 256 else 32)
    kv_heads = heads // 4 if heads % 4 == 0 and dim >= 1024 else heads // 2 if heads % 2 == 0 else heads
    return Shape(vocab, dim, layers, heads, kv_heads, ffn, CONTEXT)


def _spread(spec: TensorSpec) -> float:
    """Standard deviation of a matrix's weights."""
    return _GAINS.get(spec.name.split(".")[-2], 1.0) / math.sqrt(1 if spec.name == "token_embd.weight" else spec.cols)


def _scale(spread: float) -> tuple[int, int]:
    """The block scale nearest to what ``spread`` needs, as m and e of m / 2**e with 8 <= m <= 15."""
    wanted = spread / _UNIFORM
    exponent = 3 - math.floor(math.log2(wanted))
    return min(15, max(8, round(wanted * 2**exponent))), exponent


def _bits(seed: int, name: str) -> np.random.Philox:
    digest = hashlib.sha256(f"flexkit synth {VERSION}\n{seed}\n{name}".encode()).digest()
    return np.random.Philox(key=int.from_bytes(digest[:16], "little"))


def _matrix(spec: TensorSpec, seed: int, quant: Quant, silent: np.ndarray) -> Iterator[bytes]:
    """The bytes of a matrix. ``silent`` rows (by token) are zero in the head."""
    stream = _bits(seed, spec.name)
    mantissa, exponent = _scale(_spread(spec))
    per_row = spec.cols // 32
    for first in range(0, spec.elements // 32, _CHUNK):
        count = min(_CHUNK, spec.elements // 32 - first)
        # Five words of 8 bytes a block: 32 weights, then one byte that varies the scale; three go unused.
        raw = stream.random_raw(count * 5).astype("<u8").view(np.uint8).reshape(count, 40)
        weights = np.maximum(raw[:, :32].view(np.int8), -127)
        if spec.name == "output.weight":
            weights[silent[(first + np.arange(count)) // per_row]] = 0
        scales = (mantissa - 1 + raw[:, 32] % 3).astype(np.float32) / np.float32(2.0**exponent)
        yield numbers.pack_blocks(scales, weights, quant)


def _draft(spec: TensorSpec, seed: int, quant: Quant, silent: np.ndarray) -> Draft:
    if spec.is_vector:
        return Draft(spec.name, (spec.cols,), F32, [numbers.pack(np.ones(spec.cols, np.float32), F32)])
    return Draft(spec.name, (spec.cols, spec.rows), quant, _matrix(spec, seed, quant, silent))


def synthesise(
    path: Path, params: int, quant: Quant, seed: int, words: Vocabulary, bus: Bus, deadline: Deadline | None = None
) -> Shape:
    """Write a synthetic model and return its shape; ``path`` appears whole or not at all.

    Raises BadInput when the disk is too full or cannot be written, TimedOut at the deadline.
    """
    shape = shape_for(params, len(words.pieces))
    need = shape.params * quant.size // quant.block
    if path.parent.is_dir() and (free := shutil.disk_usage(path.parent).free) < need + _RESERVE:
        raise BadInput(
            f"{path}: the model needs {need / 1e6:.0f} MB, {free / 1e6:.0f} MB are free",
            mend="name another folder with -o",
        )
    silent = np.array([kind != NORMAL for kind in words.types])
    metadata = {
        "general.architecture": "llama",
        "general.name": f"flexkit synthetic, {params} parameters asked, seed {seed}",
        "general.file_type": quant.file_type,
        "general.quantization_version": 2,
        **shape.metadata(),
        **words.metadata(),
    }
    with bus.step("synth", path.name) as progress:
        done = 0

        def watched(spec: TensorSpec) -> Draft:
            draft = _draft(spec, seed, quant, silent)

            def chunks() -> Iterator[bytes]:
                nonlocal done
                for chunk in draft.chunks:
                    yield chunk
                    done += len(chunk)
                    progress(done, need)
                    if deadline:
                        deadline.check()

            return Draft(draft.name, draft.dims, draft.quant, chunks())

        gguf_file.write(path, metadata, [watched(spec) for spec in shape.tensors()])
    return shape
