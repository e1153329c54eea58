"""`flexkit models`: what it prints, and its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from flexkit.models import catalogue


def flexkit(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from flexkit.cli.main import main; main()", "models", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(Path(catalogue.__file__).parents[2]))


def test_list_names_the_catalogue() -> None:
    plain, machine = flexkit("list"), flexkit("list", "--json")
    names = [row["name"] for row in json.loads(machine.stdout)["models"]]
    assert names == list(catalogue.load())
    assert all(name in plain.stdout for name in names)


def test_inspect_by_name_and_by_path() -> None:
    by_name, by_path = flexkit("inspect", "demo", "--json"), flexkit("inspect", catalogue.demo_model(), "--json")
    assert json.loads(by_name.stdout) == json.loads(by_path.stdout)
    assert json.loads(by_name.stdout)["architecture"] == "llama"


def test_synth_makes_the_same_file_twice(tmp_path: Path) -> None:
    runs = [flexkit("synth", "--params", "1M", "--seed", "3", "-o", tmp_path / name, "--json") for name in "ab"]
    facts = [json.loads(run.stdout.splitlines()[-1]) for run in runs]
    assert facts[0]["sha256"] == facts[1]["sha256"]
    assert abs(facts[0]["params"] / 1e6 - 1) < 0.05


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("inspect", "no-such-model"), "neither a file nor a model"),
        (("inspect", "{cut}"), "cut"),
        (("inspect", "{foreign}"), "not a GGUF file"),
        (("synth", "--params", "25Q"), "is not a size"),
        (("synth", "--params", "1M", "-o", "{none}/m.gguf"), "no such folder"),
        (("synth", "--quant", "q2_k"), "q2_k"),
        (("train", "no-such-recipe"), "no-such-recipe.toml: No such file"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    cut, foreign = tmp_path / "cut.gguf", tmp_path / "foreign.gguf"
    cut.write_bytes(catalogue.demo_model().read_bytes()[:100_000])
    foreign.write_bytes(b"\x89PNG" + bytes(1000))
    run = flexkit(*(each.format(cut=cut, foreign=foreign, none=tmp_path / "none") for each in arguments))
    assert run.returncode == 2
    assert message in run.stderr
    assert "Traceback" not in run.stderr
    assert run.stdout == ""
