"""The same tokens in every mode, after a partial recall, 200 prompts long."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from flexkit import engine, models
from flexkit.deadline import Deadline
from flexkit.drivers import Session
from flexkit.errors import FlexError
from flexkit.events import Bus
from flexkit.link.client import InferRequest, InferResult
from flexkit.models import atrest

Infer = Callable[..., InferResult]
PROMPTS = 200


def _ids(result: InferResult) -> tuple[int, ...]:
    return tuple(token.id for token in result.tokens)


@pytest.mark.parametrize("mode", ["flexserve", "strawman", "strawman-opt", "normal", "normal-idle"])
@pytest.mark.parametrize("threads", [1, 2])
def test_every_mode_gives_the_reference_tokens(
    board: Session, infer: Infer, demo: Path, story: str, mode: str, threads: int
) -> None:
    expected = engine.reference_tokens(demo, story, 24, ignore_eos=True)
    if mode == "normal-idle":
        board.client.forget(board.put_model(demo, Deadline(60, "model")), Deadline(60, "forget"))
    result = infer(24, mode=mode, threads=threads)
    assert result.prompt_ids == expected.prompt_ids
    assert _ids(result) == expected.tokens


@pytest.mark.parametrize("mode", ["flexserve", "strawman", "strawman-opt"])
def test_the_parts_of_ttft_sum_to_it(board: Session, infer: Infer, demo: Path, mode: str) -> None:
    limit = Deadline(60, "forget")
    board.client.forget(board.put_model(demo, limit), limit)
    for _ in range(2):
        result = infer(4, mode=mode)
        assert sum(result.exposed.values()) == result.first_token - result.submitted
        assert all(ticks >= 0 for ticks in result.exposed.values())


def test_a_cold_model_is_loaded_while_it_computes(board: Session) -> None:
    """Each page comes once; what loading took is more than what the prompt waited for it."""
    synthetic = models.synthetic("25M", "q8_0", 1, Bus())
    prompt = models.prompt_of(synthetic, 16, 3)
    expected = engine.reference_tokens(synthetic, prompt, 4, ignore_eos=True)
    limit = Deadline(300, "cold 25M")
    path = board.put_model(synthetic, limit)
    weights = -(-atrest.sealed_form(synthetic, limit).stat().st_size // 4096)
    loading = ("allocate", "read", "donate", "decrypt")
    for mode, pages in (("flexserve", weights), ("strawman-opt", -(-weights // 512) * 512)):
        board.client.forget(path, limit)
        request = InferRequest(path, prompt, 4, mode=mode, threads=2, ignore_eos=True, drop_page_cache=True)
        result = board.client.infer(request, limit)
        assert _ids(result) == expected.tokens, mode
        assert result.loaded_pages == pages, mode
        assert sum(result.exposed[part] for part in loading) < sum(result.busy[part] for part in loading), mode
    board.client.forget(path, limit)
    assert board.client.stats(limit).info["secure_now"] == 0


def test_right_tokens_after_partial_recall(board: Session, infer: Infer, demo: Path, story: str) -> None:
    """An idle session's memory goes first; of the weights only what was taken is read again."""
    expected = engine.reference_tokens(demo, story, 8, ignore_eos=True)
    infer()
    limit = Deadline(30, "recall")
    weights = atrest.sealed_form(demo, limit).stat().st_size // 4096
    session = board.client.stats(limit).info["secure_now"] - weights
    assert session > 0
    for pages in (1, 7, 64, weights // 2):
        taken = board.client.recall(session + pages, limit).pages
        assert taken == session + pages
        result = infer()
        assert _ids(result) == expected.tokens, f"after {pages} pages were recalled"
        assert 0 < result.loaded_pages <= pages


def test_weights_of_one_model_are_taken_back_alone(board: Session, infer: Infer, demo: Path) -> None:
    """What a benchmark calls a share of a model is a share of its weights: an idle session keeps its memory, which
    would go first if anybody's pages were asked for."""
    limit = Deadline(60, "recall")
    path = board.put_model(demo, limit)
    infer()
    weights = atrest.sealed_form(demo, limit).stat().st_size // 4096
    before = board.client.stats(limit).info["secure_now"]
    assert board.client.recall(weights // 2, limit, path).pages == weights // 2
    assert board.client.stats(limit).info["secure_now"] == before - weights // 2
    assert infer().loaded_pages == weights // 2
    assert board.client.recall(2 * weights, limit, path).pages == weights
    with pytest.raises(FlexError, match="No such file"):
        board.client.recall(1, limit, "/data/nothing-there")


def test_a_warm_prompt_moves_no_page_and_enters_for_its_tokens(board: Session, infer: Infer) -> None:
    """What a resident model costs is counted, not timed: a start, a return for each token, and nothing else."""
    tokens = 8
    limit = Deadline(30, "counters")
    infer(tokens, threads=1)
    before = board.client.stats(limit)
    result = infer(tokens, threads=1)
    after = board.client.stats(limit)
    for counter in ("donated", "recalled", "reloads"):
        assert after.driver[counter] == before.driver[counter], counter
    for counter in ("donated", "recalled", "tlbi", "smmu_invalidations"):
        assert after.monitor[counter] == before.monitor[counter], counter
    preempted = after.driver["preemptions"] - before.driver["preemptions"]
    assert result.switches == 1 + tokens + preempted
    assert after.monitor["switches"] - before.monitor["switches"] == result.switches


def test_memory_of_an_idle_session_comes_back_without_a_read(
    board: Session, infer: Infer, demo: Path, story: str
) -> None:
    """Recall has it like any weight; the next prompt gets blank pages for exactly what is gone."""
    expected = engine.reference_tokens(demo, story, 8, ignore_eos=True)
    limit = Deadline(30, "recall")
    infer()
    for pages in (1, 40):
        assert board.client.recall(pages, limit).pages == pages
        before = board.client.stats(limit)
        result = infer()
        assert _ids(result) == expected.tokens
        assert result.loaded_pages == 0
        assert board.client.stats(limit).driver["donated"] - before.driver["donated"] == pages


def test_a_larger_model_of_many_pages(board: Session, demo: Path) -> None:
    """25M parameters: thousands of scattered pages, two threads, tokens to the reference's."""
    synthetic = models.synthetic("25M", "q8_0", 1, Bus())
    prompt = models.prompt_of(synthetic, 16, 3)
    expected = engine.reference_tokens(synthetic, prompt, 4, ignore_eos=True)
    limit = Deadline(300, "25M")
    path = board.put_model(synthetic, limit)
    for _ in range(2):
        result = board.client.infer(InferRequest(path, prompt, 4, threads=2, ignore_eos=True), limit)
        assert _ids(result) == expected.tokens
    board.client.forget(path, limit)


def test_two_hundred_prompts_in_one_boot(board: Session, infer: Infer, demo: Path) -> None:
    """No wrong token, no leak of pages, threads on both cores, recall in between."""
    draw = random.Random(5)
    prompts = [models.prompt_of(demo, 12, seed) for seed in range(5)]
    expected = {prompt: engine.reference_tokens(demo, prompt, 6, ignore_eos=True).tokens for prompt in prompts}
    limit = Deadline(600, "200 prompts")
    infer(6, prompt=prompts[0])
    before = board.client.stats(limit)
    for number in range(PROMPTS):
        prompt = draw.choice(prompts)
        assert _ids(infer(6, prompt=prompt)) == expected[prompt], f"prompt {number}"
        if number % 20 == 19:
            board.client.recall(draw.randrange(1, 200), limit)
    infer(6, prompt=prompts[0])
    after = board.client.stats(limit)
    assert after.info["secure_now"] == before.info["secure_now"]
    assert after.driver["migrations"] > before.driver["migrations"]
    assert after.driver["preemptions"] > before.driver["preemptions"]
    assert after.monitor["panics"] == 0


def test_a_prompt_longer_than_the_context_is_refused(board: Session, infer: Infer, demo: Path) -> None:
    with pytest.raises(FlexError, match=r"context|long"):
        infer(4, prompt="the dog and the cat " * 400)
    assert len(infer(4).tokens) == 4
