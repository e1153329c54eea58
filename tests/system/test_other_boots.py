"""What needs a boot of its own: the other flavour, the other link."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flexkit import engine
from flexkit.deadline import Deadline
from flexkit.link.client import InferRequest, InferResult


def _ids(result: InferResult) -> tuple[int, ...]:
    return tuple(token.id for token in result.tokens)


def test_stock_gives_the_reference_tokens(open_session: Callable[..., object], demo: Path, story: str) -> None:
    expected = engine.reference_tokens(demo, story, 24, ignore_eos=True)
    limit = Deadline(240, "stock")
    with open_session(flavour="stock") as session:  # type: ignore[attr-defined]
        path = session.put_model(demo, limit)
        result = session.client.infer(InferRequest(path, story, 24, mode="stock", ignore_eos=True), limit)
        assert session.client.check("cat /sys/devices/system/cpu/online", limit).strip() == "0-1"
    assert _ids(result) == expected.tokens


def test_over_ssh(open_session: Callable[..., object], demo: Path, story: str) -> None:
    expected = engine.reference_tokens(demo, story, 8, ignore_eos=True)
    limit = Deadline(240, "SSH")
    with open_session(via="ssh") as session:  # type: ignore[attr-defined]
        assert session.ssh is not None
        path = session.put_model(demo, limit)
        result = session.client.infer(InferRequest(path, story, 8, threads=2, ignore_eos=True), limit)
    assert _ids(result) == expected.tokens
