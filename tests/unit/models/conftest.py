"""What the tests of models share: a small synthetic model, and a plain numpy reading of the llama forward pass."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from flexkit.events import Bus
from flexkit.models import catalogue, gguf_file, inspect, numbers, synth
from flexkit.models.gguf_file import Q8_0

Floats = NDArray[np.float64]


class NumpyModel:
    """One sequence through a model file, token by token, in float64: slow, short, and nobody else's code."""

    def __init__(self, path: Path) -> None:
        file = gguf_file.read(path)
        data = path.read_bytes()
        self.shape = inspect.check(path).shape
        self.w = {
            name: numbers.unpack(data[t.offset : t.offset + t.size], t.quant).reshape(t.dims[::-1]).astype(np.float64)
            for name, t in file.tensors.items()
        }
        self.words = catalogue.vocabulary(path)
        self.keys: list[list[Floats]] = [[] for _ in range(self.shape.layers)]
        self.values: list[list[Floats]] = [[] for _ in range(self.shape.layers)]

    def _norm(self, x: Floats, name: str) -> Floats:
        y: Floats = x / np.sqrt(np.mean(x * x) + 1e-5) * self.w[name]
        return y

    def _turned(self, heads: Floats, position: int) -> Floats:
        """RoPE: pair i of each head, its numbers 2i and 2i + 1 as one complex number, turned by position * rate_i."""
        pairs = heads[:, 0::2] + 1j * heads[:, 1::2]
        rates = 10000.0 ** (-np.arange(pairs.shape[1]) / pairs.shape[1])
        turned = pairs * np.exp(1j * position * rates)
        return np.stack((turned.real, turned.imag), axis=-1).reshape(heads.shape)

    def _attend(self, layer: int, x: Floats) -> Floats:
        shape, at = self.shape, f"blk.{layer}."
        position = len(self.keys[layer])
        heads = [(self.w[f"{at}attn_{part}.weight"] @ x).reshape(-1, shape.head_dim) for part in "qkv"]
        q, k = self._turned(heads[0], position), self._turned(heads[1], position)
        self.keys[layer].append(k)
        self.values[layer].append(heads[2])
        keys, values = np.array(self.keys[layer]), np.array(self.values[layer])
        out = []
        for head in range(shape.heads):
            shared = head // (shape.heads // shape.kv_heads)
            scores = keys[:, shared] @ q[head] / np.sqrt(shape.head_dim)
            weights = np.exp(scores - scores.max())
            out.append(weights @ values[:, shared] / weights.sum())
        y: Floats = self.w[at + "attn_output.weight"] @ np.concatenate(out)
        return y

    def logits(self, token: int) -> Floats:
        """Logits after one more token."""
        x = self.w["token_embd.weight"][token]
        for layer in range(self.shape.layers):
            at = f"blk.{layer}."
            x = x + self._attend(layer, self._norm(x, at + "attn_norm.weight"))
            y = self._norm(x, at + "ffn_norm.weight")
            gate = self.w[at + "ffn_gate.weight"] @ y
            x = x + self.w[at + "ffn_down.weight"] @ (gate / (1 + np.exp(-gate)) * (self.w[at + "ffn_up.weight"] @ y))
        logits: Floats = self.w["output.weight"] @ self._norm(x, "output_norm.weight")
        return logits

    def tell(self, prompt: list[int], limit: int) -> tuple[list[int], list[float]]:
        """Greedy ending of ``prompt``, and by how much each token's logit is above the second best."""
        logits = [self.logits(token) for token in prompt][-1]
        ending: list[int] = []
        gaps: list[float] = []
        while len(ending) < limit:
            second, best = np.partition(logits, -2)[-2:]
            token = int(logits.argmax())
            if token == self.words.eos:
                break
            ending.append(token)
            gaps.append(float(best - second))
            logits = self.logits(token)
        return ending, gaps


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic model of 500,000 parameters."""
    path = tmp_path_factory.mktemp("models") / "small.gguf"
    synth.synthesise(path, 500_000, Q8_0, 1, catalogue.vocabulary(catalogue.demo_model()), Bus())
    return path


@pytest.fixture
def numpy_model() -> type[NumpyModel]:
    """Opens a model file for one sequence."""
    return NumpyModel
