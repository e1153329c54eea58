"""The same inputs give the same bytes, wherever the cache lies: each cheap part is built twice."""

from __future__ import annotations

import shutil

import pytest

from flexkit import boards, build, paths
from flexkit.deadline import Deadline
from flexkit.digest import sha256_of
from flexkit.events import Bus

FILES = {
    "monitor": ("bl1.bin", "bl2.bin", "bl31.bin"),
    "payload": ("payload.bin",),
    "agent": ("flexagent", "engine/flxrun"),
    "rootfs": ("rootfs.ext4",),
}


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> tuple[build.Manifest, build.Manifest]:
    """Manifests of the cheap parts from the cache, and from an empty cache elsewhere with the same sources.

    Both are made from a copy of the project, so that nobody edits it between the two.
    """
    project = tmp_path_factory.mktemp("project")
    for name in ("firmware", "boards"):
        shutil.copytree(paths.project() / name, project / name)

    def made() -> build.Manifest:
        board, deadline = boards.load("qemu-virt"), Deadline(900.0, "build")
        return build.run(board, bus=Bus(), deadline=deadline, parts=tuple(FILES))

    cache, other = paths.cache(), tmp_path_factory.mktemp("cache")
    (other / "flexkit").mkdir()
    for name in ("sources", "apt"):
        (other / "flexkit" / name).symlink_to(cache / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "project", lambda: project)
        first = made()
        patch.setenv("XDG_CACHE_HOME", str(other))
        return first, made()


@pytest.mark.parametrize("part", list(FILES))
def test_a_part_built_elsewhere_has_the_same_identity_and_bytes(
    twice: tuple[build.Manifest, build.Manifest], part: str
) -> None:
    first, second = twice
    assert first.parts[part] == second.parts[part]
    assert first.outputs[part] != second.outputs[part]
    for name in FILES[part]:
        assert sha256_of(first.outputs[part] / name) == sha256_of(second.outputs[part] / name), name


def test_each_part_carries_its_identity(twice: tuple[build.Manifest, build.Manifest]) -> None:
    for part, name in (("payload", "payload.bin"), ("agent", "flexagent"), ("monitor", "bl31.bin")):
        identity, data = twice[0].parts[part], (twice[0].outputs[part] / name).read_bytes()
        carried = (identity.encode() in data, bytes.fromhex(identity) in data)
        assert any(carried), f"{name} does not hold {identity}"


def test_nothing_of_this_machine_is_in_the_images(twice: tuple[build.Manifest, build.Manifest]) -> None:
    place = str(twice[1].outputs["agent"].parents[1]).encode()
    for part, names in FILES.items():
        for name in names:
            assert place not in (twice[1].outputs[part] / name).read_bytes(), name
