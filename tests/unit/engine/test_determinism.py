"""The same bits whatever the number of threads, the batch, the kernel and the processor."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from flexkit import engine

from .models import Q, Shape

SHAPE = Shape(kind=Q.Q8_0, dim=96, ff=160, heads=6, kv_heads=2, layers=3)
IDS = [1, *((i * 37) % 290 + 3 for i in range(90))]
PROMPT = "the same bits on every machine, over more than one batch of sixty-four tokens: " * 2


def bits(logits: Iterable[float]) -> bytes:
    return b"".join(struct.pack("<f", value) for value in logits)


def logits(path: Path, *, batch: int, threads: int, pieces: list[int]) -> bytes:
    with engine.Model(path) as model, model.session(len(IDS), batch=batch, threads=threads) as session:
        at = 0
        for piece in pieces:
            session.forward(IDS[at : at + piece])
            at += piece
        assert at == len(IDS)
        return bits(session.logits())


@pytest.mark.parametrize("kind", [Q.F32, Q.F16, Q.Q8_0], ids=lambda kind: kind.name)
def test_threads_batches_and_calls(make_model: Callable[[Shape], Path], kind: Q) -> None:
    path = make_model(Shape(**{**vars(SHAPE), "kind": kind}))
    plain = logits(path, batch=1, threads=1, pieces=[1] * len(IDS))
    for batch, threads in ((64, 1), (64, 2), (7, 3), (33, 5), (4, 1), (5, 2)):
        assert logits(path, batch=batch, threads=threads, pieces=[len(IDS)]) == plain, (batch, threads)
    assert logits(path, batch=64, threads=2, pieces=[3, 70, len(IDS) - 73]) == plain


def run(program: list[str], path: Path, *, caps: int, threads: int) -> dict[str, Any]:
    command = [*program, "-m", str(path), "-p", PROMPT, "-n", "6", "-t", str(threads), "--caps", str(caps)]
    command += ["--ignore-eos", "--digest", "--json"]
    result = subprocess.run(command, capture_output=True, check=True, text=True, timeout=300)
    parsed: dict[str, Any] = json.loads(result.stdout)
    return parsed


@pytest.mark.parametrize("kind", [Q.F32, Q.F16, Q.Q8_0], ids=lambda kind: kind.name)
def test_every_kernel_and_processor(
    make_model: Callable[[Shape], Path], host_run: Path, arm64_run: Path, kind: Q
) -> None:
    """x86 and arm64, portable, mla and sdot: tokens and all logits."""
    path = make_model(Shape(**{**vars(SHAPE), "kind": kind}))
    wanted = run([str(host_run)], path, caps=0, threads=2)
    assert len(wanted["prompt_ids"]) > 64
    for caps in (0, 1, 3):
        got = run(["qemu-aarch64", "-cpu", "max", str(arm64_run)], path, caps=caps, threads=2)
        assert (got["prompt_ids"], got["tokens"], got["digest"]) == (
            wanted["prompt_ids"],
            wanted["tokens"],
            wanted["digest"],
        ), caps
    reference = engine.reference_tokens(path, PROMPT, 6)
    assert list(reference.tokens) == wanted["tokens"]
    assert list(reference.prompt_ids) == wanted["prompt_ids"]
