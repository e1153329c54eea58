"""A grammar of short children's stories, read in two directions: it writes stories, and it recognises them.

A story is a tree of templates (``Text``), choices (``Pick``) and sequences. Templates hold slots such as ``{hero}``
or ``{hero:he}``: the first slot of a name binds it to an entry of its lexicon, all later ones must say the same.
Whatever ties a story together over a long distance is such a binding: the toy that is lost is the toy that is found,
by the same friend; the promise given in the morning is the one kept in the evening; what the animal gave is what is
shown at home. So "coherent" needs no second definition: a text is coherent when some derivation of the grammar yields
it, letter for letter.

The same tree serves both directions, so they cannot disagree. The recogniser backtracks over choices and over entries;
it works on characters, so that a spacing or punctuation error is an error.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import NamedTuple

from flexkit.models.lexicon import LEXICON, ROLES, Entry

Bindings = dict[str, Entry]


@dataclass(frozen=True)
class Slot:
    """``{name:form}``: the form of whatever ``name`` is bound to."""

    name: str
    form: str


@dataclass(frozen=True)
class Text:
    """A template, split into literal pieces and slots."""

    parts: tuple[str | Slot, ...]


@dataclass(frozen=True)
class Sequence_:
    """Nodes one after the other, with a space between those that yield text."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class Pick:
    """One of the nodes. The first is the likeliest: weight 1/(i+1), so that a model has a clear favourite."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class When:
    """The node if ``name`` is bound by now (or, with ``absent``, if it is not), else nothing."""

    name: str
    node: Node
    absent: bool = False


Node = Text | Sequence_ | Pick | When


@dataclass(frozen=True)
class Verdict:
    """What the recogniser says of a text.

    ``complete``: a whole coherent story. ``prefix``: nothing wrong so far (a complete story is its own prefix).
    ``matched``: characters up to which some derivation agrees; the text's length when ``prefix`` holds.
    """

    complete: bool
    prefix: bool
    matched: int

    def explain(self, text: str) -> str:
        """One line for a test's message: where the text stops making sense."""
        if self.prefix:
            return "coherent" if self.complete else "coherent so far, without an end"
        before, after = text[max(0, self.matched - 60) : self.matched], text[self.matched :][:40]
        return f"incoherent at character {self.matched}: ...{before}<<HERE>>{after}"


def text(template: str) -> Text:
    """Split ``template`` at its ``{slots}``. Raises ValueError for a slot whose role or form no lexicon has."""
    parts: list[str | Slot] = []
    for index, piece in enumerate(template.replace("}", "{").split("{")):
        if index % 2 == 0:
            if piece:
                parts.append(piece)
            continue
        name, _, form = piece.partition(":")
        slot = Slot(name, form or "name")
        if any(slot.form not in entry for entry in LEXICON[ROLES[name].lexicon]):
            raise ValueError(f"no form {slot.form!r} in the lexicon of {name!r}")
        parts.append(slot)
    return Text(tuple(parts))


def seq(*nodes: str | Node) -> Sequence_:
    return Sequence_(tuple(text(node) if isinstance(node, str) else node for node in nodes))


def pick(*nodes: str | Node) -> Pick:
    return Pick(tuple(text(node) if isinstance(node, str) else node for node in nodes))


def maybe(*nodes: str | Node) -> Pick:
    """The nodes (two times in three), or nothing."""
    return pick(seq(*nodes), seq())


def candidates(name: str, bound: Bindings) -> Sequence[Entry]:
    """What ``name`` can stand for: its binding, or every entry of its lexicon that no rival of its role holds."""
    if name in bound:
        return (bound[name],)
    role = ROLES[name]
    taken = [bound[rival] for rival in role.differs if rival in bound]
    return [entry for entry in LEXICON[role.lexicon] if entry not in taken]


# --- writing -------------------------------------------------------------------------------------------------------


def _weighted(rng: random.Random, count: int) -> int:
    """An index below ``count``, with weight 1/(i+1)."""
    weights = [1 / (index + 1) for index in range(count)]
    point = rng.random() * sum(weights)
    for index, weight in enumerate(weights):
        point -= weight
        if point < 0:
            return index
    return count - 1


Draw = Callable[[str, random.Random, Bindings], Entry]


def by_favour(name: str, rng: random.Random, bound: Bindings) -> Entry:
    """An entry for an open slot. Each hero has favourites, so that a greedy model tells different heroes different
    stories and yet is never torn between equals; the hero is drawn evenly."""
    entries = candidates(name, bound)
    if "hero" not in bound:
        return rng.choice(entries)
    favourite = LEXICON["child"].index(bound["hero"])
    return entries[(favourite + _weighted(rng, len(entries))) % len(entries)]


def evenly(name: str, rng: random.Random, bound: Bindings) -> Entry:
    """An entry for an open slot, all alike. A model that reads such stories cannot guess: it learns to look back."""
    return rng.choice(candidates(name, bound))


class Mark(IntEnum):
    """What decides a word of a story. A word of several is the last of them that applies."""

    PLAIN = 0  # the template
    OPEN = 1  # chance: a slot is bound here, or one of several ways to go on begins
    TIE = 2  # what the story said before: a slot that was bound already


class Word(NamedTuple):
    """A word of a story, and for a tie the slot that it repeats."""

    text: str
    mark: Mark
    slot: str = ""


def _line(parts: tuple[str | Slot, ...], rng: random.Random, bound: Bindings, draw: Draw) -> list[Word]:
    """The words of one template."""
    words = [Word("", Mark.PLAIN)]
    for part in parts:
        if isinstance(part, str):
            first, *others = part.split(" ")
            words[-1] = words[-1]._replace(text=words[-1].text + first)
            words += [Word(word, Mark.PLAIN) for word in others]
            continue
        mark, slot = (Mark.TIE, part.name) if part.name in bound else (Mark.OPEN, "")
        if mark is Mark.OPEN:
            bound[part.name] = draw(part.name, rng, bound)
        first, *others = bound[part.name][part.form].split(" ")
        words[-1] = Word(words[-1].text + first, max(mark, words[-1].mark), slot or words[-1].slot)
        words += [Word(word, mark, slot) for word in others]
    return words


def _write(node: Node, rng: random.Random, bound: Bindings, out: list[Word], draw: Draw) -> None:
    match node:
        case Text(parts):
            out += _line(parts, rng, bound, draw)
        case Sequence_(nodes):
            for child in nodes:
                _write(child, rng, bound, out, draw)
        case Pick(nodes):
            first = len(out)
            _write(nodes[_weighted(rng, len(nodes))], rng, bound, out, draw)
            out[first : first + 1] = [Word(word.text, Mark.OPEN) for word in out[first : first + 1]]
        case When(name, child, absent):
            if (name in bound) != absent:
                _write(child, rng, bound, out, draw)


def story(seed: int, draw: Draw = by_favour) -> str:
    """The story of this seed: one line, from "Once upon a time" to "The end."."""
    return " ".join(word.text for word in marked(seed, draw))


def marked(seed: int, draw: Draw = by_favour) -> list[Word]:
    """The words of the story of this seed, with what decided each: training leans on the ties."""
    out: list[Word] = []
    _write(STORY, random.Random(seed), {}, out, draw)
    return out


def opening(seed: int, share: float = 0.5) -> str:
    """A prompt: the story of this seed up to the end of the word in which ``share`` of its characters is reached."""
    whole = story(seed)
    end = whole.find(" ", int(len(whole) * share))
    return whole if end < 0 else whole[:end]


# --- recognising ---------------------------------------------------------------------------------------------------


class _Recogniser:
    """Backtracking over the tree in continuation-passing style; remembers how far any derivation came."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.furthest = 0
        self.ran_out = False

    def literal(self, piece: str, at: int) -> int:
        """The position after ``piece``, or -1; notes where they part, and whether the text simply ended."""
        if self.subject.startswith(piece, at):
            self.furthest = max(self.furthest, at + len(piece))
            return at + len(piece)
        same = 0
        while same < len(piece) and at + same < len(self.subject) and piece[same] == self.subject[at + same]:
            same += 1
        self.furthest = max(self.furthest, at + same)
        self.ran_out = self.ran_out or at + same == len(self.subject)
        return -1

    def parts(
        self, parts: tuple[str | Slot, ...], at: int, bound: Bindings, then: Callable[[int, Bindings], bool]
    ) -> bool:
        if not parts:
            return then(at, bound)
        head, rest = parts[0], parts[1:]
        if isinstance(head, str):
            after = self.literal(head, at)
            return after >= 0 and self.parts(rest, after, bound, then)
        for entry in candidates(head.name, bound):
            after = self.literal(entry[head.form], at)
            if after >= 0 and self.parts(rest, after, {**bound, head.name: entry}, then):
                return True
        return False

    def nodes(self, nodes: tuple[Node, ...], at: int, bound: Bindings, then: Callable[[int, Bindings], bool]) -> bool:
        if not nodes:
            return then(at, bound)
        return self.node(nodes[0], at, bound, lambda after, now: self.nodes(nodes[1:], after, now, then))

    def node(self, node: Node, at: int, bound: Bindings, then: Callable[[int, Bindings], bool]) -> bool:
        match node:
            case Text(parts):
                start = at if at == 0 else self.literal(" ", at)
                return start >= 0 and self.parts(parts, start, bound, then)
            case Sequence_(nodes):
                return self.nodes(nodes, at, bound, then)
            case Pick(nodes):
                return any(self.node(child, at, bound, then) for child in nodes)
            case When(name, child, absent):
                return self.node(child, at, bound, then) if (name in bound) != absent else then(at, bound)


def judge(subject: str) -> Verdict:
    """Whether ``subject`` is a coherent story, the beginning of one, or garbage. Surrounding blanks do not count."""
    recogniser = _Recogniser(subject.strip())
    length = len(recogniser.subject)
    complete = recogniser.node(STORY, 0, {}, lambda after, _: after == length)
    prefix = complete or recogniser.ran_out
    return Verdict(complete, prefix, length if prefix else recogniser.furthest)


def corpus(first: int, count: int, draw: Draw = by_favour) -> Iterator[str]:
    """The stories of ``count`` seeds from ``first`` on."""
    for seed in range(first, first + count):
        yield story(seed, draw)


@cache
def words() -> tuple[str, ...]:
    """Every word that a story can hold, sorted; for tests that plant a wrong one."""
    seen: set[str] = set()
    for tale in corpus(0, 400):
        seen.update(tale.split())
    return tuple(sorted(seen))


# --- the stories ---------------------------------------------------------------------------------------------------

_PROMISE = seq(
    'One day {hero:his} {elder} said, "If you {deed} today, we will {treat} in the {time}."',
    pick('{hero} said, "I promise."', '"I will {deed}," said {hero}.'),
    pick('"In the {time}," said {hero:his} {elder}.', '"Then wait for the {time}," said {hero:his} {elder}.'),
    pick("{hero} left the {size} {wall} house.", "Then {hero:he} left the {size} {wall} house."),
)

_KEPT = seq(
    pick('{hero:His} {elder} asked, "Did you {deed}?"', '"What about your promise?" asked {hero:his} {elder}.'),
    "So {hero} {deed:past}.",
    pick("In the {time} they {treat:past}.", "In the {time} {hero:his} {elder} {treat:past} with {hero:him}."),
)

_FOUND = seq(
    "There was the {colour} {toy}!",
    pick('"Thank you, {friend}," said {hero}.', "{hero} hugged {friend} and took the {colour} {toy}."),
)

_LOST = seq(
    pick(
        "{hero} took the {colour} {toy} to the {place}.",
        "Then {hero} went to the {place} with the {colour} {toy}.",
    ),
    "There {hero:he} met {friend}.",
    maybe("They played with the {toy} for a long time.", maybe("It was fun.")),
    "But then the {colour} {toy} was gone.",
    pick('"Where is my {toy}?" said {hero}.', "{hero} was sad and began to cry."),
    pick('"I will help you," said {friend}.', '{friend} said, "We will find it."'),
    "They looked {spot1}.",
    pick(
        seq("It was not there.", "They looked {spot2}.", _FOUND),
        _FOUND,
        seq("It was not there.", "They looked {spot2}.", "It was not there.", "They looked {spot3}.", _FOUND),
    ),
)

_RESCUE = seq(
    pick("On the way {hero} saw a {animal} in a {trap}.", "Near the {trap} {hero} found a {animal}."),
    "The {animal} was {mood}.",
    pick('"Please help me," said the {animal}.', 'The {animal} said, "I am so {mood}."'),
    pick("{hero} took the {animal} out of the {trap}.", "{hero} helped the {animal}."),
    'The {animal} said, "Thank you, {hero}. Here is a {gift} for you."',
    "{hero} put the {gift} in {hero:his} bag.",
)

_LENT = seq(
    pick("At the {away} {hero} met {other}.", "Then {other} came along."),
    '"May I have your {colour} {toy}?" asked {other}.',
    pick('"I will bring it back in the {time}."', '"You can have it back in the {time}."'),
    "{hero} gave the {colour} {toy} to {other}.",
)

_RETURNED = seq(
    pick("Then there was a knock at the door.", "Then somebody called {hero}."),
    'It was {other} with the {colour} {toy}. "Here is your {toy}, {hero}," said {other}.',
)

_SHOWN = seq(
    "{hero:He} showed the {gift} to {hero:his} {elder}.",
    pick('"The {animal} gave it to me," said {hero}.', '"It is from a {animal} in a {trap}," said {hero}.'),
)

_TOLD = text("{hero} told {hero:his} {elder} about {friend} and the {place}.")

STORY: Node = seq(
    "Once upon a time there was a {hero:kind} named {hero}.",
    pick("{hero:He} lived in a {size} {wall} house.", "{hero:His} house was {size} and {wall}."),
    pick("{hero} had a {colour} {toy}.", "{hero:He} loved {hero:his} {colour} {toy}."),
    _PROMISE,
    pick(seq(_LOST, _RESCUE), seq(_RESCUE, _LOST), seq(_RESCUE, _LENT), seq(_LOST, _LENT), _LOST, seq(_LENT, _RESCUE)),
    pick("Then {hero} went home to the {size} {wall} house.", "{hero} came back to the {size} {wall} house."),
    When("gift", _SHOWN),
    _KEPT,
    When("other", _RETURNED),
    When("friend", pick("{hero} told {hero:his} {elder} about {friend}.", seq(), _TOLD)),
    pick("Everyone was happy.", "{hero} was happy and fell asleep with the {colour} {toy}."),
    "The end.",
)
