"""Which version of a source is taken, and what is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from flexkit.build import sources
from flexkit.build.apt import Apt, Package
from flexkit.build.sources import UPSTREAMS, choose, obtain, override
from flexkit.deadline import Deadline
from flexkit.digest import sha256_of
from flexkit.errors import BadInput, BuildError, MissingTool
from flexkit.events import Bus

LINUX = dataclasses.replace(UPSTREAMS["linux"], known={"6.12.107-1": "0" * 64})


def test_the_newest_known_version_is_taken() -> None:
    assert choose(LINUX, ["6.12.200-1", "6.12.107-1", "6.12.1-1"]) == "6.12.107-1"


def test_without_a_known_one_the_newest_of_the_series_is_taken() -> None:
    assert choose(LINUX, ["6.13.1-1", "6.12.200-1", "6.12.199-1"]) == "6.12.200-1"


def test_a_mirror_without_the_series_is_an_error_that_names_what_it_has() -> None:
    with pytest.raises(BuildError, match=r"it has: 6\.13\.1-1") as failure:
        choose(LINUX, ["6.13.1-1"])
    assert "--source" in failure.value.mend


def test_an_override_must_be_a_known_source_and_a_tree(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no source 'u-bolt'"):
        override("u-bolt", tmp_path)
    with pytest.raises(BadInput, match="no Makefile"):
        override("linux", tmp_path)
    (tmp_path / "Makefile").touch()
    assert override("linux", tmp_path).label == "override"
    with pytest.raises(BadInput, match="comes as a package"):
        override("u-boot-qemu", tmp_path)


class FakeApt(Apt):
    """An apt whose mirror has one version; downloading writes ``data``."""

    version = "6.12.107-1"
    data = b"an archive"
    downloads = 0

    def update(self, deadline: Deadline) -> None:
        self.root.mkdir(parents=True, exist_ok=True)

    def versions(self, package: str, deadline: Deadline) -> list[str]:
        return [self.version]

    def download(self, package: str, version: str, into: Path, deadline: Deadline) -> list[Path]:
        type(self).downloads += 1
        into.mkdir(parents=True, exist_ok=True)
        path = into / f"{package}_{version}_all.deb"
        path.write_bytes(self.data)
        return [path]

    def closure(self, packages: object, deadline: Deadline) -> list[Package]:
        return []


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> type[FakeApt]:
    class Mirror(FakeApt):
        pass

    monkeypatch.setattr(sources, "Apt", Mirror)
    return Mirror


def get(root: Path) -> sources.Source:
    return obtain("linux", root, Bus(), Deadline(10.0, "test"))


def test_a_file_that_is_not_the_known_one_is_refused(tmp_path: Path, mirror: type[FakeApt]) -> None:
    with pytest.raises(BuildError, match="it is not what it was"):
        get(tmp_path)
    assert not (tmp_path / "sources/linux/source.json").exists()


def test_a_newer_version_is_labelled_unpinned_and_fetched_once(tmp_path: Path, mirror: type[FakeApt]) -> None:
    mirror.version = "6.12.200-1"
    first = get(tmp_path)
    assert (first.label, first.version, first.sha256) == ("unpinned", "6.12.200-1", sha256_of(first.path))
    assert get(tmp_path) == first
    assert mirror.downloads == 1


def test_a_source_that_was_spoilt_on_the_disk_is_fetched_again(tmp_path: Path, mirror: type[FakeApt]) -> None:
    mirror.version = "6.12.200-1"
    first = get(tmp_path)
    first.path.write_bytes(b"spoilt")
    assert sha256_of(get(tmp_path).path) == first.sha256
    assert mirror.downloads == 2


def test_the_manifests_description_names_no_path(tmp_path: Path, mirror: type[FakeApt]) -> None:
    mirror.version = "6.12.200-1"
    assert str(tmp_path) not in json.dumps(get(tmp_path).describe())


def test_a_full_disk_is_refused_before_anything_is_fetched(
    tmp_path: Path, mirror: type[FakeApt], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    with pytest.raises(MissingTool, match=r"fetching linux needs 0\.5 GB"):
        get(tmp_path)
    assert not (tmp_path / "sources").exists()


def test_a_source_is_known_as_soon_as_the_table_knows_it(
    tmp_path: Path, mirror: type[FakeApt], monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.version = "6.12.200-1"
    first = get(tmp_path)
    now = dataclasses.replace(UPSTREAMS["linux"], known={first.version: first.sha256})
    monkeypatch.setitem(UPSTREAMS, "linux", now)
    assert get(tmp_path) == dataclasses.replace(first, label="known")
    monkeypatch.setitem(UPSTREAMS, "linux", dataclasses.replace(now, known={first.version: "0" * 64}))
    with pytest.raises(BuildError, match="it is not what it was"):
        get(tmp_path)
    assert mirror.downloads == 1
