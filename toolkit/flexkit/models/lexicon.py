"""The words of the story grammar: what each slot can stand for, and the forms that each entry has.

Forms: ``name`` everywhere; persons also ``he``, ``He``, ``him``, ``his``, ``His``, ``kind``; things to do also
``past``. Every noun takes "a", so that templates need no article rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Entry = Mapping[str, str]

_SHE = {"he": "she", "He": "She", "him": "her", "his": "her", "His": "Her"}
_HE = {"he": "he", "He": "He", "him": "him", "his": "his", "His": "His"}


def _plain(words: str) -> tuple[Entry, ...]:
    return tuple({"name": word.strip()} for word in words.split(","))


def _people(words: str, pronouns: Mapping[str, str], kind: str) -> tuple[Entry, ...]:
    return tuple({"name": word, "kind": kind, **pronouns} for word in words.split())


def _deeds(*pairs: tuple[str, str]) -> tuple[Entry, ...]:
    return tuple({"name": now, "past": past} for now, past in pairs)


LEXICON: Mapping[str, tuple[Entry, ...]] = {
    "child": _people("Lily Mia Anna Rosa Nora Ella", _SHE, "girl") + _people("Tom Ben Max Leo Sam Finn", _HE, "boy"),
    "elder": _people("mother grandmother aunt", _SHE, "woman") + _people("father grandfather uncle", _HE, "man"),
    "size": _plain("small, big, tall, new"),
    "colour": _plain("red, blue, green, yellow, white, brown"),
    "toy": _plain("ball, kite, doll, boat, drum, hat, bell, truck"),
    "place": _plain("park, garden, beach, forest, market, farm"),
    "spot": _plain(
        "under the bench, behind the tree, in the grass, near the pond, on the wall, in the bush, under the bridge"
    ),
    "animal": _plain("bird, rabbit, mouse, duck, fox, turtle"),
    "mood": _plain("sad, tired, cold, hungry, afraid"),
    "trap": _plain("net, hole, box, fence"),
    "gift": _plain("shell, feather, stone, flower, button, coin"),
    "deed": _deeds(
        ("clean the room", "cleaned the room"),
        ("feed the cat", "fed the cat"),
        ("water the plants", "watered the plants"),
        ("wash the cups", "washed the cups"),
        ("sweep the floor", "swept the floor"),
    ),
    "treat": _deeds(
        ("bake a cake", "baked a cake"),
        ("read a book", "read a book"),
        ("sing a song", "sang a song"),
        ("make some soup", "made some soup"),
        ("watch the stars", "watched the stars"),
    ),
    "time": _plain("evening, morning, afternoon"),
}


@dataclass(frozen=True)
class Role:
    """Which lexicon a slot draws from, and the slots that must hold something else."""

    lexicon: str
    differs: tuple[str, ...] = ()


ROLES: Mapping[str, Role] = {
    "hero": Role("child", ("friend", "other")),
    "friend": Role("child", ("hero", "other")),
    "other": Role("child", ("hero", "friend")),
    "elder": Role("elder"),
    "size": Role("size"),
    "wall": Role("colour"),
    "colour": Role("colour"),
    "toy": Role("toy"),
    "place": Role("place", ("away",)),
    "away": Role("place", ("place",)),
    "spot1": Role("spot", ("spot2", "spot3")),
    "spot2": Role("spot", ("spot1", "spot3")),
    "spot3": Role("spot", ("spot1", "spot2")),
    "animal": Role("animal"),
    "mood": Role("mood"),
    "trap": Role("trap"),
    "gift": Role("gift"),
    "deed": Role("deed"),
    "treat": Role("treat"),
    "time": Role("time"),
}
