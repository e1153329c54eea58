"""The committed demo model really tells stories: told by the engine, and by a numpy forward pass of the tests' own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flexkit import engine
from flexkit.models import catalogue, demo_model, grammar, prompt_of
from flexkit.models.lexicon import LEXICON

STORIES = 60
COHERENT = 44  # at least so many of them; models/README.md has the share over 200

Open = Callable[[Path], Any]


@pytest.fixture(scope="module")
def demo() -> Iterator[engine.Model]:
    with engine.Model(demo_model()) as model:
        yield model


def told(demo: engine.Model, prompt: str) -> str:
    """The prompt and what the engine makes of it, up to the end that the model chooses."""
    limit = demo.config.context - len(demo.tokenize(prompt))
    return prompt + demo.generate(prompt, limit, ignore_eos=False).text


def test_most_stories_end_coherently(demo: engine.Model) -> None:
    wrong: list[str] = []
    for seed in range(STORIES):
        tale = told(demo, grammar.opening(seed, (seed % 8 + 1) / 10))
        verdict = grammar.judge(tale)
        if not verdict.complete:
            wrong.append(f"{seed}: {verdict.explain(tale)}")
    assert STORIES - len(wrong) >= COHERENT, "\n".join(wrong)


def test_one_sentence_is_enough_of_a_prompt(demo: engine.Model) -> None:
    """Of the twelve heroes, at least eight get a whole coherent story."""
    tales = [
        told(demo, f"Once upon a time there was a {hero['kind']} named {hero['name']}.") for hero in LEXICON["child"]
    ]
    wrong = [grammar.judge(tale).explain(tale) for tale in tales if not grammar.judge(tale).complete]
    assert len(tales) - len(wrong) >= 8, "\n".join(wrong)


def test_benchmark_prompts_leave_as_much_to_tell_as_is_asked(demo: engine.Model) -> None:
    for seed in range(5):
        result = demo.generate(prompt_of(demo_model(), 128, seed), 32, ignore_eos=False)
        assert result.finish == "length"


def test_engine_and_numpy_tell_the_same_story(demo: engine.Model, numpy_model: Open) -> None:
    """Along numpy's story the engine's best token is the same wherever it leads by 0.5: more than rounding turns."""
    for seed in range(2):
        reading = numpy_model(demo_model())
        prompt = reading.words.encode(grammar.opening(seed))
        assert list(demo.tokenize(grammar.opening(seed))) == prompt
        ending, gaps = reading.tell(prompt, 64)
        with demo.session(len(prompt) + len(ending)) as session:
            session.forward(prompt)
            for token, gap in zip(ending, gaps, strict=True):
                assert gap < 0.5 or session.greedy() == token
                session.forward([token])
        assert sum(gap >= 0.5 for gap in gaps) >= 48


@pytest.mark.parametrize("name", ["demo", "small"])
def test_the_best_logit_stands_out(name: str, small: Path, numpy_model: Open) -> None:
    """Tokens are compared in every run, so ties must be rare: of 48 tokens at least 40 lead by more than 0.1."""
    path = {"demo": demo_model(), "small": small}[name]
    for seed in range(2):
        model = numpy_model(path)
        ending, gaps = model.tell(model.words.encode(prompt_of(path, 16, seed)), 48)
        assert len(ending) == 48
        assert sum(gap > 0.1 for gap in gaps) >= 40, sorted(gaps)


def test_synthetic_text_is_not_one_token_for_ever(small: Path, numpy_model: Open) -> None:
    model = numpy_model(small)
    ending, _ = model.tell(model.words.encode(prompt_of(small, 16, 0)), 64)
    assert len(set(ending)) > 8
    assert catalogue.vocabulary(small).eos not in ending
