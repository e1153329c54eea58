"""The private apt: the machine's mirrors in whatever form, versions in Debian's order, packages with their hashes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from flexkit.build import apt
from flexkit.build.apt import Apt, mirrors
from flexkit.deadline import Deadline
from flexkit.errors import BuildError, MissingTool

MIRROR, SECURITY = "http://mirror.example/debian/", "http://mirror.example/debian-security/"


def soon() -> Deadline:
    return Deadline(10.0, "test")


class Played:
    """Stands for ``run``: answers by the first word that is not an option, keeps the command lines."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers
        self.commands: list[list[str]] = []

    def __call__(self, command: Sequence[Any], deadline: Deadline, **_: Any) -> str:
        words = [str(word) for word in command]
        self.commands.append(words)
        return next((text for verb, text in self.answers.items() if verb in words), "")


def play(monkeypatch: pytest.MonkeyPatch, **answers: str) -> Played:
    made = Played(**answers)
    monkeypatch.setattr(apt, "run", made)
    return made


def test_mirrors_are_known_by_their_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "https://other.example/node|. nodistro|. nodistro|nodistro",
        f"{MIRROR}|Debian Backports|Debian Backports|bookworm-backports",
        "http://odd.example/mirror/of/debian-main|Debian|Debian|bookworm",
        f"{SECURITY}|Debian|Debian-Security|bookworm-security",
    ]
    play(monkeypatch, indextargets="\n".join(lines))
    assert mirrors(soon()) == {"debian": MIRROR, "debian-security": SECURITY}


def test_without_lists_mirrors_are_known_by_their_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    play(monkeypatch, indextargets=f"{MIRROR}|||bookworm\n{SECURITY}|||bookworm-security\n")
    assert mirrors(soon()) == {"debian": MIRROR, "debian-security": SECURITY}


def test_a_machine_without_a_debian_mirror_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    play(monkeypatch, indextargets="https://other.example/ubuntu|Ubuntu|Ubuntu|noble\n")
    with pytest.raises(MissingTool, match="no Debian mirror"):
        mirrors(soon())


def test_the_private_sources_name_our_suites_on_the_machines_mirrors(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    play(monkeypatch, indextargets=f"{MIRROR}|Debian|Debian|bookworm\n{SECURITY}|Debian|Debian-Security|bookworm\n")
    Apt(tmp_path, ("trixie", "trixie-security")).update(soon())
    lines = [line.split("] ")[-1] for line in (tmp_path / "sources.list").read_text().splitlines()]
    assert f"{MIRROR} trixie main" in lines[0]
    assert f"{SECURITY} trixie-security main" in lines[2]
    assert len(lines) == 4


def test_nothing_outside_its_own_folder_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    played = play(monkeypatch, indextargets=f"{MIRROR}|Debian|Debian|bookworm\n")
    Apt(tmp_path, ("trixie",)).update(soon())
    words = played.commands[-1]
    for option in ("Dir::State", "Dir::State::Lists", "Dir::State::status", "Dir::Cache"):
        value = next(word for word in words if word.startswith(f"{option}="))
        assert value.removeprefix(f"{option}=").startswith(str(tmp_path))


def test_versions_come_newest_first_and_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rows = ["6.12.9-1", "6.12.117-1", "6.12.117-1~deb12u1", "6.12.107-1", "6.12.117-1"]
    play(
        monkeypatch,
        madison="\n".join(f" linux-source-6.12 | {row} | {MIRROR} trixie/main arm64 Packages" for row in rows),
    )
    found = Apt(tmp_path, ("trixie",)).versions("linux-source-6.12", soon())
    assert found == ["6.12.117-1", "6.12.117-1~deb12u1", "6.12.107-1", "6.12.9-1"]


def test_a_closure_has_names_versions_and_hashes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    line = f"'{MIRROR}pool/z/zlib1g.deb' zlib1g_1%3a1.3_arm64.deb 85028 SHA256:{'a' * 64}"
    play(monkeypatch, install=line)
    found = Apt(tmp_path, ("trixie",)).closure(["zlib1g"], soon())
    assert [(each.name, each.version, each.sha256) for each in found] == [("zlib1g", "1:1.3", "a" * 64)]


def test_a_closure_names_what_has_been_fetched_already(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """apt-get prints no address of an archive that lies in its cache, so it is shown an empty one."""
    apt_of = Apt(tmp_path, ("trixie",))
    apt_of.archives.mkdir(parents=True)
    (apt_of.archives / "zlib1g_1_arm64.deb").touch()
    played = play(monkeypatch, install="")
    apt_of.closure(["zlib1g"], soon())
    (words,) = played.commands
    shown = [Path(word.partition("=")[2]) for word in words if word.startswith("Dir::Cache::Archives=")]
    assert [list(folder.glob("*.deb")) for folder in shown] == [[]]


def test_a_package_without_a_hash_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    play(monkeypatch, install=f"'{MIRROR}pool/z/zlib1g.deb' zlib1g_1_arm64.deb 85028 MD5Sum:{'a' * 32}")
    with pytest.raises(BuildError, match="without its SHA-256"):
        Apt(tmp_path, ("trixie",)).closure(["zlib1g"], soon())


def test_of_a_source_package_only_what_is_wanted_is_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A mirror may lack the .dsc and have the archive."""
    rows = [
        f"'{MIRROR}{name}' {name} 10 SHA256:{digit * 64}" for name, digit in (("a.dsc", "1"), ("a.orig.tar.xz", "2"))
    ]
    played = play(monkeypatch, source="\n".join(rows))
    found = Apt(tmp_path, ("trixie",)).download_source("a", "1", r".*\.orig\.tar\..*", tmp_path / "into", soon())
    assert found == [tmp_path / "into/a.orig.tar.xz"]
    (fetch,) = [words for words in played.commands if "download-file" in words]
    assert fetch[-3:] == [f"{MIRROR}a.orig.tar.xz", str(found[0]), f"SHA256:{'2' * 64}"]
