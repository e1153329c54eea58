"""Flash cycles over a medium that fails in every way at once. `make nightly` runs a thousand:
FLEXKIT_CYCLES=1000 pytest tests/unit/flash/test_campaign.py; FLEXKIT_SEED repeats a run."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from campaign import Campaign

from flexkit.flash.image import Chunk


def test_no_cycle_ends_with_a_wrong_medium_called_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEXKIT_STATE", str(tmp_path / "state"))
    cycles = int(os.environ.get("FLEXKIT_CYCLES", "50"))
    seed = int(os.environ.get("FLEXKIT_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"FLEXKIT_SEED={seed} FLEXKIT_CYCLES={cycles}")
    (tmp_path / "images").mkdir()
    tally = Campaign(tmp_path / "images", seed).run(cycles)
    print(tally)
    assert tally.wrong == []
    assert tally.unnamed == []
    assert tally.cycles == cycles
    assert tally.verified > cycles // 4, "most faults are mended, not given up on"


def test_the_campaign_notices_a_wrong_medium(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an engine that believes the tool, the same cycles end wrong: the check can fail."""
    monkeypatch.setenv("FLEXKIT_STATE", str(tmp_path / "state"))
    written: dict[int, set[Chunk]] = {}

    def believe(region: object, chunk: Chunk, data: bytes) -> bool:
        known = written.setdefault(id(region), set())
        told = chunk in known
        known.add(chunk)
        return told

    monkeypatch.setattr("flexkit.flash.engine._Region._holds", believe)
    (tmp_path / "images").mkdir()
    assert Campaign(tmp_path / "images", 1).run(5).wrong
