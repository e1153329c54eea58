"""The graph: which change makes which part anew. Nothing is built here."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from flexkit import boards, paths
from flexkit.build import load
from flexkit.build.graph import Graph
from flexkit.build.manifest import Flavour, Image, Manifest, Profile
from flexkit.build.sources import Source
from flexkit.build.store import leftover, tree_hash
from flexkit.deadline import Deadline
from flexkit.errors import BadInput, BuildError, MissingTool
from flexkit.events import Bus


class Still(Graph):
    """A graph that neither fetches nor asks for a compiler."""

    def _obtain(self, name: str) -> Source:
        return Source(name, "1", "a" * 64, "known", Path("/nowhere"))


def graph(
    project: Path, flavour: Flavour = "flex", profile: Profile = "release", board: boards.Board | None = None
) -> Graph:
    made = Still(board or boards.load("qemu-virt"), flavour, profile, Bus(), Deadline(10.0, "test"))
    made.__dict__.update(project=project, compiler="cc 1", packages=[])
    return made


def keys(made: Graph) -> dict[str, str]:
    names = ("kernel", "modules", "monitor", "payload", "agent", "rootfs", "tf_a")
    return {name: getattr(made, name)().key for name in names}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project's folders that a test may change."""
    for name in ("firmware", "kernel-patches", "tests/system/modules"):
        shutil.copytree(paths.project() / name, tmp_path / name)
    return tmp_path


def changed(project: Path, file: str) -> set[str]:
    """The parts whose identity changes with a file."""
    before = keys(graph(project))
    path = project / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text((path.read_text() if path.exists() else "") + "\n/* changed */\n")
    after = keys(graph(project))
    return {name for name in before if before[name] != after[name]}


@pytest.mark.parametrize(
    ("file", "parts"),
    [
        ("firmware/monitor/core/core.c", {"monitor"}),
        ("firmware/payload/runtime/thread.c", {"payload"}),
        ("firmware/payload/engine/src/math.c", {"payload", "agent", "rootfs"}),
        ("firmware/agent/agent.c", {"agent", "rootfs"}),
        ("kernel-patches/config/flex.config", {"kernel", "modules"}),
        ("tests/system/modules/flexattack/flexattack.c", {"modules"}),
        ("firmware/abi/flexkit/smc.h", {"monitor", "payload", "agent", "rootfs", "kernel", "modules"}),
    ],
)
def test_a_change_makes_anew_what_depends_on_it_and_nothing_else(project: Path, file: str, parts: set[str]) -> None:
    assert changed(project, file) == parts


def test_what_a_compiler_left_behind_is_no_input(project: Path) -> None:
    assert changed(project, "firmware/monitor/core/core.o") == set()
    assert changed(project, "firmware/payload/engine/README.md") == set()


def test_the_stock_kernel_does_not_depend_on_our_patches(project: Path) -> None:
    before = graph(project, "stock").kernel().key
    (project / "kernel-patches/config/flex.config").write_text("CONFIG_X=y\n")
    assert graph(project, "stock").kernel().key == before


def test_the_board_reaches_the_firmware_but_its_title_does_not(project: Path) -> None:
    board = boards.load("qemu-virt")
    before = keys(graph(project, board=board))
    assert keys(graph(project, board=dataclasses.replace(board, title="another"))) == before
    fewer = dataclasses.replace(board, monitor=dataclasses.replace(board.monitor, slots=1024))
    after = keys(graph(project, board=fewer))
    assert {name for name in before if before[name] != after[name]} == {"monitor", "payload", "tf_a"}


def test_the_board_with_u_boot_costs_no_second_kernel(project: Path) -> None:
    shutil.copytree(paths.project() / "boards", project / "boards")
    plain, uboot = (graph(project, board=boards.load(name)) for name in ("qemu-virt", "qemu-virt-uboot"))
    for part in ("kernel", "agent", "rootfs"):
        assert getattr(plain, part)().key == getattr(uboot, part)().key
    assert plain.monitor().key != uboot.monitor().key


def test_the_debug_profile_is_another_firmware_with_the_same_kernel(project: Path) -> None:
    release, debug = keys(graph(project)), keys(graph(project, profile="debug"))
    assert release["monitor"] != debug["monitor"]
    assert release["payload"] != debug["payload"]
    assert release["kernel"] == debug["kernel"]


def test_one_build_has_one_view_of_the_sources(project: Path) -> None:
    made = graph(project)
    before = made.kernel().key
    (project / "kernel-patches/config/flex.config").write_text("CONFIG_X=y\n")
    assert made.kernel().key == before
    assert graph(project).kernel().key != before


def test_sources_that_change_under_a_build_are_noticed(project: Path, tmp_path: Path) -> None:
    made = graph(project)
    folders = made._firmware("agent")
    inputs = {name: tree_hash([folder], skip=leftover) for name, folder in folders.items()}
    assert (made._snapshot(tmp_path / "one", folders, inputs) / "firmware/agent/agent.c").is_file()
    (project / "firmware/agent/agent.c").write_text("/* changed */\n")
    with pytest.raises(BuildError, match="firmware/agent was changed"):
        made._snapshot(tmp_path / "two", folders, inputs)


def test_a_full_disk_is_noticed_before_the_first_part(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, usage = graph(project), shutil.disk_usage("/")
    monkeypatch.setenv("XDG_CACHE_HOME", str(project / "cache"))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1_000_000))
    with pytest.raises(MissingTool, match="this build needs"):
        made.manifest(["payload", "kernel"])
    assert made.store.parts() == []


def test_an_unknown_part_is_refused(project: Path) -> None:
    with pytest.raises(BadInput, match="the stock flavour has no part 'monitor'"):
        graph(project, "stock").manifest(["monitor"])


def test_a_manifest_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    image = Image(tmp_path / "bl1.bin", "0" * 64, 1)
    manifest = Manifest(
        identity="1" * 32,
        board="qemu-virt",
        flavour="flex",
        profile="release",
        parts={"monitor": "2" * 32},
        images={"bl1": image},
        outputs={"monitor": tmp_path},
        sources={},
        packages=[],
        toolchain={},
    )
    saved = manifest.save(tmp_path / "builds")
    assert saved.path == tmp_path / "builds" / f"{'1' * 32}.json"
    assert dataclasses.replace(saved, path=None) == manifest
    assert load(tmp_path / "builds/latest.json").images == {"bl1": image}


@pytest.mark.parametrize("text", ["", "{}", '{"schema": "other"}', "[]"])
def test_what_is_not_a_manifest_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "m.json"
    path.write_text(text)
    with pytest.raises(BadInput, match="manifest"):
        load(path)
