"""Recipes: read strictly, followed in the same order wherever a run starts again."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from flexkit.errors import BadInput
from flexkit.models import catalogue, grammar, recipe
from flexkit.models.recipe import Encoder, Recipe

DEMO = catalogue.folder() / "recipes" / "demo.toml"


@pytest.fixture(scope="module")
def demo() -> Recipe:
    return Recipe.load(DEMO)


@pytest.mark.parametrize("first", [1, 7, 8, 13])
def test_a_run_that_starts_again_sees_the_same_batches(demo: Recipe, first: int) -> None:
    encoder = Encoder(catalogue.vocabulary(catalogue.demo_model()))
    whole = list(itertools.islice(recipe.batches(demo, encoder, 0), first + 10))
    assert list(itertools.islice(recipe.batches(demo, encoder, first), 10)) == whole[first:]


def test_a_pool_holds_every_story_once(demo: Recipe) -> None:
    encoder = Encoder(catalogue.vocabulary(catalogue.demo_model()))
    seen = sorted(itertools.chain.from_iterable(itertools.islice(recipe.batches(demo, encoder, 0), 8)))
    assert seen == sorted(
        encoder.story(grammar.marked(seed, grammar.evenly))
        for seed in range(recipe.FIRST_STORY, recipe.FIRST_STORY + 8 * demo.batch)
    )


def test_no_story_that_judges_is_trained_on(demo: Recipe) -> None:
    judging = set(grammar.corpus(0, 200))
    assert judging.isdisjoint(grammar.corpus(recipe.FIRST_STORY, 20_000))


def test_the_rate_rises_then_falls(demo: Recipe) -> None:
    rates = [demo.rate_at(step) for step in range(demo.steps + 1)]
    top = rates.index(max(rates))
    assert rates[top] == pytest.approx(demo.rate)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] == pytest.approx(demo.final_rate)


@pytest.mark.parametrize(
    "content",
    ["", "seed = 1", "not toml", "\x00", "seed = 1\n[shape]\nwings = 2\n[training]\n", b"\xff\xfe".decode("latin1")],
)
def test_files_that_are_no_recipes(tmp_path: Path, content: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content.encode("latin1"))
    with pytest.raises(BadInput, match="not a recipe"):
        Recipe.load(path)


def test_sizes_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "odd.toml"
    path.write_text(DEMO.read_text().replace("dim = 192", "dim = 100"))
    with pytest.raises(BadInput, match="do not fit together"):
        Recipe.load(path)
