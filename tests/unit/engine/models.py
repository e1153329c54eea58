"""Tiny random llama models as GGUF files, and an independent numpy reading of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Q = gguf.GGMLQuantizationType


@dataclass
class Shape:
    """A model's sizes and the ways in which files differ."""

    dim: int = 64
    ff: int = 96
    layers: int = 2
    heads: int = 4
    kv_heads: int = 2
    vocab: int = 300
    context: int = 256
    rope_dim: int | None = None
    rope_base: float | None = None
    rope_factors: bool = False
    tied: bool = False
    scale: float = 1.0
    kind: Q = Q.F32
    head_dim: int | None = None

    @property
    def head(self) -> int:
        """Elements of a head."""
        return self.head_dim or self.dim // self.heads


def spm_vocabulary(writer: gguf.GGUFWriter, size: int) -> None:
    """<unk>, <s>, </s>, the 256 bytes, then one letter each."""
    letters = [chr(0x61 + i) if i < 26 else chr(0x400 + i) for i in range(size - 259)]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256)), *letters]
    kinds = [2, 3, 3] + [6] * 256 + [1] * len(letters)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * 259 + [-float(i) for i in range(len(letters))])
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)


def sizes(writer: gguf.GGUFWriter, shape: Shape) -> None:
    """The metadata of the architecture."""
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.dim)
    writer.add_feed_forward_length(shape.ff)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    if shape.rope_dim:
        writer.add_rope_dimension_count(shape.rope_dim)
    if shape.rope_base:
        writer.add_rope_freq_base(shape.rope_base)
    if shape.head_dim:
        writer.add_key_length(shape.head_dim)
        writer.add_value_length(shape.head_dim)


Change = Callable[[gguf.GGUFWriter], None]


def write(path: Path, shape: Shape, seed: int, *, architecture: str = "llama", change: Change | None = None) -> Path:
    """A GGUF with random weights; ``change`` may add what does not belong there."""
    random = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, architecture)
    sizes(writer, shape)
    spm_vocabulary(writer, shape.vocab)

    def vector(name: str, n: int) -> None:
        writer.add_tensor(name, (1 + 0.1 * random.standard_normal(n)).astype(np.float32))

    def matrix(name: str, rows: int, cols: int, gain: float = 1.0) -> None:
        data = (random.standard_normal((rows, cols)) * gain * shape.scale / np.sqrt(cols)).astype(np.float32)
        if shape.kind == Q.F16:
            writer.add_tensor(name, data.astype(np.float16))
        elif shape.kind == Q.Q8_0:
            writer.add_tensor(name, gguf.quantize(data, Q.Q8_0), raw_dtype=Q.Q8_0)
        else:
            writer.add_tensor(name, data)

    q, kv = shape.heads * shape.head, shape.kv_heads * shape.head
    matrix("token_embd.weight", shape.vocab, shape.dim, 8.0)
    if shape.rope_factors:
        half = (shape.rope_dim or shape.head) // 2
        writer.add_tensor("rope_freqs.weight", np.linspace(1, 8, half, dtype=np.float32))
    for i in range(shape.layers):
        vector(f"blk.{i}.attn_norm.weight", shape.dim)
        matrix(f"blk.{i}.attn_q.weight", q, shape.dim, 2.0)
        matrix(f"blk.{i}.attn_k.weight", kv, shape.dim, 2.0)
        matrix(f"blk.{i}.attn_v.weight", kv, shape.dim)
        matrix(f"blk.{i}.attn_output.weight", shape.dim, q)
        vector(f"blk.{i}.ffn_norm.weight", shape.dim)
        matrix(f"blk.{i}.ffn_gate.weight", shape.ff, shape.dim)
        matrix(f"blk.{i}.ffn_up.weight", shape.ff, shape.dim)
        matrix(f"blk.{i}.ffn_down.weight", shape.dim, shape.ff)
    vector("output_norm.weight", shape.dim)
    if not shape.tied:
        matrix("output.weight", shape.vocab, shape.dim, 2.0)
    if change is not None:
        change(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


class Numpy:
    """The llama architecture in double precision, straight from its definition, on the file's dequantised weights."""

    def __init__(self, path: Path) -> None:
        reader = gguf.GGUFReader(path)
        self.tensor = {
            t.name: gguf.dequantize(t.data, t.tensor_type).astype(np.float64).reshape(tuple(reversed(t.shape.tolist())))
            for t in reader.tensors
        }
        self.fields = reader.fields

    def number(self, key: str, missing: float | None = None) -> float:
        """A metadata value."""
        if key not in self.fields:
            assert missing is not None
            return missing
        return float(self.fields[key].contents())

    def rope(self, x: NDArray[np.float64], n: int) -> NDArray[np.float64]:
        """Rotate adjacent pairs of the first n elements; x is (tokens, heads, head)."""
        base = self.number("llama.rope.freq_base", 10000.0)
        angle = np.arange(x.shape[0])[:, None] * base ** (-np.arange(0, n, 2) / n)
        if "rope_freqs.weight" in self.tensor:
            angle = angle / self.tensor["rope_freqs.weight"]
        turn = np.exp(1j * angle)[:, None, :]
        pairs = (x[..., 0:n:2] + 1j * x[..., 1:n:2]) * turn
        out = x.copy()
        out[..., 0:n:2], out[..., 1:n:2] = pairs.real, pairs.imag
        return out

    def norm(self, x: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        """RMS norm."""
        eps = self.number("llama.attention.layer_norm_rms_epsilon")
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * self.tensor[name]

    def attention(self, x: NDArray[np.float64], layer: int) -> NDArray[np.float64]:
        """Causal attention with shared key heads."""
        heads, shared = (
            int(self.number("llama.attention.head_count")),
            int(self.number("llama.attention.head_count_kv")),
        )
        t = len(x)
        q, k, v = (x @ self.tensor[f"blk.{layer}.attn_{which}.weight"].T for which in "qkv")
        head = q.shape[1] // heads
        n = int(self.number("llama.rope.dimension_count", head))
        q, k = self.rope(q.reshape(t, heads, head), n), self.rope(k.reshape(t, shared, head), n)
        k, v = np.repeat(k, heads // shared, 1), np.repeat(v.reshape(t, shared, head), heads // shared, 1)
        score = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(head)
        score = np.where(np.tril(np.ones((t, t), bool)), score, -np.inf)
        weight = np.exp(score - score.max(-1, keepdims=True))
        weight /= weight.sum(-1, keepdims=True)
        mixed = np.einsum("hqk,khd->qhd", weight, v).reshape(t, heads * head)
        return mixed @ self.tensor[f"blk.{layer}.attn_output.weight"].T

    def logits(self, ids: list[int]) -> NDArray[np.float64]:
        """Logits of every position: (tokens, vocab)."""
        x = self.tensor["token_embd.weight"][ids]
        for i in range(int(self.number("llama.block_count"))):
            x = x + self.attention(self.norm(x, f"blk.{i}.attn_norm.weight"), i)
            h = self.norm(x, f"blk.{i}.ffn_norm.weight")
            gate, up = (h @ self.tensor[f"blk.{i}.ffn_{which}.weight"].T for which in ("gate", "up"))
            x = x + (gate / (1 + np.exp(-gate)) * up) @ self.tensor[f"blk.{i}.ffn_down.weight"].T
        head = self.tensor.get("output.weight", self.tensor["token_embd.weight"])
        out: NDArray[np.float64] = self.norm(x, "output_norm.weight") @ head.T
        return out
