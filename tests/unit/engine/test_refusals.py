"""What the engine does not compute is refused with a reason that names it; what it computes is not."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest

from flexkit import engine
from flexkit.errors import BadInput

from .models import Change, Q, Shape, write


def zeros(name: str, *shape: int) -> Change:
    return lambda writer: writer.add_tensor(name, np.zeros(shape, np.float32))


REFUSED: dict[str, tuple[Change, str]] = {
    "experts": (lambda w: w.add_expert_count(4), "llama.expert_count is out of range"),
    "yarn": (lambda w: w.add_rope_scaling_type(gguf.RopeScalingType.YARN), "RoPE scaling"),
    "a bias": (zeros("blk.0.attn_q.bias", 64), "blk.0.attn_q.bias does not belong"),
    "a layer too many": (zeros("blk.2.attn_norm.weight", 64), "blk.2.attn_norm.weight does not belong"),
    "a bad number": (lambda w: w.add_uint32("general.alignment", 48), "alignment of 48"),
    "keys unlike values": (lambda w: w.add_value_length(8), "different length"),
    "bos outside": (lambda w: w.add_eot_token_id(5000), "tokenizer.ggml.eot_token_id is out of range"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_its_reason(tmp_path: Path, name: str) -> None:
    change, reason = REFUSED[name]
    path = write(tmp_path / "m.gguf", Shape(), 7, change=change)
    with pytest.raises(BadInput, match=reason.replace(".", r"\.")):
        engine.Model(path)


def test_another_architecture(tmp_path: Path) -> None:
    path = write(tmp_path / "m.gguf", Shape(), 7, architecture="mamba")
    with pytest.raises(BadInput, match="the architecture is not llama"):
        engine.Model(path)


def test_another_type(tmp_path: Path) -> None:
    """Q4_0 is for later."""
    data = gguf.quantize(np.zeros((64, 64), np.float32), Q.Q4_0)
    path = write(
        tmp_path / "m.gguf",
        Shape(layers=1),
        7,
        change=lambda w: w.add_tensor("blk.1.attn_q.weight", data, raw_dtype=Q.Q4_0),
    )
    with pytest.raises(BadInput, match=r"blk\.1\.attn_q\.weight does not belong"):
        engine.Model(path)
    raw = bytearray(write(tmp_path / "n.gguf", Shape(kind=Q.Q8_0), 7).read_bytes())
    at = raw.index(b"blk.1.ffn_up.weight") + len(b"blk.1.ffn_up.weight") + 4 + 16
    assert raw[at] == Q.Q8_0
    raw[at] = Q.Q4_0
    (tmp_path / "n.gguf").write_bytes(raw)
    with pytest.raises(BadInput, match=r"blk\.1\.ffn_up\.weight has type 2, which is not supported"):
        engine.Model(tmp_path / "n.gguf")


def test_linear_scaling_is_computed(tmp_path: Path) -> None:
    """With positions scaled away, one layer sees the earlier tokens as a set: their order makes no difference."""

    def change(writer: gguf.GGUFWriter) -> None:
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(1e6)

    still = write(tmp_path / "s.gguf", Shape(layers=1), 7, change=change)
    moving = write(tmp_path / "m.gguf", Shape(layers=1), 7)

    def logits(path: Path, ids: list[int]) -> list[float]:
        with engine.Model(path) as model, model.session(8) as session:
            session.forward(ids)
            return session.logits()

    one, other = logits(still, [1, 50, 60, 9]), logits(still, [60, 50, 1, 9])
    assert np.abs(np.array(one) - np.array(other)).max() < 0.02 * np.std(one)
    one, other = logits(moving, [1, 50, 60, 9]), logits(moving, [60, 50, 1, 9])
    assert np.abs(np.array(one) - np.array(other)).max() > 0.1 * np.std(one)


def test_contexts_and_prompts(make_model: Callable[[Shape], Path]) -> None:
    path = make_model(Shape(context=16))
    with engine.Model(path) as model:
        for context in (0, 17):
            with pytest.raises(BadInput, match="1 to 16"):
                model.session(context)
        with model.session(4) as session:
            session.forward([1, 2, 3])
            with pytest.raises(BadInput):
                session.forward([4, 5])
            with pytest.raises(BadInput):
                session.forward([300])
            session.forward([4])
        with pytest.raises(BadInput, match="context 16"):
            model.generate("abcdefghijklmnopqrstuvwxyz", 1)
        full = model.generate("abcdefghij", 100)
        assert len(full.prompt_ids) + len(full.tokens) == 16 + 1  # the last token needs no place in the cache


def test_the_program_and_its_exit_codes(make_model: Callable[[Shape], Path], host_run: Path, tmp_path: Path) -> None:
    path = make_model(Shape())

    def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([host_run, *words], capture_output=True, text=True, timeout=60, check=False)

    lines = run("-m", path, "-p", "abc", "-n", "3", "--ignore-eos").stdout.splitlines()
    wanted = engine.reference_tokens(path, "abc", 3)
    fields = [line.split(" ") for line in lines[:-1]]
    assert [(f[0], int(f[1]), int(f[2])) for f in fields] == [("T", i, t) for i, t in enumerate(wanted.tokens)]
    assert b"".join(bytes.fromhex(f[3].strip("-")) for f in fields).decode(errors="replace") == wanted.text
    assert lines[-1].startswith('R {"prompt_ids":[')
    (tmp_path / "bad.gguf").write_bytes(b"GGUF")
    refused = run("-m", tmp_path / "bad.gguf", "-p", "abc", "-n", "3")
    assert (refused.returncode, "cut short" in refused.stderr) == (2, True)
    assert run("-m", path, "-p", "", "-n", "3").returncode == 2
    assert run("-m", path, "-p", "abc", "-n", "0").returncode == 2
    assert run("-m", path, "-p", "abc", "-n", "3", "-c", "100000").returncode == 2
    assert run("-m", tmp_path / "none.gguf", "-p", "abc", "-n", "3").returncode == 1
