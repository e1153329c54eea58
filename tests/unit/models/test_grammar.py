"""The story grammar read in both directions: what it writes it accepts, and it accepts nothing else."""

from __future__ import annotations

import random

import pytest

from flexkit.models import grammar
from flexkit.models.lexicon import LEXICON, ROLES

SEEDS = range(150)


def mutations(tale: str, seed: int) -> dict[str, str]:
    """The tale with one thing wrong, by what is wrong."""
    rng = random.Random(seed)
    words = tale.split(" ")
    sentences = tale.split(". ")
    at = rng.randrange(len(words))
    other = rng.choice([word for word in grammar.words() if word != words[at]])
    cut = rng.randrange(1, len(sentences) - 1)
    letter = rng.choice([i for i, c in enumerate(tale) if c.isalpha()])
    return {
        "another word": " ".join([*words[:at], other, *words[at + 1 :]]),
        "a word left out": " ".join(words[:at] + words[at + 1 :]),
        "a word twice": " ".join([*words[: at + 1], *words[at:]]),
        "a letter": tale[:letter] + ("x" if tale[letter] != "x" else "y") + tale[letter + 1 :],
        "two spaces": " ".join([*words[: at or 1], "", *words[at or 1 :]]),
        "something after the end": tale + " " + rng.choice(words),
        "sentences swapped": ". ".join([*sentences[:cut][::-1], *sentences[cut:]]) if cut > 1 else tale[::-1],
    }


def test_writes_what_it_accepts() -> None:
    for seed in SEEDS:
        verdict = grammar.judge(grammar.story(seed))
        assert verdict.complete, f"seed {seed}: {verdict.explain(grammar.story(seed))}"


@pytest.mark.parametrize("kind", list(mutations("A b. C d. E f. G h.", 0)))
def test_rejects_mutations(kind: str) -> None:
    for seed in SEEDS:
        wrong = mutations(grammar.story(seed), seed)[kind]
        assert not grammar.judge(wrong).complete, f"seed {seed}, {kind}: {wrong}"


@pytest.mark.parametrize(
    "role", ["hero", "friend", "colour", "toy", "wall", "size", "gift", "animal", "deed", "treat", "time"]
)
def test_rejects_a_broken_long_range_tie(role: str) -> None:
    """The last mention of a thing replaced by another of its kind: each sentence is right, the story is not."""
    broken = 0
    for seed in SEEDS:
        tale = grammar.story(seed)
        bound = _binding(tale, role)
        if bound is None:
            continue
        last = max(tale.rfind(form) for form in (bound["name"], bound.get("past", bound["name"])))
        form = bound["name"] if tale.startswith(bound["name"], last) else bound["past"]
        key = "name" if form == bound["name"] else "past"
        for entry in LEXICON[ROLES[role].lexicon]:
            if entry[key] == form:
                continue
            wrong = tale[:last] + entry[key] + tale[last + len(form) :]
            assert not grammar.judge(wrong).complete, f"seed {seed}: {wrong}"
            broken += 1
    assert broken > 50


def _binding(tale: str, role: str) -> dict[str, str] | None:
    """What ``role`` is in ``tale``, found by its words; None where the story has none or says it once only."""
    frames = {
        "hero": ("named ", "."),
        "friend": (" met ", ". "),
        "gift": ("Here is a ", " for you"),
        "animal": (" saw a ", " in a"),
        "deed": ("If you ", " today"),
        "treat": ("we will ", " in the"),
    }
    if role in frames:
        before, after = frames[role]
        start = tale.find(before)
        if start < 0:
            return None
        said = tale[start + len(before) : tale.find(after, start + len(before))]
    elif role == "time":
        start = tale.find(" in the ", tale.find("we will "))
        said = tale[start + 8 : tale.find('."', start)]
    elif role in ("colour", "toy"):
        start = min(i for i in (tale.find(" had a "), tale.find(" loved h")) if i >= 0)
        said = tale[start:].split(".", maxsplit=1)[0].split(" ")[-2 if role == "colour" else -1]
    else:
        home = tale[tale.find("the ", max(tale.find("went home to"), tale.find("came back to"))) :].split(" ")
        said = home[1 if role == "size" else 2]
    entry = next((entry for entry in LEXICON[ROLES[role].lexicon] if entry["name"] == said), None)
    mentions = 0 if entry is None else tale.count(said) + (tale.count(entry["past"]) if "past" in entry else 0)
    return dict(entry) if entry is not None and mentions > 1 else None


def test_every_beginning_is_a_prefix_and_no_more() -> None:
    tale = grammar.story(1)
    for end in range(1, len(tale)):
        verdict = grammar.judge(tale[:end].rstrip())
        assert verdict.prefix, tale[:end]
        assert not verdict.complete


def test_says_where_it_goes_wrong() -> None:
    tale = grammar.story(5)
    wrong = tale[:100] + "#" + tale[100:]
    verdict = grammar.judge(wrong)
    assert verdict.matched == 100
    assert "<<HERE>>#" in verdict.explain(wrong)


@pytest.mark.parametrize("garbage", ["", "Once", "the the the the", "The end.", "once upon a time", "\n", "Zzz" * 1000])
def test_garbage_is_no_story(garbage: str) -> None:
    assert not grammar.judge(garbage).complete


def test_openings_leave_something_to_tell() -> None:
    for seed in SEEDS:
        for share in (0.1, 0.5, 0.8):
            verdict = grammar.judge(grammar.opening(seed, share))
            assert verdict.prefix
            assert not verdict.complete


def test_seeds_give_different_stories_and_the_same_again() -> None:
    tales = [grammar.story(seed) for seed in SEEDS]
    assert len(set(tales)) == len(tales)
    assert tales == [grammar.story(seed) for seed in SEEDS]


def test_marks_tell_ties_from_chance() -> None:
    """The last words of a story that name its toy are ties, the first are chance; no word is lost or added."""
    for seed in range(50):
        tale = grammar.marked(seed)
        assert " ".join(word.text for word in tale) == grammar.story(seed)
        toys = [word.mark for word in tale if word.text.strip('."?,!') in {entry["name"] for entry in LEXICON["toy"]}]
        assert toys[0] is grammar.Mark.OPEN
        assert set(toys[1:]) == {grammar.Mark.TIE}


def test_a_slot_that_no_lexicon_has_is_refused() -> None:
    with pytest.raises(ValueError, match="no form"):
        grammar.text("{toy:past}")
