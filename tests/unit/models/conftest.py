"""What the tests of models share: a small synthetic model, and a folder for broken ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from flexkit.events import Bus
from flexkit.models import catalogue, synth
from flexkit.models.gguf_file import Q8_0


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic model of 500,000 parameters."""
    path = tmp_path_factory.mktemp("models") / "small.gguf"
    synth.synthesise(path, 500_000, Q8_0, 1, catalogue.vocabulary(catalogue.demo_model()), Bus())
    return path
