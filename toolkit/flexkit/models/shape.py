"""The shape of a llama-family model: its sizes, its tensors by their GGUF names, and the metadata that says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from flexkit.errors import BadInput

Value = bool | int | float | str | list[str] | list[int] | list[float]

NORM_EPSILON = 1e-5
ROPE_BASE = 10000.0


@dataclass(frozen=True)
class TensorSpec:
    """One tensor: ``rows`` x ``cols`` (a vector has one row); ``cols`` is the contiguous, quantised dimension."""

    name: str
    rows: int
    cols: int

    @property
    def is_vector(self) -> bool:
        return self.name.endswith("norm.weight")

    @property
    def elements(self) -> int:
        return self.rows * self.cols


@dataclass(frozen=True)
class Shape:
    """Sizes of a dense llama model. RoPE turns neighbouring pairs (2i, 2i+1), as GGUF's llama architecture has it."""

    vocab: int
    dim: int
    layers: int
    heads: int
    kv_heads: int
    ffn: int
    context: int

    def __post_init__(self) -> None:
        if min(self.vocab, self.dim, self.layers, self.heads, self.kv_heads, self.ffn, self.context) < 1:
            raise BadInput(f"a model's sizes must all be positive: {self}")
        if self.dim % self.heads or self.heads % self.kv_heads or self.head_dim % 2 or self.dim % 32 or self.ffn % 32:
            raise BadInput(
                f"these sizes do not fit together: {self}",
                mend="dim and ffn in multiples of 32, dim a multiple of heads, heads of kv_heads, an even head size",
            )

    @property
    def head_dim(self) -> int:
        return self.dim // self.heads

    @property
    def kv_dim(self) -> int:
        return self.head_dim * self.kv_heads

    @property
    def params(self) -> int:
        """Weights in all tensors, embeddings and norms included."""
        return sum(spec.elements for spec in self.tensors())

    def tensors(self) -> Iterator[TensorSpec]:
        """Every tensor in file order: embedding, layers from first to last, head. Loading follows this order."""
        yield TensorSpec("token_embd.weight", self.vocab, self.dim)
        for layer in range(self.layers):
            at = f"blk.{layer}."
            yield TensorSpec(at + "attn_norm.weight", 1, self.dim)
            yield TensorSpec(at + "attn_q.weight", self.dim, self.dim)
            yield TensorSpec(at + "attn_k.weight", self.kv_dim, self.dim)
            yield TensorSpec(at + "attn_v.weight", self.kv_dim, self.dim)
            yield TensorSpec(at + "attn_output.weight", self.dim, self.dim)
            yield TensorSpec(at + "ffn_norm.weight", 1, self.dim)
            yield TensorSpec(at + "ffn_gate.weight", self.ffn, self.dim)
            yield TensorSpec(at + "ffn_up.weight", self.ffn, self.dim)
            yield TensorSpec(at + "ffn_down.weight", self.dim, self.ffn)
        yield TensorSpec("output_norm.weight", 1, self.dim)
        yield TensorSpec("output.weight", self.vocab, self.dim)

    def metadata(self) -> Mapping[str, Value]:
        """The ``llama.*`` keys, as llama.cpp reads them."""
        return {
            "llama.context_length": self.context,
            "llama.embedding_length": self.dim,
            "llama.block_count": self.layers,
            "llama.feed_forward_length": self.ffn,
            "llama.attention.head_count": self.heads,
            "llama.attention.head_count_kv": self.kv_heads,
            "llama.attention.layer_norm_rms_epsilon": NORM_EPSILON,
            "llama.rope.dimension_count": self.head_dim,
            "llama.rope.freq_base": ROPE_BASE,
            "llama.vocab_size": self.vocab,
        }
