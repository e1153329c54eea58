"""F5: a stale image was flashed because one of five build steps had not been run, and every step reported success."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from fake_site import Site

from flexkit import boards, build, paths
from flexkit.build.graph import Graph, Node
from flexkit.build.store import identity
from flexkit.deadline import Deadline
from flexkit.deployed import make_plan
from flexkit.digest import sha256_of
from flexkit.errors import FlashError
from flexkit.events import Bus
from flexkit.flash import deploy

STEPS = ("monitor", "payload", "kernel", "rootfs")


def soon() -> Deadline:
    return Deadline(60, "test")


class Steps(Graph):
    """The graph of a board whose parts are texts: each is made from one source file, and packed into one image."""

    folder: Path

    def _step(self, name: str) -> Node:
        source = self.folder / name
        inputs = {"source": sha256_of(source)}
        return Node(name, inputs, lambda at: shutil.copyfile(source, at / "made"), 0)

    def _node(self, name: str) -> Node:
        return self.images() if name == "images" else self._step(name)

    @property
    def parts(self) -> tuple[str, ...]:  # type: ignore[override]
        return STEPS

    def images(self) -> Node:
        nodes = [self._step(name) for name in STEPS]

        def pack(at: Path) -> None:
            image = at / "fip.bin"
            image.write_bytes(b"".join((self.get(node) / "made").read_bytes() for node in nodes))
            listing = {"fip": [str(image), sha256_of(image), image.stat().st_size]}
            (at / "images.json").write_text(json.dumps(listing))

        return Node("images", {node.name: node.key for node in nodes}, pack, 0)


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "sources"
    folder.mkdir()
    for name in STEPS:
        (folder / name).write_text(f"{name} of Monday\n")
    return folder


def built(sources: Path) -> build.Manifest:
    graph = Steps(boards.load("qemu-virt"), "flex", "release", Bus(), soon())
    graph.folder = sources
    graph.__dict__.update(compiler="cc 1", packages=[])
    return graph.manifest()


def script(sources: Path, out: Path, *, forgotten: str) -> bytes:
    """Five build steps run by hand, of which one is forgotten: each that runs succeeds, and so does the packing."""
    for name in STEPS:
        if name != forgotten:
            (out / name).write_bytes((sources / name).read_bytes())
    return b"".join((out / name).read_bytes() for name in STEPS)


@pytest.mark.field("F5")
def test_a_step_that_was_not_run_is_run_because_its_source_changed(sources: Path, tmp_path: Path) -> None:
    by_hand = tmp_path / "by-hand"
    by_hand.mkdir()
    script(sources, by_hand, forgotten="")
    before = built(sources)
    (sources / "payload").write_text("payload of Tuesday\n")
    assert b"payload of Monday" in script(sources, by_hand, forgotten="payload"), "and every step reported success"

    after = built(sources)
    assert after.images["fip"].path.read_bytes() == b"".join((sources / name).read_bytes() for name in STEPS)
    assert after.identity != before.identity
    assert {name for name in STEPS if after.parts[name] != before.parts[name]} == {"payload"}


@pytest.mark.field("F5")
def test_an_image_that_is_not_what_was_built_from_these_sources_is_not_flashed(sources: Path, site: Site) -> None:
    """However it came about: somebody packed an old part, or copied an old image over the new one."""
    stale = built(sources).images["fip"].path.read_bytes()
    (sources / "payload").write_text("payload of Tuesday\n")
    manifest = built(sources)
    manifest.images["fip"].path.write_bytes(stale)
    plan = make_plan(site.instance.type, manifest.identity, "flex", manifest.images, {}, ["pflash.fip"])
    with pytest.raises(FlashError, match=r"fip\.bin is not what was built"):
        deploy(site.instance, plan, manifest.parts, "release", Bus(), soon())


@pytest.mark.field("F5")
def test_going_back_to_the_old_source_brings_the_old_build_and_no_other(sources: Path) -> None:
    """Identities are of contents, not of times: what make would not build again is built again, or found."""
    monday = built(sources)
    (sources / "kernel").write_text("kernel of Tuesday\n")
    tuesday = built(sources)
    (sources / "kernel").write_text("kernel of Monday\n")
    assert built(sources).identity == monday.identity != tuesday.identity
    assert identity(monday.parts) == monday.identity
    assert paths.cache() in monday.images["fip"].path.parents
