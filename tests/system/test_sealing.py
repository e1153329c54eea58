"""Sealed models on the board: decrypted in the secure world, each tampering refused in words of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import hostile_seals
import pytest
from hostile_seals import Hostile, Seals

from flexkit import engine
from flexkit.deadline import Deadline
from flexkit.drivers import Session
from flexkit.errors import FlexError
from flexkit.link.client import InferRequest, InferResult
from flexkit.models import sealed

Infer = Callable[..., InferResult]
CASES = [next(case for case in hostile_seals.HOSTILE if case.why == why) for why in sealed.Why if why != sealed.Why.OLD]


@pytest.fixture(scope="module")
def seals(tmp_path_factory: pytest.TempPathFactory) -> Seals:
    return hostile_seals.make_seals(tmp_path_factory.mktemp("seals"))


@pytest.mark.parametrize("mode", ["flexserve", "strawman", "strawman-opt"])
def test_decryption_is_a_part_of_a_cold_start(board: Session, infer: Infer, demo: Path, mode: str) -> None:
    limit = Deadline(60, "forget")
    board.client.forget(board.put_model(demo, limit), limit)
    cold = infer(4, mode=mode)
    assert cold.busy["decrypt"] > cold.busy["allocate"] > 0
    if mode == "flexserve":
        assert infer(4).busy["decrypt"] == 0  # warm: nothing was read


@pytest.mark.parametrize("mode", ["flexserve", "strawman", "strawman-opt"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why.name)
def test_a_file_that_was_touched_is_refused(
    board: Session, seals: Seals, story: str, case: Hostile, mode: str, tmp_path: Path
) -> None:
    limit = Deadline(120, "hostile model")
    (tmp_path / "hostile").write_bytes(case.make(seals) or b"\0")
    board.put_file(tmp_path / "hostile", "/data/hostile.sealed", limit)
    with pytest.raises(FlexError, match=sealed.text(f"E_{case.why.name}_TEXT")):
        board.client.infer(InferRequest("/data/hostile.sealed", story, 4, mode=mode, ignore_eos=True), limit)


def test_a_file_that_was_mended_is_taken_again(
    board: Session, seals: Seals, demo: Path, story: str, tmp_path: Path
) -> None:
    """A refusal is of those bytes: the same file, right again, answers right."""
    limit = Deadline(120, "mended model")
    expected = engine.reference_tokens(demo, story, 4, ignore_eos=True)
    (tmp_path / "mended").write_bytes(seals.good)
    board.put_file(tmp_path / "mended", "/data/hostile.sealed", limit)
    request = InferRequest("/data/hostile.sealed", story, 4, ignore_eos=True)
    assert tuple(token.id for token in board.client.infer(request, limit).tokens) == expected.tokens
    board.client.forget("/data/hostile.sealed", limit)
    assert board.client.stats(limit).monitor["panics"] == 0


def test_a_cached_model_that_is_refused_is_loaded_anew(
    board: Session, seals: Seals, demo: Path, story: str, tmp_path: Path
) -> None:
    """Changed while it was cached, behind a prompt's back: refused in mid-prompt, and right again once the file is."""
    limit = Deadline(120, "cached model")
    expected = engine.reference_tokens(demo, story, 4, ignore_eos=True)
    last = hostile_seals.chunk(seals.facts, seals.facts.chunks - 1)
    number = last.start // sealed.CHUNK
    (tmp_path / "good").write_bytes(seals.good)
    board.put_file(tmp_path / "good", "/data/cached.sealed", limit)
    kept = "touch -r /data/cached.good /data/cached.sealed"  # BusyBox sets whole seconds, so it does so from the start
    board.client.check(f"cp -p /data/cached.sealed /data/cached.good && {kept}", limit)
    request = InferRequest("/data/cached.sealed", story, 4, ignore_eos=True)
    assert tuple(token.id for token in board.client.infer(request, limit).tokens) == expected.tokens

    write = f"of=/data/cached.sealed bs={sealed.CHUNK} count=1 conv=notrunc,fsync && {kept}"
    board.client.check(f"dd if=/dev/zero seek={number} {write}", limit)
    board.client.recall(board.client.stats(limit).info["secure_now"], limit)
    with pytest.raises(FlexError, match=sealed.text("E_TAMPERED_TEXT")):
        board.client.infer(request, limit)
    board.client.check(f"dd if=/data/cached.good skip={number} seek={number} {write}", limit)
    assert tuple(token.id for token in board.client.infer(request, limit).tokens) == expected.tokens
    board.client.forget("/data/cached.sealed", limit)
    board.client.check("rm /data/cached.sealed /data/cached.good", limit)
