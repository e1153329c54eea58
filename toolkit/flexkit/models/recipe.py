"""What a trained model is made from: its recipe, its vocabulary, its stories in their order. No torch here."""

from __future__ import annotations

import io
import math
import random
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from flexkit.errors import BadInput, MissingTool
from flexkit.models import grammar
from flexkit.models.grammar import Mark, Word
from flexkit.models.shape import Shape
from flexkit.models.vocabulary import BYTE, CONTROL, NORMAL, UNKNOWN, Vocabulary

FIRST_STORY = 1_000_000  # stories of smaller seeds are never trained on: they judge
_POOL = 8


class Token(NamedTuple):
    """A token of a story: its id, what decided its word, and how much it counts in training."""

    id: int
    mark: Mark
    weight: float


@dataclass(frozen=True)
class Stage:
    """A stretch of training with one optimiser. ``batch`` counts stories; ``rate`` is the learning rate at its highest.

    In the first ``even_steps`` of ``steps`` stories are drawn evenly (grammar.evenly), then as they are told. The
    others say how much a token counts by its word's grammar.Mark: chance can only be learnt so far, and drowns in
    noise what can be learnt, the ties. ``tie`` is for each tie alike; ``thing`` is shared out among all ties to one
    thing, so that what a story mentions twice counts as much as what it mentions twenty times.
    """

    steps: int
    even_steps: int
    batch: int
    warmup: int
    rate: float
    final_rate: float
    decay: float
    plain: float = 1.0
    open: float = 1.0
    tie: float = 0.0
    thing: float = 0.0

    def rate_at(self, step: int) -> float:
        """Learning rate: linear warm-up, then a cosine down to ``final_rate``."""
        if step < self.warmup:
            return self.rate * (step + 1) / self.warmup
        share = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.final_rate + (self.rate - self.final_rate) * (1 + math.cos(math.pi * share)) / 2

    def weight(self, word: Word, mentions: Mapping[str, int]) -> float:
        """How much a token of ``word`` counts; ``mentions`` says how many ties the story has to each slot."""
        match word.mark:
            case Mark.PLAIN:
                return self.plain
            case Mark.OPEN:
                return self.open
            case Mark.TIE:
                return self.tie + self.thing / mentions[word.slot]


@dataclass(frozen=True)
class Recipe:
    """models/recipes/NAME.toml: a shape, a vocabulary, and stages of training one after the other.

    The vocabulary is a SentencePiece model beside the recipe (so that models of one vocabulary stay so when the grammar
    changes), or is trained on as many ``vocabulary_stories``.
    """

    name: str
    seed: int
    shape: Shape
    stages: tuple[Stage, ...]
    vocabulary_stories: int = 0
    vocabulary_model: bytes = field(default=b"", repr=False)

    @classmethod
    def load(cls, path: Path) -> Recipe:
        """Raises BadInput for a file that is not a recipe."""
        try:
            table = tomllib.loads(path.read_text())
            vocabulary = table["vocabulary"]
            return cls(
                name=path.stem,
                seed=int(table["seed"]),
                shape=Shape(**table["shape"]),
                stages=tuple(Stage(**stage) for stage in table["stage"]),
                vocabulary_stories=int(vocabulary.get("stories", 0)),
                vocabulary_model=(path.parent / vocabulary["model"]).read_bytes() if "model" in vocabulary else b"",
            )
        except OSError as error:
            names = sorted(each.stem for each in path.parent.glob("*.toml"))
            mend = f"there are: {', '.join(names)}" if names else ""
            raise BadInput(f"{path}: {error.strerror or error}", mend=mend) from error
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{path}: not a recipe: {error}", mend="see models/recipes/demo.toml") from error

    def first_story(self, stage: int) -> int:
        """The seed of the first story that a stage reads: none is read twice."""
        return FIRST_STORY + sum(each.steps * each.batch for each in self.stages[:stage])


def _sentencepiece() -> ModuleType:
    try:
        import sentencepiece  # noqa: PLC0415 - only training needs it
    except ImportError as error:
        raise MissingTool("training needs sentencepiece", mend="pip install 'flexkit[train]'") from error
    module: ModuleType = sentencepiece
    return module


def sentencepiece_model(recipe: Recipe) -> bytes:
    """The recipe's SentencePiece model; trained on its first stories, the same one every time, if it brings none.

    Raises MissingTool without the optional extra ``train``.
    """
    if recipe.vocabulary_model:
        return recipe.vocabulary_model
    model = io.BytesIO()
    _sentencepiece().SentencePieceTrainer.train(
        sentence_iterator=grammar.corpus(FIRST_STORY, recipe.vocabulary_stories),
        model_writer=model,
        vocab_size=recipe.shape.vocab,
        model_type="bpe",
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        split_digits=True,
        character_coverage=1.0,
        max_sentence_length=1 << 14,
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()


def vocabulary(recipe: Recipe) -> Vocabulary:
    """The vocabulary of ``sentencepiece_model``. Raises MissingTool without the optional extra ``train``."""
    trained = _sentencepiece().SentencePieceProcessor(model_proto=sentencepiece_model(recipe))

    def kind(token: int) -> int:
        if trained.is_unknown(token):
            return UNKNOWN
        if trained.is_control(token):
            return CONTROL
        return BYTE if trained.is_byte(token) else NORMAL

    tokens = range(trained.get_piece_size())
    return Vocabulary(
        pieces=tuple(trained.id_to_piece(token) for token in tokens),
        scores=tuple(float(trained.get_score(token)) for token in tokens),
        types=tuple(kind(token) for token in tokens),
        bos=trained.bos_id(),
        eos=trained.eos_id(),
        unknown=trained.unk_id(),
    )


class Encoder:
    """Encodes stories word by word: pieces never cross a space, so that a word's tokens can be remembered."""

    def __init__(self, words: Vocabulary) -> None:
        self.words = words
        self._known: dict[str, list[int]] = {}

    def story(self, tale: list[Word], stage: Stage) -> list[Token]:
        """Tokens of a whole story, from the beginning-of-sequence token to the end-of-sequence token."""
        mentions = Counter(word.slot for word in tale)
        out = [Token(self.words.bos, Mark.PLAIN, stage.plain)]
        for word in tale:
            if word.text not in self._known:
                self._known[word.text] = self.words.encode(word.text)[1:]
            weight = stage.weight(word, mentions)
            out += [Token(token, word.mark, weight) for token in self._known[word.text]]
        return [*out, Token(self.words.eos, Mark.PLAIN, stage.plain)]


def batches(recipe: Recipe, number: int, encoder: Encoder, first: int) -> Iterator[list[list[Token]]]:
    """The batches of steps ``first``, ``first + 1``, ... of a stage without end, the same wherever one starts.

    A pool of eight batches is sorted by length before it is cut, so that little is padding.
    """
    stage = recipe.stages[number]
    for pool in range(first // _POOL, 1 << 62):
        start = recipe.first_story(number) + pool * _POOL * stage.batch
        draw = grammar.evenly if pool * _POOL < stage.even_steps else grammar.by_favour
        told = (grammar.marked(seed, draw) for seed in range(start, start + _POOL * stage.batch))
        tales = sorted((encoder.story(tale, stage) for tale in told), key=len)
        groups = [tales[i : i + stage.batch] for i in range(0, len(tales), stage.batch)]
        random.Random(pool).shuffle(groups)
        yield from groups[first % _POOL if pool == first // _POOL else 0 :]
