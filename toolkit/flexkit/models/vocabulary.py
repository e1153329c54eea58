"""A SentencePiece (BPE) vocabulary: what a GGUF carries of it, and encoding and decoding by it.

Encoding follows the rule of SentencePiece's BPE and of llama.cpp: start from single characters (or bytes, for what is
no piece) and merge the pair with the highest score, the leftmost first, until no pair is a piece.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from flexkit.errors import BadInput
from flexkit.models.shape import Value

NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6
SPACE = "\u2581"


@dataclass(frozen=True)
class Vocabulary:
    """Pieces, their scores and types (GGUF's numbers), by token id."""

    pieces: tuple[str, ...]
    scores: tuple[float, ...]
    types: tuple[int, ...]
    bos: int = 1
    eos: int = 2
    unknown: int = 0

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, object]) -> Vocabulary:
        """The vocabulary that a GGUF's metadata holds. Raises BadInput when it is not a SentencePiece one."""
        model = metadata.get("tokenizer.ggml.model")
        if model != "llama":
            raise BadInput(
                f"this model's tokenizer is {model!r}, not SentencePiece", mend="use a model of the catalogue"
            )
        pieces, scores, types = (metadata.get("tokenizer.ggml." + key) for key in ("tokens", "scores", "token_type"))
        if not (isinstance(pieces, list) and isinstance(scores, list) and isinstance(types, list)):
            raise BadInput("this model's vocabulary is incomplete", mend="convert the model again")
        special = {
            name: int(str(metadata.get(f"tokenizer.ggml.{key}_token_id", default)))
            for name, key, default in (("bos", "bos", 1), ("eos", "eos", 2), ("unknown", "unknown", 0))
        }
        return cls(tuple(pieces), tuple(scores), tuple(types), **special)

    def metadata(self) -> Mapping[str, Value]:
        """The ``tokenizer.ggml.*`` keys."""
        return {
            "tokenizer.ggml.model": "llama",
            "tokenizer.ggml.pre": "default",
            "tokenizer.ggml.tokens": list(self.pieces),
            "tokenizer.ggml.scores": list(self.scores),
            "tokenizer.ggml.token_type": list(self.types),
            "tokenizer.ggml.bos_token_id": self.bos,
            "tokenizer.ggml.eos_token_id": self.eos,
            "tokenizer.ggml.unknown_token_id": self.unknown,
            "tokenizer.ggml.add_bos_token": True,
            "tokenizer.ggml.add_eos_token": False,
            "tokenizer.ggml.add_space_prefix": True,
        }

    @cached_property
    def _ids(self) -> Mapping[str, int]:
        return {piece: token for token, piece in enumerate(self.pieces) if self.types[token] == NORMAL}

    @cached_property
    def _bytes(self) -> Mapping[int, int]:
        """Token id by byte value."""
        return {int(piece[3:5], 16): i for i, piece in enumerate(self.pieces) if self.types[i] == BYTE}

    def encode(self, text: str) -> list[int]:
        """Token ids of ``text``, the beginning-of-sequence token first; empty text is that token alone."""
        symbols = list((SPACE + text.replace(" ", SPACE)) if text else "")
        return [self.bos, *self._tokens(self._merge(symbols))]

    def _merge(self, symbols: list[str]) -> list[str]:
        """Merge neighbours by score until nothing merges. A merged symbol takes its left half's place, the right half's
        becomes empty; a queued pair is stale when either half has changed since."""
        following = [*range(1, len(symbols)), -1]
        before = [*range(-1, len(symbols) - 1)]
        queue: list[tuple[float, int, int, str]] = []

        def offer(left: int, right: int) -> None:
            if left >= 0 and right >= 0:
                whole = symbols[left] + symbols[right]
                token = self._ids.get(whole)
                if token is not None:
                    heapq.heappush(queue, (-self.scores[token], left, right, whole))

        for index in range(len(symbols) - 1):
            offer(index, index + 1)
        while queue:
            _, left, right, whole = heapq.heappop(queue)
            if not symbols[left] or not symbols[right] or symbols[left] + symbols[right] != whole:
                continue
            symbols[left], symbols[right] = whole, ""
            following[left] = following[right]
            if following[left] >= 0:
                before[following[left]] = left
            offer(before[left], left)
            offer(left, following[left])
        return [symbol for symbol in symbols if symbol]

    def _tokens(self, symbols: Sequence[str]) -> Iterable[int]:
        for symbol in symbols:
            if symbol in self._ids:
                yield self._ids[symbol]
                continue
            for value in symbol.encode():
                yield self._bytes.get(value, self.unknown)

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of ``tokens`` without control tokens; the space that encoding puts first is taken off again."""
        out = b""
        for token in tokens:
            match self.types[token]:
                case 6:
                    out += bytes([int(self.pieces[token][3:5], 16)])
                case 1:
                    out += self.pieces[token].replace(SPACE, " ").encode()
                case _:
                    pass
        return out.decode(errors="replace").removeprefix(" ")
