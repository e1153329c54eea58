"""The engine's logits against the architecture's definition in double precision.

Bounds, in units of the logits' standard deviation. With F32 and F16 weights the engine differs by its 13-bit KV cache
alone; with Q8_0 it also rounds each matrix's input to 8 bits in blocks of 32, as llama.cpp does.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from flexkit import engine

from .models import Numpy, Q, Shape

BOUND = {Q.F32: 0.006, Q.F16: 0.006, Q.Q8_0: 0.15}
SHAPES = {
    "plain": {},
    "one key head, tied, rope factors": {"kv_heads": 1, "tied": True, "rope_factors": True},
    "part rotated, other base": {"rope_base": 5e5, "rope_dim": 8},
    "head apart from the width": {"head_dim": 32, "heads": 3, "kv_heads": 3, "ff": 160},
    "long rows": {"dim": 256, "ff": 704, "heads": 8, "kv_heads": 4, "layers": 1},
}


@pytest.mark.parametrize("kind", [Q.F32, Q.F16, Q.Q8_0], ids=lambda kind: kind.name)
@pytest.mark.parametrize("name", SHAPES)
def test_logits_are_those_of_the_definition(make_model: Callable[[Shape], Path], name: str, kind: Q) -> None:
    path = make_model(Shape(kind=kind, **SHAPES[name]))  # type: ignore[arg-type]
    ids = [1, *(int(i) for i in np.random.default_rng(1).integers(3, 300, 70))]
    wanted = Numpy(path).logits(ids)
    with engine.Model(path) as model, model.session(len(ids)) as session:
        for end in (1, 40, len(ids)):
            session.forward(ids[{1: 0, 40: 1}.get(end, 40) : end])
            error = np.abs(np.array(session.logits()) - wanted[end - 1]) / wanted[end - 1].std()
            print(f"position {end}: largest error {error.max():.5f}, mean {error.mean():.5f}")
            assert error.max() < BOUND[kind]


@pytest.mark.parametrize("kind", [Q.F16, Q.Q8_0], ids=lambda kind: kind.name)
def test_odd_widths_without_blocks(make_model: Callable[[Shape], Path], kind: Q) -> None:
    """A width that no vector length divides (F16), and the narrowest with blocks (Q8_0)."""
    shape = (
        Shape(dim=36, ff=50, heads=2, kv_heads=1, kind=kind)
        if kind == Q.F16
        else Shape(dim=32, ff=32, heads=1, kv_heads=1, kind=kind)
    )
    path = make_model(shape)
    ids = [1, 5, 300 - 1, 7, 7, 9]
    wanted = Numpy(path).logits(ids)[-1]
    with engine.Model(path) as model, model.session(len(ids)) as session:
        session.forward(ids)
        assert np.abs(np.array(session.logits()) - wanted).max() < 2 * BOUND[kind] * wanted.std()
