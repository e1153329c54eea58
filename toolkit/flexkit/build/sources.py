"""Upstream sources: known Debian packages by SHA-256, and the newest of the suite when a mirror has moved on.

Mirrors keep few versions of a suite, so a bare pin dies within weeks. What is in the table below is checked against
it; anything newer is verified by apt's signatures alone and labelled ``unpinned`` in the manifest. A source that has
been fetched is used until ``flexkit cache prune --sources``, without asking the network again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from flexkit.build.apt import Apt
from flexkit.build.store import locked, need_space, tree_hash
from flexkit.deadline import Deadline
from flexkit.digest import sha256_of
from flexkit.errors import BadInput, BuildError
from flexkit.events import Bus

SUITES = ("trixie", "trixie-security")
_SPACE = 500_000_000
"""For the largest source, Linux (150 MB), and apt's lists."""


@dataclass(frozen=True)
class Upstream:
    """A source and its known versions: version -> SHA-256 of the file that holds it."""

    package: str
    kind: Literal["binary", "source"]
    series: str  # versions that are acceptable at all, as a prefix
    archive: str  # regular expression of the file that matters
    known: Mapping[str, str]


UPSTREAMS: Mapping[str, Upstream] = {
    "linux": Upstream(
        package="linux-source-6.12",
        kind="binary",
        series="6.12.",
        archive=r".*\.deb$",
        known={
            # trixie-security
            "6.12.117-1": "9141325315c7f1eca682113d185a8c77c82814aa6e32f7e127e61d6106403835",
            # trixie
            "6.12.107-1": "775b9ef84d7fa7927ccebfec33fbbe9aeb2482ebf9a92c771aafd33fb6e2ee27",
        },
    ),
    "tf-a": Upstream(
        package="arm-trusted-firmware",
        kind="source",
        series="2.12.",
        archive=r".*\.orig\.tar\..*",
        known={
            # trixie
            "2.12.1+dfsg-1": "332c08d71867b7f0dce0bce4cb2abd80f19cb3e0a2de6fe07245c111189d6fb7",
        },
    ),
    "u-boot": Upstream(
        package="u-boot",
        kind="source",
        series="2025.01-",
        archive=r".*\.orig\.tar\.(bz2|gz|xz)$",
        known={
            # trixie
            "2025.01-3+deb13u1": "cdef7d507c93f1bbd9f015ea9bc21fa074268481405501945abc6f854d5b686f",
        },
    ),
    "u-boot-qemu": Upstream(
        package="u-boot-qemu",
        kind="binary",
        series="2025.01-",
        archive=r".*\.deb$",
        known={
            # trixie
            "2025.01-3+deb13u1": "a3751b5d36a411457b2e7a2834cdce0e5d40493e6588a65d51c5603740a0c71c",
        },
    ),
    "u-boot-rpi": Upstream(
        package="u-boot-rpi",
        kind="binary",
        series="2025.01-",
        archive=r".*\.deb$",
        known={
            # trixie
            "2025.01-3+deb13u1": "c9e1aa3a17ccc1ff85858ace8cc43c917d1e0f70f04258438f1ae9b84b8b8c72",
        },
    ),
    "mbedtls": Upstream(
        package="mbedtls",
        kind="source",
        series="3.6.",
        archive=r".*\.orig\.tar\.[a-z0-9]+$",
        known={
            # trixie
            "3.6.6-0.1~deb13u1": "8fb65fae8dcae5840f793c0a334860a411f884cc537ea290ce1c52bb64ca007a",
        },
    ),
}


@dataclass(frozen=True)
class Source:
    """A source in hand. ``path``: the archive, or the folder of ``--source``."""

    name: str
    version: str
    sha256: str
    label: Literal["known", "unpinned", "override"]
    path: Path

    def describe(self) -> dict[str, str]:
        """For the manifest: everything but where it lies on this machine."""
        return {key: str(value) for key, value in asdict(self).items() if key not in ("path", "name")}


def override(name: str, folder: Path) -> Source:
    """A source tree of the user's own (``--source NAME=DIR``)."""
    if name not in UPSTREAMS:
        raise BadInput(f"there is no source {name!r}", mend=f"known: {', '.join(UPSTREAMS)}")
    if not (folder / "Makefile").is_file():
        raise BadInput(f"--source {name}={folder}: there is no source tree (no Makefile in it)")
    if UPSTREAMS[name].kind == "binary" and name != "linux":
        raise BadInput(f"--source {name}={folder}: {name} comes as a package, not as a source tree")
    return Source(name, "override", tree_hash([folder], skip=lambda path: ".git" in path.parts), "override", folder)


def obtain(name: str, root: Path, bus: Bus, deadline: Deadline) -> Source:
    """A source by name, fetched if it is not below ``root`` yet."""
    upstream = UPSTREAMS[name]
    folder = root / "sources" / name
    record = folder / "source.json"
    with locked(root / "locks" / f"source-{name}", deadline, f"fetch {name}"):
        if record.is_file():
            value = json.loads(record.read_text())
            path = folder / value["file"]
            if path.is_file() and sha256_of(path) == value["sha256"]:
                return _source(name, value["version"], value["sha256"], path)
        need_space(root, _SPACE, f"fetching {name}")
        with bus.step(f"fetch {name}", upstream.package):
            return _fetch(name, upstream, root, folder, deadline)


def _fetch(name: str, upstream: Upstream, root: Path, folder: Path, deadline: Deadline) -> Source:
    apt = Apt(root / "apt", SUITES)
    with locked(root / "locks" / "apt", deadline, "apt lists"):
        apt.update(deadline)
        version = choose(upstream, apt.versions(upstream.package, deadline))
        for stale in folder.iterdir() if folder.is_dir() else ():
            stale.unlink()
        if upstream.kind == "binary":
            files = apt.download(upstream.package, version, folder, deadline)
        else:
            files = apt.download_source(upstream.package, version, upstream.archive, folder, deadline)
    matching = [path for path in files if re.match(upstream.archive, path.name)]
    if len(matching) != 1:
        raise BuildError(f"{upstream.package} {version} came without the one archive that is wanted: {files}")
    source = _source(name, version, sha256_of(matching[0]), matching[0])
    text = json.dumps({"version": version, "sha256": source.sha256, "file": matching[0].name})
    (folder / "source.json").write_text(text)
    return source


def _source(name: str, version: str, sha256: str, path: Path) -> Source:
    """Held against the table as it is now: what was fetched before its version was known is known by now."""
    known = UPSTREAMS[name].known.get(version)
    if known is not None and known != sha256:
        raise BuildError(f"{path.name} has SHA-256 {sha256}, known is {known}: it is not what it was")
    return Source(name, version, sha256, "known" if known else "unpinned", path)


def choose(upstream: Upstream, offered: list[str]) -> str:
    """The newest known version that is offered, else the newest of the series. ``offered`` is newest first."""
    fitting = [version for version in offered if version.startswith(upstream.series)]
    for version in fitting:
        if version in upstream.known:
            return version
    if not fitting:
        raise BuildError(
            f"the mirror has no {upstream.package} {upstream.series}x (it has: {', '.join(offered) or 'none'})",
            mend="give a source tree of your own: --source NAME=DIR",
        )
    return fitting[0]
