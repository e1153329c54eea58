"""Prompts have exactly the tokens asked for, and are beginnings of stories."""

from __future__ import annotations

from pathlib import Path

import pytest

from flexkit.errors import BadInput
from flexkit.models import catalogue, demo_model, grammar, prompt_of, sample_text


@pytest.mark.parametrize("tokens", [2, 5, 16, 64, 128, 200, 256, 400, 504, 1000])
def test_exactly_as_many_tokens(tokens: int) -> None:
    words = catalogue.vocabulary(demo_model())
    for seed in range(10):
        assert len(words.encode(prompt_of(demo_model(), tokens, seed))) == tokens


def test_a_prompt_is_the_beginning_of_one_story() -> None:
    for seed in range(100):
        verdict = grammar.judge(prompt_of(demo_model(), 128, seed))
        assert verdict.prefix
        assert not verdict.complete


def test_seeds_differ_and_repeat(small: Path) -> None:
    prompts = [prompt_of(small, 128, seed) for seed in range(50)]
    assert len(set(prompts)) == len(prompts)
    assert prompts == [prompt_of(small, 128, seed) for seed in range(50)]


@pytest.mark.parametrize("tokens", [-1, 0, 1])
def test_lengths_that_no_prompt_has(tokens: int) -> None:
    with pytest.raises(BadInput, match=f"exactly {tokens} tokens"):
        prompt_of(demo_model(), tokens, 0)


def test_sample_text_is_long_enough() -> None:
    assert all(len(sample_text(seed).split()) >= 400 for seed in range(20))
    assert sample_text(0) != sample_text(1)
