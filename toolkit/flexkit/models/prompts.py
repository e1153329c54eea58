"""Prompts for benchmarks and tests: beginnings of stories, cut to an exact number of tokens."""

from __future__ import annotations

from pathlib import Path

from flexkit.errors import BadInput
from flexkit.models import catalogue, grammar
from flexkit.models.vocabulary import Vocabulary

_PROMPT_SEED = 500_000  # apart from what models are trained on and judged by
_TRIES = 200
_AHEAD = 48  # tokens that a story must have left after the prompt, where one story is long enough


def sample_text(seed: int) -> str:
    """Stories one after the other, at least 400 words."""
    tales: list[str] = []
    while sum(tale.count(" ") + 1 for tale in tales) < 400:
        tales.append(grammar.story(_PROMPT_SEED + seed * _TRIES + len(tales)))
    return " ".join(tales)


def prompt_of(model: Path, tokens: int, seed: int) -> str:
    """Text that ``model`` encodes to exactly ``tokens`` tokens, the beginning-of-sequence token included.

    It is the beginning of one story, cut between words, with something left to tell; longer prompts than a story
    begin with whole stories. Raises BadInput when the model has no SentencePiece vocabulary, or no such prompt is
    found.
    """
    words = catalogue.vocabulary(model)
    for attempt in range(_TRIES):
        tales, rest = [], tokens
        for number in range(_TRIES):
            tale = grammar.story(_PROMPT_SEED + (seed * _TRIES + attempt) * _TRIES + number)
            length = len(words.encode(tale)) - 1
            if rest - 1 <= length - _AHEAD:
                break
            tales.append(tale)
            rest -= length
        if rest < 2:
            continue
        text = " ".join([*tales, _start(words, tale, rest)])
        if len(words.encode(text)) == tokens:
            return text
    raise BadInput(
        f"{model}: no prompt of exactly {tokens} tokens was found", mend="ask for another length, at least 2"
    )


def _start(words: Vocabulary, tale: str, tokens: int) -> str:
    """The leading words of ``tale`` that have at most ``tokens`` tokens with the beginning-of-sequence token."""
    taken: list[str] = []
    for word in tale.split(" "):
        tokens -= len(words.encode(word)) - 1
        if tokens < 1:
            break
        taken.append(word)
    return " ".join(taken)
