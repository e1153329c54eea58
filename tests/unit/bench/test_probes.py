"""Steps that the driver times: what their rows say, and that nothing is measured under the wrong pressure."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_bench import FakeBoard
from fake_run import bench

from flexkit.bench.board import Spent
from flexkit.bench.probes import ALLOC, MIB, SWITCH, Figure, Probe, fits
from flexkit.bench.suites import find
from flexkit.bench.virtual import virtual
from flexkit.boards.schema import PAGE
from flexkit.errors import BadInput


def test_a_figure_is_per_step_per_batch_or_of_all() -> None:
    probe = Probe("pages", 1024, (), batch=512)
    spent = Spent(0, secure=2_048_000)
    per_step = probe.value(Figure("switch.donate", "ns", "secure", "step"), spent, 1_000_000_000)
    per_batch = probe.value(Figure("switch.donate.batch", "ns", "secure", "batch"), spent, 1_000_000_000)
    all_of_it = probe.value(Figure("alloc.latency", "ms", "secure", "all"), spent, 1_000_000_000)
    assert (per_step, per_batch, all_of_it) == (2000.0, 1_024_000.0, pytest.approx(2.048))


def test_what_others_cost_can_be_set_apart() -> None:
    spent = Spent(0, recall=2_000, scrub=1_500)
    figure = Figure("switch.recall.own", "ns", "recall", "step", apart="scrub")
    assert Probe("pages", 5, ()).value(figure, spent, 1_000_000_000) == 100.0


@pytest.mark.parametrize("suite", ["switch", "alloc"])
def test_a_suite_of_probes_is_measured_and_valid(tmp_path: Path, suite: str) -> None:
    made = bench(tmp_path, suite=suite, rounds=2)
    measured = made.measure()
    assert measured.rows
    assert all(row.result.valid and len(row.result.present) == 2 for row in measured.rows)
    assert [line for line in made.board.log if line.startswith("boot")] == ["boot flex"]


def test_what_a_failed_probe_and_the_counters_share_has_all_their_rows(tmp_path: Path) -> None:
    measured = bench(tmp_path, FakeBoard(refuse_steps=True), suite="switch", rounds=1).measure()
    by_metric = {row.key.metric: row.result for row in measured.rows}
    assert by_metric["switch.smc"].values == ()
    assert by_metric["protect.on"].values == (1.0,)


def test_memory_is_let_go_when_a_probe_fails(tmp_path: Path) -> None:
    board = FakeBoard(refuse_steps=True)
    measured = bench(tmp_path, board, suite="alloc", rounds=1).measure()
    assert board.held == 0
    assert all(not row.result.valid and row.result.values == () for row in measured.rows)


def test_allocators_are_compared_at_the_same_sizes_and_pressures() -> None:
    asked = {(figure.subject, probe.size_bytes, probe.pressure) for probe in ALLOC for figure in probe.figures}
    for size in (16, 64, 192):
        for pressure in ("idle", "pagecache", "anon", "fragmented"):
            for subject in ("cma", "static", "flexmem"):
                assert (subject, size * MIB, pressure) in asked


def sizes(kind: str, pressure: str, *memory: int) -> list[int]:
    found = [probe for probe in ALLOC if (probe.kind, probe.pressure) == (kind, pressure) and fits(probe, *memory)]
    return [(probe.size_bytes or 0) // MIB for probe in found]


def test_a_board_is_not_asked_for_memory_that_it_does_not_have() -> None:
    small, large = (2048 * MIB, 256 * MIB), (4096 * MIB, 1152 * MIB)
    assert sizes("region", "idle", *small) == [16, 64, 192]
    assert sizes("region", "anon", *large)[-1] == 1024
    assert sizes("pages", "fragmented", *small)[-1] == 512, "of fragmented memory only half is free"
    assert sizes("pages", "fragmented", *large)[-1] == 1024
    assert all(fits(probe, *small) for probe in SWITCH)


def test_donation_is_measured_in_batches_of_512() -> None:
    sizes = {probe.size_bytes for probe in SWITCH if probe.kind == "pages"}
    assert 512 * PAGE in sizes


def test_only_what_exists_under_the_virtual_clock_is_measured_there() -> None:
    assert virtual(find("switch")).probes == SWITCH
    assert {probe.pressure for probe in virtual(find("alloc")).probes} == {"idle"}
    ttft = virtual(find("ttft")).generation
    assert ttft is not None
    assert {group[0].mode for group in ttft.groups} == {"normal-idle", "normal", "flexserve"}
    beside = virtual(find("slowdown")).slowdown
    assert {spec.program.subject for spec in find("slowdown").slowdown} - {spec.program.subject for spec in beside} == {
        "storage (dd)"
    }
    assert {variant.mode for spec in beside for variant in spec.variants} == {"normal-idle", "normal", "flexserve"}
    with pytest.raises(BadInput, match="virtual clock"):
        virtual(find("reclaim"))
