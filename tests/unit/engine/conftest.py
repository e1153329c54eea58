"""Models and programs that the engine's tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flexkit import engine

from . import models


@pytest.fixture(scope="session")
def make_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[models.Shape], Path]:
    """Write a random model of this shape (seed 7)."""
    folder = tmp_path_factory.mktemp("models")

    def make(shape: models.Shape) -> Path:
        return models.write(folder / f"{len(list(folder.iterdir()))}.gguf", shape, 7)

    return make


@pytest.fixture(scope="session")
def arm64_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """flxrun as a static arm64 program."""
    folder = tmp_path_factory.mktemp("arm64")
    engine.build(folder, "linux", compiler="aarch64-linux-gnu-gcc", flags="-O2")
    return folder / "flxrun"


@pytest.fixture(scope="session")
def host_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """flxrun for this machine."""
    folder = tmp_path_factory.mktemp("host")
    engine.build(folder, "linux", flags="-O2")
    return folder / "flxrun"
