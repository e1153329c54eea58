"""Whole runs of the real runner: what is measured, in which order, and what a failure leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from fake_bench import FakeBoard
from fake_run import Bench, bench

from flexkit.bench.board import PARTS, RunRequest, RunResult
from flexkit.bench.ratios import ratios
from flexkit.bench.runner import Measured
from flexkit.bench.suites import MODES, PRESSURES, find
from flexkit.errors import BoardLost, FlexError, TimedOut
from flexkit.report.schema import Attempt, Row

Spoil = Callable[[RunRequest, RunResult, int], RunResult]


def rows(measured: Measured, metric: str, **where: object) -> list[Row]:
    return [
        row
        for row in measured.rows
        if row.key.metric == metric and all(getattr(row.key, name) == value for name, value in where.items())
    ]


def attempts(measured: Measured, outcome: str) -> list[Attempt]:
    return [attempt for attempt in measured.attempts if attempt.outcome == outcome]


def spoiled(tmp_path: Path, spoil: Spoil, **options: object) -> Measured:
    return bench(tmp_path, FakeBoard(spoil=spoil), **options).measure()  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bench, Measured]:
    made = bench(tmp_path_factory.mktemp("quick"))
    return made, made.measure()


def test_everything_is_measured_and_valid(quick: tuple[Bench, Measured]) -> None:
    _, measured = quick
    assert all(row.result.valid for row in measured.rows)
    assert attempts(measured, "ok") == list(measured.attempts)
    assert len(rows(measured, "ttft", subject=None)) == 2 * 2 * 8 + 1  # eight variants, and one partly recalled
    assert all(len(row.result.values) == 2 for row in measured.rows)


def test_the_board_boots_once_for_each_flavour(quick: tuple[Bench, Measured]) -> None:
    made, _ = quick
    assert [line for line in made.board.log if line.startswith("boot")] == ["boot flex", "boot stock"]


def test_the_parts_of_every_round_sum_to_the_time_to_first_token(quick: tuple[Bench, Measured]) -> None:
    _, measured = quick
    by_key = {row.key: row for row in measured.rows}
    for row in rows(measured, "ttft", subject=None):
        parts = [by_key.get(replace(row.key, metric=f"ttft.{part}")) for part in PARTS]
        for number, value in enumerate(row.result.values):
            assert value is not None
            total = sum(part.result.values[number] or 0.0 for part in parts if part)
            assert total == pytest.approx(value, rel=1e-6)


def test_a_part_that_a_mode_does_not_have_is_no_row(quick: tuple[Bench, Measured]) -> None:
    _, measured = quick
    assert rows(measured, "ttft.donate", mode="flexserve")
    assert rows(measured, "ttft.donate", mode="normal") == []


def test_warm_is_warm_and_cold_is_cold(quick: tuple[Bench, Measured]) -> None:
    _, measured = quick
    for row in rows(measured, "ttft.read", mode="flexserve", cache="warm"):
        assert max(row.result.present) == 0
    for row in rows(measured, "ttft.read", mode="flexserve", cache="cold"):
        assert min(row.result.present) > 0


def test_rows_say_what_their_tokens_were_checked_against(quick: tuple[Bench, Measured]) -> None:
    _, measured = quick
    for row in rows(measured, "ttft"):
        assert row.key.reference is not None
        assert row.key.reference.startswith("host-scalar:")
    assert len({row.key.reference for row in rows(measured, "ttft", model=None)}) <= 1


def test_rounds_are_interleaved_and_seeded(tmp_path: Path) -> None:
    def order(seed: int) -> list[str]:
        made = bench(tmp_path, suite="ttft", rounds=3, seed=seed)
        made.measure()
        return [line for line in made.board.log if line.startswith("run")]

    assert order(1) == order(1)
    assert order(1) != order(2)
    measured = bench(tmp_path, suite="ttft", rounds=3).measure()
    by_round = [attempt.round for attempt in measured.attempts if attempt.stage == "measure"]
    flex = by_round[: by_round.index(0, by_round.index(2))]  # the stock block starts at round 0 again
    assert flex == sorted(flex)


def test_warm_up_is_apart(quick: tuple[Bench, Measured]) -> None:
    _, measured = quick
    stages = [attempt.stage for attempt in measured.attempts]
    assert stages.count("warm-up") >= 5
    assert all(attempt.round is None for attempt in measured.attempts if attempt.stage == "warm-up")


def test_the_ratios_are_paired_within_a_boot_only(quick: tuple[Bench, Measured]) -> None:
    _, measured = quick
    found = ratios(measured.rows)
    assert {ratio.numerator.mode for ratio in found if ratio.metric == "ttft"} == {
        "strawman", "strawman-opt", "flexserve", "normal", "normal-idle",
    }  # fmt: skip
    for ratio in found:
        assert ratio.paired == (ratio.denominator.mode != "stock")
        assert ratio.ci95 is None
        assert ratio.n == 2


def test_reclaim_has_its_share_throughput_and_next_answer(quick: tuple[Bench, Measured]) -> None:
    _, measured = quick
    assert {row.key.pressure for row in rows(measured, "reclaim.latency")} == {"anon", "idle"}
    assert all(row.key.size_bytes == 64 << 20 for row in rows(measured, "reclaim.throughput"))
    (partly,) = [row for row in rows(measured, "ttft") if isinstance(row.key.cache, float)]
    assert partly.key.cache == pytest.approx(1 - (64 << 20) / 106_000_000, abs=0.01)
    assert len(rows(measured, "reclaim.baseline")) == 1


def test_slowdown_divides_by_the_same_boot_and_round(quick: tuple[Bench, Measured]) -> None:
    _, measured = quick
    beside = rows(measured, "slowdown")
    assert len(beside) == len(MODES)
    assert all(1.4 < value < 1.75 for row in beside for value in row.result.present)
    assert {row.key.mode for row in rows(measured, "slowdown.alone")} == {"normal-idle", "stock"}
    assert all(0 < value <= 1 / 2.0 + 0.4 for row in rows(measured, "achieved_rate") for value in row.result.present)


def test_presence_is_a_ratio_within_a_block_of_boots(tmp_path: Path) -> None:
    made = bench(tmp_path, suite="presence", rounds=5)
    measured = made.measure()
    assert sorted(line for line in made.board.log if line.startswith("boot")) == ["boot flex"] * 5 + ["boot stock"] * 5
    alone = {(row.key.mode, row.key.subject): row.result.present for row in rows(measured, "presence.alone")}
    found = rows(measured, "presence")
    assert {row.key.mode for row in found} == {"normal-idle", "normal"}
    for row in found:
        own, stock = alone[row.key.mode, row.key.subject], alone["stock", row.key.subject]
        assert row.result.present == pytest.approx([above / below for above, below in zip(own, stock, strict=True)])
        assert row.result.valid
    assert rows(measured, "protect.on")[0].result.valid


def test_a_block_that_lacks_a_boot_has_no_presence(tmp_path: Path) -> None:
    measured = bench(tmp_path, FakeBoard(refuse_boot=("stock",)), "presence", rounds=1).measure()
    assert all(row.result.values == () and not row.result.valid for row in rows(measured, "presence"))
    assert all(row.result.valid for row in rows(measured, "presence.alone", mode="normal"))


def test_giving_up_page_cache_stands_beside_recall(tmp_path: Path) -> None:
    measured = bench(tmp_path, suite="reclaim", rounds=2).measure()
    found = {ratio.metric: ratio for ratio in ratios(measured.rows) if ratio.denominator.metric == "reclaim.drop"}
    assert set(found) == {"reclaim.cost", "reclaim.cost.alone"}
    assert found["reclaim.cost.alone"].median < found["reclaim.cost"].median
    assert found["reclaim.cost"].numerator.size_bytes == found["reclaim.cost"].denominator.size_bytes


def test_sums_are_divided_over_all_models_and_prompts_of_a_pressure(tmp_path: Path) -> None:
    measured = bench(tmp_path, suite="ttft", rounds=2, modes=["strawman", "strawman-opt", "flexserve"]).measure()
    found = [ratio for ratio in ratios(measured.rows) if ratio.metric == "ttft.other.sum"]
    assert {(ratio.numerator.mode, ratio.numerator.pressure) for ratio in found} == {
        (mode, pressure) for mode in ("strawman", "strawman-opt") for pressure in (None, *PRESSURES)
    }
    one = next(ratio for ratio in found if (ratio.numerator.mode, ratio.numerator.pressure) == ("strawman", "anon"))
    above = rows(measured, "ttft.other", mode="strawman", pressure="anon")
    below = rows(measured, "ttft.other", mode="flexserve", cache="warm", pressure="anon")
    assert len(above) == len(below) == 2, "two models, the shortest prompt"
    each = [
        sum(row.result.present[round_] for row in above) / sum(row.result.present[round_] for row in below)
        for round_ in range(2)
    ]
    assert one.median == pytest.approx(sum(each) / 2)


# Failures


def test_wrong_tokens_make_the_cell_invalid_and_the_value_missing(tmp_path: Path) -> None:
    def spoil(request: RunRequest, result: RunResult, number: int) -> RunResult:
        wrong = request.mode == "strawman" and number > 4
        return replace(result, tokens=(result.tokens[0] + 1, *result.tokens[1:])) if wrong else result

    measured = spoiled(tmp_path, spoil, suite="ttft", rounds=2)
    bad = [row for row in measured.rows if not row.result.valid]
    assert bad
    assert {row.key.mode for row in bad} == {"strawman"}
    assert all("the reference has" in (row.result.why or "") for row in bad)
    assert all(row.result.values == () for row in bad if row.key.metric == "ttft")
    assert {attempt.mode for attempt in attempts(measured, "wrong tokens")} == {"strawman"}
    assert all(ratio.numerator.mode != "strawman" for ratio in ratios(measured.rows))


def test_another_prompt_than_the_one_that_was_sent_is_wrong(tmp_path: Path) -> None:
    measured = spoiled(tmp_path, lambda _q, r, _n: replace(r, prompt_ids=r.prompt_ids[1:]), suite="ttft", rounds=1)
    assert not any(row.result.valid for row in measured.rows)
    assert "prompt token" in (attempts(measured, "wrong tokens")[0].why or "")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda r: replace(r, exposed={**r.exposed, "prefill": r.exposed["prefill"] * 2}), "parts of the time"),
        (lambda r: replace(r, first_token=r.submitted), "token times"),
        (lambda r: replace(r, finished=r.submitted), "out of order"),
        (lambda r: replace(r, busy={**r.busy, "tea": 3}), "unknown parts"),
        (lambda r: replace(r, token_ticks=r.token_ticks[:-1]), "token times"),
    ],
)
def test_times_that_cannot_be_are_refused(tmp_path: Path, change: Callable[[RunResult], RunResult], told: str) -> None:
    measured = spoiled(tmp_path, lambda _q, r, _n: change(r), suite="ttft", rounds=1, modes=["normal"])
    assert all(told in (row.result.why or "") for row in measured.rows)
    assert not any(row.result.valid for row in measured.rows)


def test_a_failed_try_is_not_repeated(tmp_path: Path) -> None:
    def spoil(request: RunRequest, result: RunResult, number: int) -> RunResult:
        if request.mode == "flexserve" and request.prompt.count(" ") > 100:
            raise FlexError("the payload refuses")
        return result

    measured = spoiled(tmp_path, spoil, suite="ttft", rounds=2, modes=["flexserve"])
    tried = [a for a in measured.attempts if a.stage == "measure" and a.prompt_tokens == 128 and a.cache == "cold"]
    assert [attempt.outcome for attempt in tried] == ["failed"] * 4  # two models, two rounds
    assert all(row.result.valid for row in measured.rows if row.key.prompt_tokens == 16)
    assert not any(row.result.valid for row in measured.rows if row.key.prompt_tokens == 128)


@pytest.mark.parametrize("error", [BoardLost("the emulator died"), TimedOut("no end after 120 s")])
def test_a_lost_board_is_booted_once_more_and_its_round_stays_missing(tmp_path: Path, error: FlexError) -> None:
    fell = []

    def spoil(request: RunRequest, result: RunResult, number: int) -> RunResult:
        if request.mode == "normal" and number > 6 and not fell:
            fell.append(request)
            raise error
        return result

    board = FakeBoard(spoil=spoil)
    measured = bench(tmp_path, board, "ttft", rounds=3, modes=["normal", "flexserve"]).measure()
    assert board.log.count("boot flex") == 2
    bad = [row for row in measured.rows if not row.result.valid and row.key.metric == "ttft"]
    assert len(bad) == 1
    assert bad[0].result.values.count(None) == 1
    assert error.message in (bad[0].result.why or "")


def test_a_board_lost_twice_is_given_up_and_everything_left_says_so(tmp_path: Path) -> None:
    def spoil(request: RunRequest, result: RunResult, number: int) -> RunResult:
        if request.mode == "strawman":
            raise BoardLost("silence")
        return result

    measured = spoiled(tmp_path, spoil, suite="ttft", rounds=2)
    left = attempts(measured, "not run")
    assert left
    assert {attempt.why for attempt in left} == {"the board was lost twice"}
    strawman = rows(measured, "ttft", mode="strawman", pressure=None)
    assert len(strawman) == 4
    assert all(row.result.values == () and not row.result.valid for row in strawman)
    assert all(row.result.valid for row in rows(measured, "ttft", mode="stock"))


def test_a_flavour_that_does_not_boot_has_rows_without_values(tmp_path: Path) -> None:
    measured = bench(tmp_path, FakeBoard(refuse_boot=("stock",))).measure()
    stock = [row for row in measured.rows if row.key.mode == "stock"]
    assert {row.key.metric for row in stock} >= {"ttft", "tpot", "e2e", "slowdown", "achieved_rate"}
    assert all(row.result.values == () for row in stock)
    assert all("silent after BL31" in (row.result.why or "") for row in stock)
    assert all(row.result.valid for row in measured.rows if row.key.mode != "stock")
    assert attempts(measured, "failed")[0].stage == "boot"


def test_a_deadline_ends_the_run_and_what_is_left_is_not_run(tmp_path: Path) -> None:
    measured = bench(tmp_path, suite="ttft", rounds=50, seconds=60).measure()
    left = attempts(measured, "not run")
    assert left
    assert all("no time left of 60 s" in (attempt.why or "") for attempt in left)
    assert any(row.result.present for row in measured.rows)
    assert not any(row.result.valid for row in measured.rows if row.key.mode == "stock")


def test_a_debug_build_makes_every_row_invalid(tmp_path: Path) -> None:
    measured = bench(tmp_path, FakeBoard(debug=True), "ttft", rounds=1).measure()
    assert {row.key.profile for row in measured.rows} == {"debug"}
    assert all(not row.result.valid and "debug" in (row.result.why or "") for row in measured.rows)


def test_memory_that_did_not_come_from_secure_pages_is_no_reclaim(tmp_path: Path) -> None:
    measured = bench(tmp_path, FakeBoard(recalled_share=0.3), "reclaim", rounds=2).measure()
    demands = rows(measured, "reclaim.latency", pressure="anon")
    assert len(demands) == 2
    for demand in demands:
        assert demand.result.values == ()
        assert "came out of secure memory" in (demand.result.why or "")


def test_a_wrong_answer_after_a_reclaim_spoils_it(tmp_path: Path) -> None:
    def spoil(request: RunRequest, result: RunResult, number: int) -> RunResult:
        return replace(result, tokens=result.tokens[::-1]) if number == 2 else result

    measured = spoiled(tmp_path, spoil, suite="reclaim", rounds=1)
    demands = rows(measured, "reclaim.latency", pressure="anon")
    assert [row.result.valid for row in demands].count(False) == 1
    assert attempts(measured, "wrong tokens")[0].subject == "next answer"


def test_a_program_that_fails_is_not_tried_again_in_the_round(tmp_path: Path) -> None:
    board = FakeBoard(refuse_program=True)
    measured = bench(tmp_path, board, "slowdown", rounds=2).measure()
    assert not any(row.result.valid for row in measured.rows)
    programs = len(find("slowdown").slowdown)
    assert sum(1 for line in board.log if line.startswith("execute")) == 4 * programs  # two rounds in two boots
    assert any("status 127: sysbench: not found" in (row.result.why or "") for row in measured.rows)


def test_a_wrong_answer_beside_a_program_spoils_its_row(tmp_path: Path) -> None:
    def spoil(request: RunRequest, result: RunResult, number: int) -> RunResult:
        return replace(result, tokens=()) if request.mode == "normal" else result

    measured = bench(tmp_path, FakeBoard(spoil=spoil), "slowdown", rounds=1).measure()
    assert {row.key.mode for row in measured.rows if not row.result.valid} == {"normal"}


def test_a_board_that_runs_another_build_is_not_measured(tmp_path: Path) -> None:
    made = bench(tmp_path, suite="ttft", rounds=1)
    made.runner.session.built = {"flex": {"monitor": "00" * 16, "kernel": "11" * 16}}
    measured = made.measure()
    assert all(row.result.values == () for row in measured.rows if row.key.mode != "stock")
    assert "the board runs monitor 5f5f5f5f5f5f, the build has 000000000000" in (
        attempts(measured, "failed")[0].why or ""
    )
    assert all(row.result.valid for row in measured.rows if row.key.mode == "stock")


def all_modes(measured: Measured) -> Iterable[str | None]:
    return {row.key.mode for row in measured.rows}


def test_only_what_is_asked_for_is_measured(tmp_path: Path) -> None:
    made = bench(tmp_path, suite="quick", modes=["normal"], rounds=1)
    assert set(all_modes(made.measure())) == {"normal", "normal-idle"}  # the program alone runs in the idle mode
    assert "boot stock" not in made.board.log
