"""``flexkit flash``: what it prints, what it touches, and its exit codes. The build is played by small images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_site import BUILD, Site

from flexkit import boards, build, lock
from flexkit.build import Manifest
from flexkit.build.manifest import Image
from flexkit.cli.main import run
from flexkit.deployed import Ledger
from flexkit.drivers import qemu

OTHER = "cd" * 16


class Builds:
    """What ``flexkit build`` would have made: ``identity`` of the next build, and what it cannot make."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.identity = OTHER
        self.missing: dict[str, str] = {}
        self.count = 0

    def run(self, board: boards.Board, **options: Any) -> Manifest:
        self.count += 1
        pieces = self.site.images(self.identity)
        images = {
            name: Image(piece.path, piece.sha256, piece.size)
            for name, piece in pieces.items()
            if name not in self.missing
        }
        flavour = options["flavour"]
        return Manifest(
            self.identity, board.name, flavour, options["profile"], {}, images, {}, {}, [], {}, dict(self.missing)
        )


@pytest.fixture
def builds(site: Site, monkeypatch: pytest.MonkeyPatch) -> Builds:
    made = Builds(site)
    monkeypatch.setattr(build, "run", made.run)
    return made


def media(site: Site) -> bytes:
    """The first bytes of every region with an image."""
    found = b""
    for medium in site.instance.type.media:
        with (qemu.media_folder("qemu-virt", "flex") / f"{medium.name}.img").open("rb") as source:
            for region in medium.regions:
                source.seek(region.offset)
                found += source.read(64)
    return found


def test_a_flash_tells_what_it_wrote_and_a_second_that_nothing_was(
    builds: Builds, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["flash"]) == 0
    assert "chunks were written (pflash.bl1, pflash.fip" in capfd.readouterr().out
    assert run(["flash"]) == 0
    assert (
        capfd.readouterr().out
        == f"qemu-virt: build {OTHER[:12]} (flex) verified, all as it should be: nothing was written\n"
    )


def test_a_plan_touches_nothing_and_exits_0(builds: Builds, capfd: pytest.CaptureFixture[str]) -> None:
    before = media(builds.site)
    builds.missing = {"fip": "the vendor's BSP"}
    with lock.acquire("qemu-virt"):
        assert run(["flash", "--plan"]) == 0
    out = capfd.readouterr().out
    assert "MISSING fip: the vendor's BSP" in out
    assert "pflash   kernel       0x0001000000" in out
    assert "as: dd if=" in out
    assert "protected: written only when named" in out
    assert media(builds.site) == before
    assert len(list(Ledger("qemu-virt").entries())) == 1


def test_a_plan_as_json_has_all_of_it(builds: Builds, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["flash", "--plan", "--json"]) == 0
    found = json.loads(capfd.readouterr().out.splitlines()[-1])
    kernel = next(each for each in found["writes"] if each["region"] == "kernel")
    region = builds.site.instance.type.medium("pflash").region("kernel")
    assert (kernel["medium"], kernel["offset"], kernel["tool"]) == ("pflash", region.offset, "file")
    assert len(kernel["sha256"]) == 64
    assert kernel["commands"]
    assert found["missing"] == {}


def test_missing_pieces_refuse_a_flash_with_5(builds: Builds, capfd: pytest.CaptureFixture[str]) -> None:
    builds.missing = {"fip": "the vendor's BSP"}
    before = media(builds.site)
    assert run(["flash"]) == 5
    assert "MISSING fip: the vendor's BSP" in capfd.readouterr().err
    assert media(builds.site) == before


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--region", "fipp"], 2, "no region 'fipp'"),
        (["--region", "fip", "--provision"], 2, "--provision is everything"),
        (["--via", "floppy"], 2, "floppy"),
        (["-b", "nonesuch"], 2, "no board is called"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_2(
    builds: Builds, capfd: pytest.CaptureFixture[str], words: list[str], code: int, told: str
) -> None:
    assert run(["flash", *words]) == code
    assert told in capfd.readouterr().err
    assert builds.count == 0, "nothing is built for it"


def test_a_board_in_somebodys_hands_is_8(builds: Builds, capfd: pytest.CaptureFixture[str]) -> None:
    with lock.acquire("qemu-virt"):
        assert run(["flash"]) == 8
    assert "in use by" in capfd.readouterr().err


@pytest.mark.field("F18")
def test_a_rehearsal_makes_files_and_enters_nothing(builds: Builds, tmp_path: Path) -> None:
    assert run(["flash", "--rehearse", str(tmp_path / "card")]) == 0
    assert {path.name for path in (tmp_path / "card").iterdir()} == {
        f"{medium.name}.{end}" for medium in builds.site.instance.type.media for end in ("img", "bmap")
    }
    assert len(list(Ledger("qemu-virt").entries())) == 1


def test_golden_and_rollback_by_command(builds: Builds, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["flash", "golden"]) == 5
    assert "flexkit flash golden --set" in capfd.readouterr().err
    assert run(["flash", "rollback"]) == 5
    Ledger("qemu-virt").append("boot", "flex", BUILD, True, {})
    assert run(["flash", "golden", "--set"]) == 0
    assert run(["flash"]) == 0
    assert run(["flash", "rollback"]) == 0
    assert f"back to build {BUILD[:12]}" in capfd.readouterr().out
    assert run(["flash"]) == 0
    assert run(["flash", "golden"]) == 0
    current = Ledger("qemu-virt").current("flex")
    assert current is not None
    assert current.identity == BUILD


@pytest.mark.parametrize("name", sorted(boards.known()))
def test_every_board_type_has_a_plan_from_sector_0(
    builds: Builds, capfd: pytest.CaptureFixture[str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A type that nobody has here, nothing built: each medium, region and command is known all the same."""
    board = boards.load(name)
    names = {region.image for medium in board.media for region in medium.regions if region.image}
    builds.site.instance = boards.Instance(name, board, boards.LabBoard(name))
    assert run(["flash", "-b", name, "--plan", "--provision", "--json"]) == 0
    found = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert {(each["medium"], each["region"]) for each in found["writes"]} == {
        (medium.name, region.name) for medium in board.media for region in medium.regions if region.image
    }
    assert all(each["commands"] and each["tool"] for each in found["writes"])
    loaders = {way.loader for medium in board.media for way in medium.ways} - {""}
    assert set(found["missing"]) <= loaders
    builds.missing = dict.fromkeys(names, "its vendor")
    assert run(["flash", "-b", name, "--plan", "--json"]) == 0
    found = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert found["writes"] == []
    assert set(found["missing"]) - loaders <= names


@pytest.mark.field("F18")
@pytest.mark.parametrize("name", sorted(name for name in boards.known() if not boards.load(name).emulated))
def test_a_type_that_nobody_has_is_not_flashed_but_rehearsed(
    builds: Builds, capfd: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    """F18: what a card would hold, on files, each region where the board file has it."""
    assert run(["flash", "-b", name]) == 2
    board = boards.load(name)
    builds.site.instance = boards.Instance(name, board, boards.LabBoard(name))
    assert run(["flash", "-b", name, "--rehearse", str(tmp_path / "card")]) == 0
    for medium in board.media:
        with (tmp_path / "card" / f"{medium.name}.img").open("rb") as card:
            for region in medium.regions:
                if region.image is not None:
                    card.seek(region.offset)
                    wanted = f"{OTHER} {region.image}".encode()
                    assert card.read(len(wanted)) == wanted


def test_what_was_backed_up_is_listed_and_put_back(builds: Builds, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["flash", "restore", "--list"]) == 0
    assert "nothing was ever backed up" in capfd.readouterr().err
    region = builds.site.instance.type.medium("disk").region("identity")
    image = qemu.media_folder("qemu-virt", "flex") / "disk.img"
    with image.open("r+b") as sink:
        sink.seek(region.offset)
        sink.write(b"keys")
    builds.identity = BUILD
    assert run(["flash", "--region", "identity"]) == 0
    said = capfd.readouterr()
    assert "flexkit flash restore identity-" in said.err
    assert run(["flash", "restore"]) == 2
    assert run(["flash", "restore", "--list"]) == 0
    listed = capfd.readouterr().out
    assert listed.split()[1:4] == ["disk.identity", str(region.size), "bytes"]
    assert run(["flash", "restore", listed.split()[0]]) == 0
    assert "disk.identity restored, 1 chunks were written" in capfd.readouterr().out
    with image.open("rb") as source:
        source.seek(region.offset)
        assert source.read(4) == b"keys"
    assert run(["flash", "restore", "no-such"]) == 2
