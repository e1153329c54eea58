"""What `flexkit infer --json` says of one prompt, and of a conversation."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from flexkit.cli.infer import describe
from flexkit.drivers import Session
from flexkit.link.client import InferRequest, InferResult, Token

SESSION = cast(
    Session,
    SimpleNamespace(
        identity=SimpleNamespace(counter_hz=1_000_000),
        via="serial",
        instance=SimpleNamespace(name="a-board"),
        deployment=SimpleNamespace(identity="ab" * 16),
    ),
)
REQUEST = InferRequest("/data/models/x", "once", 2)


def _turn(first: int, kept: int) -> InferResult:
    tokens = (Token(0, first, b"a", 3000), Token(1, first + 1, b"b", 5000))
    return InferResult((1, first - 1), tokens, "length", 1000, 3000, 5000, {}, {}, 3, 0, 2000, 2000, kept, 0, 4)


def test_one_prompt_is_described_as_it_is() -> None:
    found = describe(SESSION, REQUEST, [_turn(10, 0)])
    assert (found["tokens"], found["prompt_ids"], found["text"]) == ([10, 11], [1, 9], "ab")
    assert (found["ttft_ms"], found["tpot_ms"]) == (2.0, 2.0)
    assert "turns" not in found


def test_a_conversation_is_its_last_turn_and_all_of_them() -> None:
    found = describe(SESSION, REQUEST, [_turn(10, 0), _turn(20, 3)])
    turns = cast(list[dict[str, object]], found["turns"])
    assert found["tokens"] == [20, 21]
    assert [turn["tokens"] for turn in turns] == [[10, 11], [20, 21]]
    assert turns[1]["positions"] == {"kept": 3, "opened": 0, "recomputed": 4}
