"""Files that are no models: each gets one clear message, and nothing else ever comes out of the reader."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest

from flexkit.errors import BadInput
from flexkit.models import catalogue, gguf_file, inspect, numbers
from flexkit.models.gguf_file import F32, Q8_0, Draft
from flexkit.models.shape import Shape, Value
from flexkit.models.vocabulary import Vocabulary

SHAPE = Shape(vocab=768, dim=64, layers=2, heads=2, kv_heads=1, ffn=96, context=64)
Change = Callable[[dict[str, Value], list[Draft]], None]


def write(path: Path, change: Change | None = None) -> Path:
    """A tiny model of zeros, with ``change`` made to its metadata and tensors before it is written."""
    words = catalogue.vocabulary(catalogue.demo_model())
    metadata: dict[str, Value] = {"general.architecture": "llama", **SHAPE.metadata(), **words.metadata()}
    drafts = []
    for spec in SHAPE.tensors():
        dims = (spec.cols,) if spec.is_vector else (spec.cols, spec.rows)
        drafts.append(Draft(spec.name, dims, F32, [bytes(4 * spec.elements)]))
    if change:
        change(metadata, drafts)
    gguf_file.write(path, metadata, drafts)
    return path


def refused(path: Path) -> str:
    """The message with which ``path`` is refused: names the file, one line, and says how to mend it."""
    with pytest.raises(BadInput) as caught:
        inspect.check(path)
    assert str(path) in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.mend
    return caught.value.message


def test_describes_the_demo_model() -> None:
    info = inspect.check(catalogue.demo_model())
    assert (info.architecture, info.quant, info.tokenizer) == ("llama", "Q8_0", "SentencePiece")
    assert info.params == info.shape.params
    assert info.label == f"demo:{info.sha256[:12]}"


def test_agrees_with_the_gguf_package(small: Path) -> None:
    ours, theirs = gguf_file.read(small), gguf.GGUFReader(small)
    assert {name: (t.offset, t.size, t.dims) for name, t in ours.tensors.items()} == {
        t.name: (t.data_offset, t.n_bytes, tuple(map(int, t.shape))) for t in theirs.tensors
    }
    assert {k: ours.metadata[k] for k in ours.metadata} == {
        k: field.contents() for k, field in theirs.fields.items() if not k.startswith("GGUF.")
    }
    tensor = ours.tensors["blk.0.ffn_down.weight"]
    data = small.read_bytes()[tensor.offset : tensor.offset + tensor.size]
    raw = np.frombuffer(data, np.uint8).reshape(tensor.dims[1], -1)
    expected = gguf.quants.dequantize(raw, gguf.GGMLQuantizationType.Q8_0)
    assert np.array_equal(numbers.unpack(data, Q8_0), expected.reshape(-1))


@pytest.mark.parametrize("quant", [gguf_file.F32, gguf_file.F16, gguf_file.Q8_0], ids=lambda quant: quant.name)
def test_packs_as_the_gguf_package_does(quant: gguf_file.Quant) -> None:
    values = np.random.default_rng(1).standard_normal((50, 64)).astype(np.float32)
    values[3] = 0
    expected = gguf.quants.quantize(values, gguf.GGMLQuantizationType[quant.name])
    assert numbers.pack(values, quant) == expected.tobytes()


def test_a_file_cut_anywhere_is_refused(small: Path, tmp_path: Path) -> None:
    """Every length in the first 300 bytes, many in the header, some in the data, and the last byte."""
    whole = small.read_bytes()
    rng = random.Random(1)
    start = min(tensor.offset for tensor in gguf_file.read(small).tensors.values())
    lengths = [
        *range(300),
        *rng.sample(range(300, start), 300),
        *rng.sample(range(start, len(whole)), 40),
        len(whole) - 1,
    ]
    path = tmp_path / "cut.gguf"
    for length in lengths:
        path.write_bytes(whole[:length])
        message = refused(path)
        assert "cut" in message or "is empty" in message, f"at {length}: {message}"


def test_garbled_headers_never_raise_anything_else(tmp_path: Path) -> None:
    """Random bytes of the header overwritten: refused with one message, or still a model of the same shape."""
    whole = write(tmp_path / "whole.gguf").read_bytes()
    start = min(tensor.offset for tensor in gguf_file.read(tmp_path / "whole.gguf").tensors.values())
    path = tmp_path / "garbled.gguf"
    outcomes = {"refused": 0, "taken": 0}
    for seed in range(600):
        rng = random.Random(seed)
        data = bytearray(whole)
        # Half of the time near the beginning or the tensor infos: between them lie mostly harmless token texts.
        low, high = rng.choice([(0, 700), (start - 1600, start), (0, start)])
        for _ in range(rng.choice([1, 1, 4, 16])):
            data[rng.randrange(low, high)] = rng.choice([0, 1, 255, rng.randrange(256)])
        path.write_bytes(data)
        outcomes[_outcome(path)] += 1
    assert outcomes["refused"] > 200, outcomes


def _outcome(path: Path) -> str:
    """Anything but BadInput fails the test."""
    try:
        inspect.check(path)
    except BadInput as error:
        return "refused" if "\n" not in error.message and error.mend else "said badly"
    return "taken"


def _number(offset: int, form: str, value: int) -> Callable[[bytearray], None]:
    return lambda data: struct.pack_into(form, data, offset, value)


@pytest.mark.parametrize(
    ("wreck", "message"),
    [
        (_number(0, "<I", 0x46464952), "not a GGUF file"),
        (_number(4, "<I", 1), "version 1 is not supported"),
        (_number(4, "<I", 99), "version 99 is not supported"),
        (_number(4, ">I", 3), "big-endian"),
        (_number(8, "<Q", 1 << 63), "tensors"),
        (_number(16, "<Q", 1 << 40), "keys"),
        (_number(24, "<Q", (1 << 64) - 1), "claims"),
        (_number(24, "<Q", 1 << 20), "cut or garbled"),
    ],
)  # fmt: skip
def test_wrecked_preambles(tmp_path: Path, wreck: Callable[[bytearray], None], message: str) -> None:
    path = write(tmp_path / "m.gguf")
    data = bytearray(path.read_bytes())
    wreck(data)
    path.write_bytes(data)
    assert message in refused(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04" + bytes(100), "not a GGUF file"),
        (b"<!DOCTYPE html><html>" + bytes(100), "not a GGUF file"),
        (b"ggjt" + bytes(100), "not a GGUF file"),
        (b"\x7fELF" + bytes(5000), "not a GGUF file"),
    ],
)
def test_foreign_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "foreign.gguf"
    path.write_bytes(content)
    assert message in refused(path)


def test_no_file_and_no_regular_file(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "none.gguf")
    assert "directory" in refused(tmp_path)


def _set(key: str, value: Value) -> Change:
    return lambda metadata, _: metadata.update({key: value})


def _without(key: str) -> Change:
    def change(metadata: dict[str, Value], _: list[Draft]) -> None:
        del metadata[key]

    return change


def _drop(name: str) -> Change:
    def change(_: dict[str, Value], drafts: list[Draft]) -> None:
        drafts[:] = [draft for draft in drafts if draft.name != name]

    return change


def _add(name: str, dims: tuple[int, ...]) -> Change:
    size = 4 * int(np.prod(dims))
    return lambda _, drafts: drafts.append(Draft(name, dims, F32, [bytes(size)]))


def _replace(name: str, dims: tuple[int, ...]) -> Change:
    def change(metadata: dict[str, Value], drafts: list[Draft]) -> None:
        _drop(name)(metadata, drafts)
        _add(name, dims)(metadata, drafts)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without("general.architecture"), "names no general.architecture"),
        (_set("general.architecture", "mamba"), "'mamba' is not supported"),
        (_set("general.architecture", 7), "7 is not supported"),
        (_set("general.alignment", 24), "general.alignment"),
        (_set("llama.rope.scaling.type", "yarn"), "'yarn'"),
        (_without("llama.block_count"), "llama.block_count is missing"),
        (_set("llama.block_count", 0), "llama.block_count is 0"),
        (_set("llama.block_count", "two"), "llama.block_count is 'two'"),
        (_set("llama.block_count", 3), "blk.2.attn_norm.weight is missing"),
        (_set("llama.block_count", 1), "'blk.1.attn_norm.weight' is not one of"),
        (_set("llama.attention.head_count", 3), "do not fit together"),
        (_set("llama.attention.key_length", 128), "differs from the head size"),
        (_set("llama.embedding_length", 96), "token_embd.weight is 64 x 768"),
        (_set("tokenizer.ggml.model", "bert"), "'bert' is not supported"),
        (_set("tokenizer.ggml.model", "gpt2"), "pre-tokenizer 'default'"),
        (_set("tokenizer.ggml.tokens", ["a", "b"]), "2 tokens for 768 rows"),
        (_set("tokenizer.ggml.scores", [1.0]), "tokenizer.ggml.scores does not fit"),
        (_set("tokenizer.ggml.eos_token_id", 768), "eos token 768 is not in the vocabulary"),
        (_drop("token_embd.weight"), "no usable tensor token_embd.weight"),
        (_drop("blk.1.ffn_up.weight"), "blk.1.ffn_up.weight is missing"),
        (_add("blk.0.ffn_gate_inp.weight", (64, 8)), "'blk.0.ffn_gate_inp.weight' is not one of"),
        (_add("blk.0.attn_q.bias", (64,)), "'blk.0.attn_q.bias' is not one of"),
        (_replace("blk.0.attn_k.weight", (64, 64)), "blk.0.attn_k.weight is 64 x 64, its metadata say 64 x 32"),
    ],
)
def test_models_that_cannot_run(tmp_path: Path, change: Change, message: str) -> None:
    assert message in refused(write(tmp_path / "m.gguf", change))


def test_a_tied_head_is_fine(tmp_path: Path) -> None:
    assert inspect.check(write(tmp_path / "m.gguf", _drop("output.weight"))).params == SHAPE.params - 768 * 64


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("rank", 0, "0 dimensions"),
        ("rank", 5, "5 dimensions"),
        ("code", 12, "Q4_K, which is not supported"),
        ("code", 30, "BF16, which is not supported"),
        ("code", 77, "number 77, which is not supported"),
        ("offset", 8, "not aligned"),
        ("offset", 1 << 62, "cut: tensor"),
        ("offset", 64, "overlaps"),
        ("dim", 0, "has the dimensions"),
        ("dim", 1 << 60, "has the dimensions"),
    ],
)
def test_wrecked_tensor_infos(tmp_path: Path, field: str, value: int, message: str) -> None:
    path = write(tmp_path / "m.gguf")
    data = bytearray(path.read_bytes())
    name = b"output_norm.weight"  # a vector: rank, one dimension, code, offset
    at = data.index(struct.pack("<Q", len(name)) + name) + 8 + len(name)
    place, form = {"rank": (0, "<I"), "dim": (4, "<Q"), "code": (12, "<I"), "offset": (16, "<Q")}[field]
    struct.pack_into(form, data, at + place, value)
    path.write_bytes(data)
    assert message in refused(path)


def test_a_name_twice_is_refused(tmp_path: Path) -> None:
    assert "stands in it twice" in refused(write(tmp_path / "m.gguf", _add("token_embd.weight", (64, 768))))


def test_a_draft_must_have_the_bytes_it_announces(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="announced"):
        gguf_file.write(tmp_path / "m.gguf", {}, [Draft("x", (4,), F32, [bytes(15)])])
    assert not list(tmp_path.iterdir())


def test_only_sentencepiece_gives_a_vocabulary() -> None:
    with pytest.raises(BadInput, match="not SentencePiece"):
        Vocabulary.from_metadata({"tokenizer.ggml.model": "gpt2"})
