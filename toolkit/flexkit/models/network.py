"""The llama forward pass in torch, for training only. Needs the optional extra ``train``.

Parameters are keyed by their GGUF tensor names, so that exporting is writing them down; RoPE turns neighbouring pairs,
GGUF's convention, so that nothing needs to be permuted.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from flexkit.models import numbers
from flexkit.models.gguf_file import Gguf
from flexkit.models.shape import NORM_EPSILON, ROPE_BASE, Shape

Weights = dict[str, Tensor]


@dataclass
class Cache:
    """Keys and values of the positions so far, one pair a layer: (batch, kv heads, positions, head size)."""

    length: int = 0
    keys: dict[int, Tensor] = field(default_factory=dict)
    values: dict[int, Tensor] = field(default_factory=dict)


def initial(shape: Shape, seed: int) -> Weights:
    """Fresh weights: norms 1, matrices normal with 0.02, what feeds the residual stream scaled by depth."""
    rng = torch.Generator().manual_seed(seed)
    weights: Weights = {}
    for spec in shape.tensors():
        if spec.is_vector:
            weights[spec.name] = torch.ones(spec.cols)
            continue
        spread = 0.04
        if spec.name.endswith(("attn_output.weight", "ffn_down.weight")):
            spread /= (2 * shape.layers) ** 0.5
        weights[spec.name] = torch.randn(spec.rows, spec.cols, generator=rng) * spread
    return {name: tensor.requires_grad_() for name, tensor in weights.items()}


def load(file: Gguf) -> Weights:
    """The weights of a checked model file, in float32."""
    weights: Weights = {}
    with file.path.open("rb") as stream:
        for name, tensor in file.tensors.items():
            stream.seek(tensor.offset)
            values = numbers.unpack(stream.read(tensor.size), tensor.quant)
            weights[name] = torch.from_numpy(values.reshape(tensor.dims[::-1]))
    return weights


def _norm(x: Tensor, weight: Tensor) -> Tensor:
    return F.rms_norm(x, (x.shape[-1],), weight, NORM_EPSILON)


def _angles(shape: Shape, first: int, count: int) -> tuple[Tensor, Tensor]:
    """Cosine and sine by (position, pair)."""
    rates = ROPE_BASE ** (-torch.arange(0, shape.head_dim, 2, dtype=torch.float64) / shape.head_dim)
    turns = torch.arange(first, first + count, dtype=torch.float64)[:, None] * rates
    return turns.cos().float(), turns.sin().float()


def _turn(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """RoPE on (batch, heads, positions, head size)."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cosine - odd * sine, even * sine + odd * cosine), dim=-1).flatten(-2)


def forward(weights: Weights, shape: Shape, ids: Tensor, cache: Cache | None = None) -> Tensor:
    """Logits (batch, positions, vocabulary) of ``ids`` (batch, positions), which follow what ``cache`` holds.

    With a cache and earlier positions in it, ``ids`` must be one position wide.
    """
    batch, count = ids.shape
    first = cache.length if cache else 0
    cosine, sine = _angles(shape, first, count)
    x = F.embedding(ids, weights["token_embd.weight"])

    def heads(y: Tensor, number: int) -> Tensor:
        return y.view(batch, count, number, shape.head_dim).transpose(1, 2)

    for layer in range(shape.layers):
        w = {part: weights[f"blk.{layer}.{part}.weight"] for part in _PARTS}
        y = _norm(x, w["attn_norm"])
        q = _turn(heads(F.linear(y, w["attn_q"]), shape.heads), cosine, sine)
        k = _turn(heads(F.linear(y, w["attn_k"]), shape.kv_heads), cosine, sine)
        v = heads(F.linear(y, w["attn_v"]), shape.kv_heads)
        if cache is not None:
            if first:
                k, v = torch.cat((cache.keys[layer], k), 2), torch.cat((cache.values[layer], v), 2)
            cache.keys[layer], cache.values[layer] = k, v
        share = shape.heads // shape.kv_heads
        k, v = k.repeat_interleave(share, 1), v.repeat_interleave(share, 1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=first == 0)
        x = x + F.linear(y.transpose(1, 2).reshape(batch, count, shape.dim), w["attn_output"])
        y = _norm(x, w["ffn_norm"])
        x = x + F.linear(F.silu(F.linear(y, w["ffn_gate"])) * F.linear(y, w["ffn_up"]), w["ffn_down"])
    if cache is not None:
        cache.length += count
    return F.linear(_norm(x, weights["output_norm.weight"]), weights["output.weight"])


_PARTS = (
    "attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down",
)  # fmt: skip


def continue_greedily(weights: Weights, shape: Shape, prompt: list[int], limit: int, end: int) -> list[int]:
    """The likeliest continuation of ``prompt``: at most ``limit`` tokens, up to but without ``end``."""
    cache = Cache()
    out: list[int] = []
    with torch.no_grad():
        logits = forward(weights, shape, torch.tensor([prompt]), cache)
        while len(out) < limit:
            token = int(logits[0, -1].argmax())
            if token == end:
                break
            out.append(token)
            logits = forward(weights, shape, torch.tensor([[token]]), cache)
    return out
