"""F6: nobody knew what was on the board; a hand-kept diary was "the single source of truth"."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_agent import AGENT_ID
from fake_bench import FakeOracle, prompt_of
from fake_run import SIZES
from fake_site import BUILD, Site, emulators

from flexkit import build, paths
from flexkit.bench import reference
from flexkit.bench.linked import LinkBoard
from flexkit.bench.session import ModelFile
from flexkit.cli.main import run
from flexkit.deployed import Ledger
from flexkit.report.reading import load

SAID = "f" * 32  # the agent that was built and flashed; the one that runs says AGENT_ID


@pytest.fixture
def swapped(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Somebody changed a part on the board behind everybody's back."""
    site.flash({"agent": SAID})

    def built(board: Any, **options: Any) -> build.Manifest:
        return build.Manifest(BUILD, board.name, options["flavour"], "release", {"agent": SAID}, {}, {}, {}, [], {})

    def model_files(specs: Any, bus: Any) -> dict[Any, ModelFile]:
        files = {}
        for spec in specs:
            path = tmp_path / f"{spec.name}.gguf"
            path.write_bytes(bytes(SIZES[spec.name]))
            files[spec] = ModelFile(spec, path, f"{spec.name}@0123456789ab")
        return files

    monkeypatch.setattr(paths, "reports", lambda: tmp_path / "reports")
    monkeypatch.setattr(build, "run", built)
    monkeypatch.setattr(reference, "model_files", model_files)
    monkeypatch.setattr(reference, "oracle", FakeOracle)
    monkeypatch.setattr(reference, "prompt_of", prompt_of)
    monkeypatch.setattr(LinkBoard, "stage", lambda *_: None)
    return site


@pytest.mark.field("F6")
def test_a_mismatch_stops_a_benchmark(swapped: Site, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    diary = tmp_path / "DEPLOYED_STATE"
    diary.write_text(f"board 1: agent {SAID}\n")
    assert SAID in diary.read_text(), "by the diary all is well, and the figures would be another agent's"

    assert run(["bench", "--suite", "switch", "--rounds", "1", "-o", str(tmp_path / "out")]) != 0
    err = capfd.readouterr().err
    assert f"agent: {SAID} was flashed, the board reports {AGENT_ID}" in err
    made = load(tmp_path / "out")
    assert made.rows
    assert all(row.result.values == () and not row.result.valid for row in made.rows), "not one figure of it"
    assert [attempt.stage for attempt in made.attempts if attempt.outcome == "failed"] == ["boot"]
    assert emulators() == set()


@pytest.mark.field("F6")
def test_state_names_the_part(swapped: Site, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["power", "on"]) == 5, "it does not even count as on"
    assert run(["infer", "-m", "demo", "-p", "Once", "-n", "1"]) == 5
    err = capfd.readouterr().err
    assert err.count(f"agent: {SAID} was flashed, the board reports {AGENT_ID}") == 2
    assert "run: flexkit flash -b qemu-virt" in err


@pytest.mark.field("F6")
def test_the_ledger_says_who_what_when_and_verified_how(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["state", "--json"]) == 0
    described = json.loads(capfd.readouterr().out)
    assert described["deployed"] == {"flex": BUILD}
    (entry,) = described["ledger"]
    assert (entry["action"], entry["identity"], entry["good"]) == ("flash", BUILD, True)
    assert entry["time"].startswith("20")
    assert "@" in entry["detail"]["by"]
    region = entry["detail"]["regions"]["pflash.fip"]
    assert region["proof"] == "read back"
    assert len(region["sha256"]) == 64


@pytest.mark.field("F6")
def test_one_medium_of_a_board_on_the_bench_holds_one_flavour(site: Site) -> None:
    """An emulated board has media for each; on a real one the second flavour replaces the first."""
    book = Ledger("bench")
    for flavour, wired in (("flex", False), ("stock", False)):
        book.append("flash", flavour, BUILD, True, {"wired": wired})
    kept = paths.state() / "deployments"
    (kept / "bench").symlink_to(kept / "qemu-virt")
    assert book.current("flex") is not None
    book.append("flash", "stock", BUILD, True, {"wired": True})
    assert book.current("flex") is None
    assert book.current("stock") is not None
