"""The catalogue: names lead to files whose hashes it states."""

from __future__ import annotations

from pathlib import Path

import pytest

from flexkit.digest import sha256_of
from flexkit.errors import BadInput, FlexError
from flexkit.events import Bus
from flexkit.models import catalogue, inspect, synth


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of our own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "flexkit" / "models" / f"v{synth.VERSION}"


def test_the_committed_demo_is_what_the_catalogue_says() -> None:
    entry = catalogue.load()["demo"]
    info = inspect.check(entry.path)
    assert info.sha256 == entry.sha256
    assert info.size <= 3_000_000
    assert (catalogue.folder() / entry.recipe).is_file()
    assert entry.path == catalogue.demo_model()


def test_a_pinned_synthetic_model_is_made_once(cached: Path) -> None:
    entry = catalogue.load()["synth-25m"]
    path = catalogue.find("synth-25m", Bus())
    assert path.parent == cached
    assert sha256_of(path) == entry.sha256
    made = path.stat().st_mtime_ns
    assert catalogue.synthetic(entry.params, entry.quant, entry.seed, Bus()).stat().st_mtime_ns == made


def test_a_cached_model_that_is_not_the_pinned_one_is_made_again(cached: Path) -> None:
    path = catalogue.find("synth-25m", Bus())
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    assert catalogue.find("synth-25m", Bus()).read_bytes() == whole
    assert path.parent == cached


def test_a_synthetic_model_that_came_out_otherwise_is_not_kept(cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = catalogue.load()
    wrong = {"it": catalogue.Entry(name="it", title="", sha256="0" * 64, params="1M", quant="q8_0", seed=1)}
    monkeypatch.setattr(catalogue, "load", lambda: entries | wrong)
    with pytest.raises(FlexError, match="came out as"):
        catalogue.find("it", Bus())
    assert not list(cached.iterdir())


def test_a_file_is_found_by_its_path(small: Path) -> None:
    assert catalogue.find(str(small), Bus()) == small


def test_neither_a_file_nor_a_name() -> None:
    with pytest.raises(BadInput, match="neither a file nor a model"):
        catalogue.find("gpt-9", Bus())


@pytest.mark.parametrize("content", ["", "model = 3", "[model.x]\nwings = 2", "[model.x]", "garbage", "\x00"])
def test_broken_catalogues(tmp_path: Path, content: str) -> None:
    path = tmp_path / "catalogue.toml"
    path.write_text(content)
    with pytest.raises(BadInput, match="not a catalogue"):
        catalogue.load(path)


def test_a_missing_demo_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "folder", lambda: tmp_path)
    with pytest.raises(BadInput, match="demo model is missing"):
        catalogue.demo_model()
