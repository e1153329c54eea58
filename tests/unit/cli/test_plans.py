"""``flexkit flash --plan`` of every board type: a line for each image, or the reason why there is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flexkit import boards, build
from flexkit.build import Image, Manifest, layout
from flexkit.cli import main
from flexkit.digest import sha256_of

TYPES = list(boards.known())
HARDWARE = [name for name in TYPES if not boards.load(name).emulated]


@pytest.fixture(autouse=True)
def builder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Builds nothing: every image that can be made is 512 bytes of its own."""
    monkeypatch.setenv("FLEXKIT_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)

    def run(board: boards.Board, **options: Any) -> Manifest:
        missing = layout.missing(board, {}, options["flavour"] == "flex")
        files = {}
        for name in images_of(board) - set(missing):
            path = tmp_path / name
            path.write_bytes(name.encode().ljust(512, b"\0"))
            files[name] = Image(path, sha256_of(path), 512)
        return Manifest("1" * 32, board.name, "flex", "release", {}, files, {}, {}, [], {}, missing)

    monkeypatch.setattr(build, "run", run)


def images_of(board: boards.Board) -> set[str]:
    return {each.image for medium in board.media for each in medium.regions if each.image}


@pytest.mark.parametrize("name", TYPES)
def test_every_type_has_a_plan_from_sector_0(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    board = boards.load(name)
    assert main.run(["flash", "-b", name, "--plan", "--provision", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out.splitlines()[-1])
    planned = {(each["medium"], each["region"]): each for each in plan["writes"]}
    for medium in board.media:
        for region in medium.regions:
            if region.image in plan["missing"] or region.image is None:
                continue
            write = planned[medium.name, region.name]
            assert (write["offset"], write["bytes"]) == (region.offset, 512)
            assert write["sha256"] == sha256_of(Path(write["path"]))


@pytest.mark.parametrize("name", HARDWARE)
def test_what_cannot_be_built_is_named_with_where_it_comes_from(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["flash", "-b", name, "--plan"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("MISSING ")]
    for blob in boards.load(name).build.blobs:
        assert any(blob.name in line and blob.source in line for line in lines)


@pytest.mark.parametrize("name", HARDWARE)
def test_a_type_that_nobody_has_here_is_planned_but_not_flashed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["flash", "-b", name]) == 2
    assert "discover --add" in capsys.readouterr().err
