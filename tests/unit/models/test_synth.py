"""Synthetic models: the same bytes always, the size asked for, the same numbers in every quantisation."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from flexkit.deadline import Deadline
from flexkit.errors import BadInput, TimedOut
from flexkit.events import Bus
from flexkit.models import catalogue, gguf_file, inspect, numbers, synth
from flexkit.models.gguf_file import F16, F32, Q8_0, QUANTS, Quant
from flexkit.models.vocabulary import NORMAL, Vocabulary


@pytest.fixture(scope="module")
def words() -> Vocabulary:
    return catalogue.vocabulary(catalogue.demo_model())


def make(path: Path, words: Vocabulary, params: int = 600_000, quant: Quant = Q8_0, seed: int = 1) -> Path:
    synth.synthesise(path, params, quant, seed, words, Bus())
    return path


def numbers_of(path: Path, name: str) -> np.ndarray:
    tensor = gguf_file.read(path).tensors[name]
    data = path.read_bytes()[tensor.offset : tensor.offset + tensor.size]
    return numbers.unpack(data, tensor.quant).reshape(tensor.dims[::-1])


def test_the_same_bytes_again_and_others_for_another_seed(tmp_path: Path, words: Vocabulary) -> None:
    first, again, other = (tmp_path / name for name in ("a.gguf", "b.gguf", "c.gguf"))
    assert make(first, words).read_bytes() == make(again, words).read_bytes()
    assert make(other, words, seed=2).read_bytes() != first.read_bytes()


def test_chunks_do_not_show(tmp_path: Path, words: Vocabulary, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random bits are drawn in pieces; how large the pieces are must not change the file."""
    whole = make(tmp_path / "a.gguf", words).read_bytes()
    monkeypatch.setattr(synth, "_CHUNK", 777)
    assert make(tmp_path / "b.gguf", words).read_bytes() == whole


@pytest.mark.parametrize("size", ["500K", "1M", "1.5M", "2M", "3M", "5M", "7M", "10M", "15M", "20M", "25M", "26.5M",
                                  "40M", "60M", "100M", "135M", "360M", "500M", "1B", "1.1B", "2B", "4B"])  # fmt: skip
def test_shapes_have_the_size_asked_for(size: str) -> None:
    params = synth.size_of(size)
    shape = synth.shape_for(params, 768)
    assert abs(shape.params / params - 1) < 0.05, shape
    assert 16 <= shape.dim / shape.layers <= 256, shape
    assert 1.5 <= shape.ffn / shape.dim <= 4, shape
    assert shape.head_dim in (32, 64)


@pytest.mark.parametrize("quant", QUANTS.values(), ids=list(QUANTS))
def test_what_is_written_is_a_model_of_that_size(tmp_path: Path, words: Vocabulary, quant: Quant) -> None:
    info = inspect.check(make(tmp_path / "m.gguf", words, 1_000_000, quant))
    assert abs(info.params / 1_000_000 - 1) < 0.05
    assert info.quant == quant.name
    assert info.params == info.shape.params


def test_every_quantisation_holds_the_same_numbers(tmp_path: Path, words: Vocabulary) -> None:
    files = {quant.name: make(tmp_path / f"{quant.name}.gguf", words, quant=quant) for quant in (F32, F16, Q8_0)}
    for name in gguf_file.read(files["F32"]).tensors:
        exact = numbers_of(files["F32"], name)
        assert np.array_equal(exact, numbers_of(files["F16"], name)), name
        assert np.array_equal(exact, numbers_of(files["Q8_0"], name)), name


def test_weights_have_the_spread_that_keeps_activations_near_one(small: Path) -> None:
    for name, gain in {"blk.0.attn_v": 1.2, "blk.1.ffn_up": 1.0, "token_embd": 0.0}.items():
        matrix = numbers_of(small, name + ".weight")
        wanted = gain / np.sqrt(matrix.shape[1]) if gain else 1.0
        assert matrix.std() == pytest.approx(wanted, rel=0.08), name
        assert abs(matrix.mean()) < 0.02 * wanted * 3


def test_greedy_decoding_never_ends_early(small: Path, words: Vocabulary) -> None:
    """Rows of control and byte tokens are zero in the head: their logit is 0, and the best of hundreds is above."""
    head = numbers_of(small, "output.weight")
    silent = np.array([kind != NORMAL for kind in words.types])
    assert not head[silent].any()
    assert head[~silent].any(axis=1).all()


@pytest.mark.parametrize("text", ["", "25", "25 M B", "-1M", "M", "1e9", "400K", "5B", "999999999999999B", "٣M" + "x"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(BadInput, match=re.escape(repr(text))):
        synth.size_of(text)


def test_sizes_are_read_as_people_write_them() -> None:
    assert [synth.size_of(text) for text in ("25M", "25m", "1.5M", "1B", "700000")] == [
        25_000_000, 25_000_000, 1_500_000, 10**9, 700_000,
    ]  # fmt: skip


def test_a_full_disk_is_said_before_anything_is_written(
    tmp_path: Path, words: Vocabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    with pytest.raises(BadInput, match="are free"):
        make(tmp_path / "m.gguf", words)
    assert not list(tmp_path.iterdir())


def test_the_deadline_ends_it_and_leaves_nothing(tmp_path: Path, words: Vocabulary) -> None:
    now = iter(range(1000))
    deadline = Deadline(5, "synth", clock=lambda: next(now))
    with pytest.raises(TimedOut, match="synth"):
        synth.synthesise(tmp_path / "m.gguf", 1_000_000, Q8_0, 1, words, Bus(), deadline)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_leaves_nothing(tmp_path: Path, words: Vocabulary) -> None:
    with pytest.raises(BadInput, match="cannot be written"):
        make(tmp_path / "none" / "m.gguf", words)
