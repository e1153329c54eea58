"""Our encoder against SentencePiece itself, and the recipe's vocabulary against the one in the demo model."""

from __future__ import annotations

import dataclasses
import random

import pytest
import sentencepiece

from flexkit.models import catalogue, grammar, recipe
from flexkit.models.recipe import Encoder, Recipe
from flexkit.models.vocabulary import BYTE, Vocabulary

ODD = [
    "",
    " ",
    "   two  spaces ",
    "Lily",
    "Zürich, 東京, Ελλάδα",
    "\U0001f600 smile \u200d and \u0301 accents",
    "tab\tand\nnewline\x00\x7f",
    "12345 67.8",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "<s> </s> <unk> <0x41>",
]


STAGE = recipe.Stage(steps=1, even_steps=0, batch=1, warmup=0, rate=1, final_rate=1, decay=0)


@pytest.fixture(scope="module")
def demo() -> Recipe:
    return Recipe.load(catalogue.folder() / "recipes" / "demo.toml")


@pytest.fixture(scope="module")
def reference(demo: Recipe) -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_proto=recipe.sentencepiece_model(demo))


@pytest.fixture(scope="module")
def words() -> Vocabulary:
    return catalogue.vocabulary(catalogue.demo_model())


def test_the_recipe_gives_the_vocabulary_of_the_demo_model(demo: Recipe, words: Vocabulary) -> None:
    assert recipe.vocabulary(demo) == words


def test_a_recipe_without_a_vocabulary_trains_one(demo: Recipe) -> None:
    plan = dataclasses.replace(demo, vocabulary_model=b"", vocabulary_stories=200)
    trained = recipe.vocabulary(plan)
    assert trained == recipe.vocabulary(plan)
    assert len(trained.pieces) == demo.shape.vocab
    tale = grammar.story(0)
    assert trained.decode(trained.encode(tale)) == tale


def test_encodes_stories_as_sentencepiece_does(
    reference: sentencepiece.SentencePieceProcessor, words: Vocabulary
) -> None:
    for tale in grammar.corpus(0, 100):
        assert words.encode(tale) == [words.bos, *reference.encode(tale)]
        assert words.decode(words.encode(tale)) == tale


def test_encodes_anything_as_sentencepiece_does(
    reference: sentencepiece.SentencePieceProcessor, words: Vocabulary
) -> None:
    letters = "abehilnorst   .,\"'ABE\n\té日\U0001f600\u0301"
    rng = random.Random(1)
    texts = ["".join(rng.choices(letters, k=rng.randrange(1, 80))) for _ in range(500)]
    for text in ODD + texts:
        assert words.encode(text)[1:] == reference.encode(text), repr(text)
        assert words.decode(words.encode(text)) == text


def test_encoding_word_by_word_is_the_same(words: Vocabulary) -> None:
    encoder = Encoder(words)
    for seed in range(50):
        tokens = [token.id for token in encoder.story(grammar.marked(seed), STAGE)]
        assert tokens == [*words.encode(grammar.story(seed)), words.eos]


def test_every_byte_has_a_token(words: Vocabulary) -> None:
    assert sum(kind == BYTE for kind in words.types) == 256
    assert words.decode(words.encode(bytes(range(128)).decode())) == bytes(range(128)).decode()


def test_broken_utf8_decodes_without_an_error(words: Vocabulary) -> None:
    assert words.decode([words.pieces.index("<0xC3>"), words.pieces.index("a")]) == "\ufffda"
