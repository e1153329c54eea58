"""Suites are data: what they measure, and what may be asked of them."""

from __future__ import annotations

import pytest

from flexkit.bench.suites import FLAVOUR_OF, MODES, SUITES, find
from flexkit.errors import BadInput


def test_an_unknown_suite_names_those_that_exist() -> None:
    with pytest.raises(BadInput, match="quick, ttft, engine, decode, reclaim, slowdown"):
        find("fulll")


def test_quick_measures_every_mode_cold_and_warm_in_both_models_and_prompts() -> None:
    quick = find("quick")
    assert quick.modes == MODES
    assert quick.generation
    assert quick.generation.prompts == (16, 128)
    assert [model.name for model in quick.generation.models] == ["demo", "synth-25M"]
    caches = [variant.cache for group in quick.generation.groups for variant in group if variant.mode == "flexserve"]
    assert caches == ["cold", "warm"]
    assert quick.slowdown
    assert {variant.mode for variant in quick.slowdown[0].variants} == set(MODES)
    assert [part.size_bytes for part in quick.reclaim] == [64 << 20]


def test_every_suite_fits_its_contexts() -> None:
    for suite in SUITES.values():
        for part in (*suite.reclaim, *suite.slowdown):
            assert part.prompt + part.n_predict <= part.context
        if suite.generation:
            assert max(suite.generation.prompts) + suite.generation.n_predict <= suite.generation.context


def test_only_some_modes() -> None:
    part = find("quick").only(["normal", "strawman"])
    assert part.modes == ("normal", "strawman")
    assert part.reclaim == ()
    assert part.slowdown
    assert len(part.slowdown[0].variants) == 2


def test_a_mode_that_a_suite_does_not_measure_is_refused() -> None:
    with pytest.raises(BadInput, match="reclaim does not measure mode 'stock'"):
        find("reclaim").only(["stock"])


def test_stock_is_another_flavour_than_all_others() -> None:
    assert [mode for mode, flavour in FLAVOUR_OF.items() if flavour == "stock"] == ["stock"]
