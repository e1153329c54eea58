"""Recipes: read strictly, followed in the same order wherever a run starts again."""

from __future__ import annotations

import collections
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


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(catalogue.vocabulary(catalogue.demo_model()))


@pytest.mark.parametrize("first", [1, 7, 8, 13])
def test_a_run_that_starts_again_sees_the_same_batches(demo: Recipe, encoder: Encoder, first: int) -> None:
    whole = list(itertools.islice(recipe.batches(demo, 0, encoder, 0), first + 10))
    assert list(itertools.islice(recipe.batches(demo, 0, encoder, first), 10)) == whole[first:]


def test_a_pool_holds_every_story_once(demo: Recipe, encoder: Encoder) -> None:
    for number, stage in enumerate(demo.stages):
        start = demo.first_story(number)
        pool = itertools.chain.from_iterable(itertools.islice(recipe.batches(demo, number, encoder, 0), 8))
        draw = grammar.evenly if stage.even_steps else grammar.by_favour
        told = (grammar.marked(seed, draw) for seed in range(start, start + 8 * stage.batch))
        assert sorted(pool) == sorted(encoder.story(tale, stage) for tale in told)


def test_no_stage_reads_what_another_has_read(demo: Recipe) -> None:
    ends = [demo.first_story(number) + stage.steps * stage.batch for number, stage in enumerate(demo.stages)]
    assert [demo.first_story(number) for number in range(1, len(ends))] == ends[:-1]


def test_no_story_that_judges_is_trained_on() -> None:
    judging = set(grammar.corpus(0, 200))
    assert judging.isdisjoint(grammar.corpus(recipe.FIRST_STORY, 5_000))
    assert judging.isdisjoint(grammar.corpus(recipe.FIRST_STORY, 5_000, grammar.evenly))


def test_the_rate_rises_then_falls(demo: Recipe) -> None:
    for stage in demo.stages:
        rates = [stage.rate_at(step) for step in range(stage.steps + 1)]
        top = rates.index(max(rates))
        assert rates[top] == pytest.approx(stage.rate)
        assert rates[: top + 1] == sorted(rates[: top + 1])
        assert rates[top:] == sorted(rates[top:], reverse=True)
        assert rates[-1] == pytest.approx(stage.final_rate)


def test_every_thing_of_a_story_counts_the_same(encoder: Encoder) -> None:
    """With ``thing``, the ties to one slot share it, however many they are."""
    stage = recipe.Stage(
        steps=1, even_steps=0, batch=1, warmup=0, rate=1, final_rate=1, decay=0, plain=0, open=0, thing=6
    )
    tale = grammar.marked(3)
    slots = {word.slot for word in tale if word.mark is grammar.Mark.TIE}
    by_word = sum(stage.weight(word, collections.Counter(each.slot for each in tale)) for word in tale)
    assert by_word == pytest.approx(6 * len(slots))


@pytest.mark.parametrize(
    "content",
    ["", "seed = 1", "not toml", "\x00", "seed = 1\n[shape]\nwings = 2\n", b"\xff\xfe".decode("latin1")],
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
