"""Sealing: what is sealed opens again, what was touched does not, and each refusal has its own words."""

from __future__ import annotations

import random
from pathlib import Path

import hostile_seals
import pytest
from click.testing import CliRunner
from hostile_seals import Hostile, Seals

from flexkit.cli import main
from flexkit.deadline import Deadline
from flexkit.errors import BadInput, TimedOut
from flexkit.models import catalogue, gguf_file, inspect, layers, seal, sealed
from flexkit.models.sealed import Refused


def limit() -> Deadline:
    return Deadline(60, "sealing")


@pytest.fixture(scope="module")
def seals(tmp_path_factory: pytest.TempPathFactory) -> Seals:
    return hostile_seals.make_seals(tmp_path_factory.mktemp("seals"))


@pytest.fixture
def good(seals: Seals, tmp_path: Path) -> Path:
    path = tmp_path / "good"
    path.write_bytes(seals.good)
    return path


def test_a_sealed_model_opens_to_the_same_bytes(good: Path, tmp_path: Path) -> None:
    facts = seal.unseal(good, tmp_path / "out", sealed.test_key(), 3, limit())
    assert (tmp_path / "out").read_bytes() == catalogue.demo_model().read_bytes()
    assert (facts.name, facts.version, facts.size) == ("touched", 3, catalogue.demo_model().stat().st_size)
    assert facts.file_size == good.stat().st_size


def test_nothing_of_the_model_is_readable_in_the_file(seals: Seals) -> None:
    plain = catalogue.demo_model().read_bytes()
    windows = [plain[at : at + 32] for at in range(0, len(plain) - 32, 4096)]
    assert any(plain.count(window) for window in windows)
    assert not any(window in seals.good for window in windows if len(set(window)) > 8)


def test_two_sealings_of_one_model_have_nothing_in_common(seals: Seals) -> None:
    """Another key and another sealing each time: no chunk comes out the same."""
    assert all(
        seals.good[at : at + 64] != seals.again[at : at + 64]
        for at in range(seals.facts.first_page * 4096, len(seals.good), 4096)
    )


@pytest.mark.parametrize("case", hostile_seals.HOSTILE, ids=lambda case: case.name)
def test_a_file_that_was_touched_is_refused(case: Hostile, seals: Seals, tmp_path: Path) -> None:
    path = tmp_path / "hostile"
    path.write_bytes(case.make(seals))
    with pytest.raises(Refused) as caught:
        seal.check(path, sealed.test_key(), case.minimum, limit())
    assert caught.value.why == case.why
    assert str(path) in caught.value.message
    assert caught.value.mend


def test_each_refusal_has_words_of_its_own() -> None:
    texts = [sealed.text(f"E_{why.name}_TEXT") for why in sealed.Why]
    assert len(set(texts)) == len(texts)
    assert {case.why for case in hostile_seals.HOSTILE} == set(sealed.Why)


def test_no_byte_of_a_file_can_be_changed_unseen(seals: Seals, tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    draw = random.Random(seed)
    path = tmp_path / "changed"
    for _ in range(100):
        data = bytearray(seals.good)
        at = draw.choice([draw.randrange(len(data)), draw.randrange(seals.facts.first_page * 4096)])
        data[at] ^= draw.randrange(1, 256)
        path.write_bytes(data)
        with pytest.raises(Refused):
            seal.check(path, sealed.test_key(), 0, limit())


def test_nothing_is_left_of_a_file_that_was_refused(seals: Seals, tmp_path: Path) -> None:
    path, out = tmp_path / "hostile", tmp_path / "out"
    path.write_bytes(seals.good[:-1] + bytes([seals.good[-1] ^ 1]))
    with pytest.raises(Refused):
        seal.unseal(path, out, sealed.test_key(), 0, limit())
    assert list(tmp_path.iterdir()) == [path]


def test_a_minimum_version_lets_newer_ones_pass(good: Path) -> None:
    assert seal.check(good, sealed.test_key(), 3, limit()).version == 3


def test_sealing_heeds_its_deadline(tmp_path: Path) -> None:
    late = Deadline(0, "sealing")
    with pytest.raises(TimedOut):
        seal.seal(seal.Order(catalogue.demo_model(), "demo", 1, sealed.test_key()), tmp_path / "out", late)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "version"), [("", 1), ("x" * 64, 1), ("d\u00e9mo", 1), ("a\nb", 1), ("demo", 0), ("demo", 1 << 64)]
)
def test_an_order_that_cannot_be_written_down_is_refused(name: str, version: int, tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        seal.seal(seal.Order(catalogue.demo_model(), name, version, sealed.test_key()), tmp_path / "out", limit())


# --- order of layers -----------------------------------------------------------------------------------------------


def shuffled(folder: Path) -> Path:
    """The demo model with its tensors back to front, output matrix first."""
    source = catalogue.demo_model()
    file, data = gguf_file.read(source), source.read_bytes()
    out = bytearray(data[: file.data])
    for tensor in sorted(file.tensors.values(), key=lambda tensor: -tensor.offset):
        out += bytes(-len(out) % file.alignment)
        out[tensor.offset_field : tensor.offset_field + 8] = (len(out) - file.data).to_bytes(8, "little")
        out += data[tensor.offset : tensor.offset + tensor.size]
    path = folder / "shuffled.gguf"
    path.write_bytes(out)
    return path


def test_tensors_are_sealed_in_the_order_of_layers(tmp_path: Path) -> None:
    source = shuffled(tmp_path)
    seal.seal(seal.Order(source, "demo", 1, sealed.test_key()), tmp_path / "sealed", limit())
    seal.unseal(tmp_path / "sealed", tmp_path / "out", sealed.test_key(), 0, limit())
    before, after = gguf_file.read(source), gguf_file.read(tmp_path / "out")
    names = sorted(after.tensors, key=lambda name: after.tensors[name].offset)
    assert names[0] == "token_embd.weight"
    assert names[-2:] == ["output_norm.weight", "output.weight"]
    numbers = [int(name.split(".")[1]) for name in names if name.startswith("blk.")]
    assert numbers == sorted(numbers)
    assert inspect.check(tmp_path / "out").params == inspect.check(source).params
    old, new = source.read_bytes(), (tmp_path / "out").read_bytes()
    for name, tensor in before.tensors.items():
        moved = after.tensors[name]
        assert new[moved.offset : moved.offset + moved.size] == old[tensor.offset : tensor.offset + tensor.size]


def test_a_model_that_is_in_order_stays_as_it_is() -> None:
    assert layers.plan(gguf_file.read(catalogue.demo_model())).moves == ()


def test_a_model_that_shrinks_while_it_is_sealed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "short.gguf"
    path.write_bytes(catalogue.demo_model().read_bytes())
    plan = layers.plan(gguf_file.read(path))
    path.write_bytes(path.read_bytes()[:-4096])
    with pytest.raises(BadInput, match="shorter"):
        list(plan.pieces())


# --- commands ------------------------------------------------------------------------------------------------------


def run(*words: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(main.cli, ["models", *map(str, words)])
    return result.exit_code, result.output


def test_seal_inspect_unseal_from_the_command_line(tmp_path: Path) -> None:
    target, back = tmp_path / "demo.sealed", tmp_path / "demo.gguf"
    code, said = run("seal", "demo", "-o", target, "--model-version", "7")
    assert code == 0
    assert "test key" in said
    code, said = run("inspect", target)
    assert code == 0
    assert "test_key      True" in said
    assert run("unseal", target, "--check", "--min-version", "7")[0] == 0
    assert run("unseal", target, "-o", back)[0] == 0
    assert back.read_bytes() == catalogue.demo_model().read_bytes()


def test_an_old_version_is_refused_by_the_command(tmp_path: Path) -> None:
    assert run("seal", "demo", "-o", tmp_path / "s")[0] == 0
    result = CliRunner().invoke(main.cli, ["models", "unseal", str(tmp_path / "s"), "--check", "--min-version", "2"])
    assert isinstance(result.exception, Refused)


def test_unseal_wants_to_know_what_for(tmp_path: Path) -> None:
    result = CliRunner().invoke(main.cli, ["models", "unseal", str(tmp_path / "s")])
    assert isinstance(result.exception, BadInput)
