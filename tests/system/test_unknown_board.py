"""From a board that nobody knows to a benchmark on it, as on a bench: found, flashed over its console, measured, and
later updated over SSH into the other slot. The tool does not know that QEMU hangs on the supply (fakes/supply.py)."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import supply

from flexkit import boards, build
from flexkit.boards import Instance
from flexkit.build import uboot
from flexkit.build.manifest import Image, Manifest
from flexkit.cli.main import run
from flexkit.deadline import Deadline
from flexkit.deployed import Ledger, make_plan
from flexkit.digest import sha256_of
from flexkit.drivers import open_board
from flexkit.drivers.qemu import free_port
from flexkit.errors import FlashError
from flexkit.events import Bus
from flexkit.flash import slots
from flexkit.report.reading import load

TYPE = "qemu-virt-uboot"
LIMIT = 900.0


@dataclass
class Bench:
    folder: Path
    manifest: Manifest

    @property
    def lab(self) -> Path:
        return self.folder / "lab.toml"

    @property
    def instance(self) -> Instance:
        return boards.resolve("bench", self.lab)

    def run(self, *words: str) -> int:
        return run([*words, "-b", "bench", "--lab", str(self.lab)])

    def slot(self) -> str:
        """Which one the board runs from, by what U-Boot told its kernel."""
        with open_board(self.instance, Deadline(LIMIT, "slot"), Bus()) as session:
            told = session.client.check("tr '\\0' ' ' </proc/device-tree/chosen/bootargs", Deadline(60, "slot"))
        return told.strip().rpartition("flexkit.slot=")[2]


@pytest.fixture(scope="module")
def bench(state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Two commands: ``discover --add``, ``flash``."""
    folder = tmp_path_factory.mktemp("bench")
    board = boards.load(TYPE)
    manifest = build.run(board, bus=Bus(), deadline=Deadline(3600, "build"))
    port = free_port()
    supply.wire_blank(board, folder, port)
    supply.main("on", folder)
    made = Bench(folder, manifest)
    try:
        switch, told = supply.commands(folder)
        words = ["--type", TYPE, "--serial", str(folder / "tty"), "--ssh", f"127.0.0.1:{port}"]
        words += ["--power", switch, "--power-state", told, "--sd", str(folder / "pflash.img")]
        words += ["--tftp", str(folder / "tftp"), "--server", "10.0.2.2", "--lab", str(made.lab)]
        assert run(["boards", "discover", "--add", "bench", *words]) == 0
        supply.main("off", folder)  # its flash goes into the programmer
        assert made.run("flash", "--timeout", str(LIMIT)) == 0
        yield made
    finally:
        supply.main("off", folder)


def test_it_was_flashed_over_its_console(bench: Bench) -> None:
    (entry,) = Ledger("bench").entries()
    assert entry.good
    proofs = {place.split(".")[0]: each["proof"] for place, each in entry.detail["regions"].items()}
    assert proofs == {"pflash": "read back", "disk": "read back by the board, CRC-32"}


def test_it_is_measured(bench: Bench, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ("--suite", "switch", "--rounds", "1", "--timeout", str(LIMIT), "-o", str(tmp_path / "out"))
    assert bench.run("bench", *words) == 0, capfd.readouterr().err
    made = load(tmp_path / "out")
    assert made.valid
    assert made.rows
    assert bench.run("state", "--json") == 0
    assert json.loads(capfd.readouterr().out.splitlines()[-1])["power"] == "off", "as it was found"


def changed(manifest: Manifest, folder: Path, identity: str, file: str, content: bytes) -> Manifest:
    """The same build but for one file in its slots."""
    folder.mkdir()
    image, source = folder / "boot.ext4", folder / "content"
    shutil.copyfile(manifest.images["boot"].path, image)
    source.write_bytes(content)
    for command in (f"rm {file}", f"write {source} {file}"):
        subprocess.run(["debugfs", "-w", "-R", command, image], check=True, capture_output=True, timeout=60)
    piece = Image(image, sha256_of(image), image.stat().st_size)
    return replace(manifest, identity=identity, images={**manifest.images, "boot": piece})


def update(bench: Bench, manifest: Manifest) -> dict[str, Any]:
    instance = bench.instance
    plan = make_plan(instance.type, manifest.identity, manifest.flavour, manifest.images, manifest.missing)
    limit = Deadline(LIMIT, "update")
    return slots.update(instance, plan, manifest.parts, manifest.profile, Bus(), limit)


def test_a_new_kernel_goes_into_the_other_slot_and_stays(bench: Bench, tmp_path: Path) -> None:
    assert bench.slot() == "a"
    done = update(bench, changed(bench.manifest, tmp_path / "new", "ab" * 16, "note", b"another build"))
    assert list(done) == ["disk.boot-b"]
    assert done["disk.boot-b"]["proof"] == "read back by the board, SHA-256"
    current = Ledger("bench").current("flex")
    assert current is not None
    assert current.identity == "ab" * 16
    assert bench.slot() == "b", "after another cold start too: it was marked good"


def test_a_slot_that_does_not_come_up_is_left_again(bench: Bench, tmp_path: Path) -> None:
    before = Ledger("bench").current("flex")
    assert before is not None
    old = bench.slot()
    dead = uboot.script_image("echo this kernel dies at once\nreset\n")
    broken = changed(bench.manifest, tmp_path / "broken", "cd" * 16, "boot.scr", dead)
    with pytest.raises(
        FlashError, match=rf"did not come up: the board came up in slot {old}; the board runs slot {old}"
    ):
        update(bench, broken)
    *_, failed, present = [entry for entry in Ledger("bench").entries() if entry.action == "flash"]
    assert (failed.identity, failed.good, "did not come up" in failed.detail["failed"]) == ("cd" * 16, False, True)
    assert (present.identity, present.good) == (before.identity, True)
    proven = {entry.identity for entry in Ledger("bench").entries() if entry.action == "boot" and entry.good}
    assert "cd" * 16 not in proven, "no rollback goes there"
    assert bench.slot() == old


def test_what_lies_outside_the_slots_is_not_changed_under_a_board_that_runs(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "rootfs").write_bytes(b"another")
    piece = Image(tmp_path / "rootfs", sha256_of(tmp_path / "rootfs"), 7)
    other = replace(bench.manifest, identity="ef" * 16, images={**bench.manifest.images, "rootfs": piece})
    with pytest.raises(FlashError, match=r"disk\.root would have to change too"):
        update(bench, other)
