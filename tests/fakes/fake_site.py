"""A site of its own for each test: state, run-time folder, and an emulated board that was flashed."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fake_agent import AGENT_ID, host_agent
from fake_qemu import install

from flexkit import boards
from flexkit.boards import Instance
from flexkit.deadline import Deadline
from flexkit.deployed import make_plan
from flexkit.deployed.ledger import KeptImage
from flexkit.events import Bus
from flexkit.flash import deploy

BUILD = "ab" * 16


def emulators() -> set[int]:
    """Processes of the fake emulator that this test run has."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes()
            parent = (folder / "stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if b"fake_qemu.py" in words and os.environ["XDG_RUNTIME_DIR"].encode() in words and parent != "Z":
            found.add(int(folder.name))
    return found


@dataclass
class Site:
    """``behave`` sets what the emulator does (fake_qemu.BEHAVIOURS)."""

    instance: Instance
    runtime: Path
    monkeypatch: pytest.MonkeyPatch

    def behave(self, how: str) -> None:
        self.monkeypatch.setenv("FAKE_QEMU", how)

    def images(self, identity: str, only: str | None = None) -> dict[str, KeptImage]:
        """Small images that say whose they are, for every region that has one."""
        folder = self.runtime / "images" / identity
        folder.mkdir(parents=True, exist_ok=True)
        images = {}
        for medium in self.instance.type.media:
            for region in medium.regions:
                if region.image is not None and only in (None, region.image):
                    data = f"{identity} {region.image}".encode()
                    (folder / region.image).write_bytes(data)
                    images[region.image] = KeptImage(folder / region.image, hashlib.sha256(data).hexdigest(), len(data))
        return images

    def flash(self, parts: dict[str, str], identity: str = BUILD, flavour: str = "flex") -> None:
        """Deploys small images with these identities."""
        images = self.images(identity)
        plan = make_plan(self.instance.type, identity, flavour, images, {})
        deploy(self.instance, plan, parts, "release", Bus(), Deadline(300, "flash"))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    runtime = Path(tempfile.mkdtemp(prefix="fk-"))
    monkeypatch.setenv("FLEXKIT_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.delenv("FLEXKIT_LAB", raising=False)
    monkeypatch.delenv("FLEXKIT_BOARD", raising=False)
    monkeypatch.setenv("PATH", str(install(tmp_path / "bin", host_agent())), prepend=":")
    made = Site(boards.resolve("qemu-virt"), runtime, monkeypatch)
    made.behave("")
    made.flash({"agent": AGENT_ID})
    yield made
    shutil.rmtree(runtime, ignore_errors=True)
