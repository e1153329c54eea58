"""Debian packages without root: apt with its own sources, lists and status, beside the machine's.

The mirrors are the machine's own (``apt-get indextargets``), whatever form its sources have; the suites are ours. apt
verifies what it downloads against the signed lists of the archive.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flexkit.deadline import Deadline
from flexkit.errors import BuildError, MissingTool
from flexkit.proc import run

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_FORMAT = "$(REPO_URI)|$(ORIGIN)|$(LABEL)|$(CODENAME)"
# The archive's own signed lists carry these labels; a machine that never ran apt-get update is known by its paths.
_LABELS = {"Debian": "debian", "Debian-Security": "debian-security"}
_HELPER = "/usr/lib/apt/apt-helper"
_URI_LINE = re.compile(r"^'([^']+)' (\S+) (\d+) (?:SHA256:([0-9a-f]{64}))?")


@dataclass(frozen=True)
class Package:
    """A package that apt chose: ``file`` is its name in the download folder."""

    name: str
    version: str
    file: str
    sha256: str


def mirrors(deadline: Deadline) -> dict[str, str]:
    """The machine's mirrors: "debian" and "debian-security" -> URI."""
    lines = run(["apt-get", "indextargets", "--format", _FORMAT], deadline).splitlines()
    found: dict[str, str] = {}
    for line in lines:
        uri, origin, label, _ = line.split("|")
        kind = _LABELS.get(label) if origin == "Debian" else uri.rstrip("/").rpartition("/")[2]
        if kind in _LABELS.values():
            found.setdefault(str(kind), uri)
    if "debian" not in found:
        raise MissingTool(
            "apt on this machine has no Debian mirror from which to fetch sources",
            mend="add a Debian suite to its sources and run apt-get update, or use --source",
        )
    return found


class Apt:
    """A private apt below ``root`` for the suites given ("trixie", "trixie-security"), as seen by an arm64 machine."""

    def __init__(self, root: Path, suites: Sequence[str], architecture: str = "arm64") -> None:
        self.root = root
        self.suites = tuple(suites)
        self.architecture = architecture

    @property
    def archives(self) -> Path:
        return self.root / "cache/archives"

    def _options(self) -> list[str]:
        values = {
            "Dir::Etc::SourceList": self.root / "sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::Etc::Preferences": "/dev/null",
            "Dir::Etc::PreferencesParts": "/dev/null",
            "Dir::State": self.root / "state",
            "Dir::State::Lists": self.root / "lists",
            "Dir::State::status": self.root / "status",
            "Dir::Cache": self.root / "cache",
            "APT::Architecture": self.architecture,
            "APT::Architectures": self.architecture,
            "APT::Sandbox::User": "",
            "APT::Install-Recommends": "false",
            "APT::Keep-Downloaded-Packages": "true",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            "Acquire::ForceHash": "SHA256",
            "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled": "false",
            "Debug::NoLocking": "true",
        }
        return [word for key, value in values.items() for word in ("-o", f"{key}={value}")]

    def _get(self, words: Sequence[str], deadline: Deadline, cwd: Path | None = None) -> str:
        return run(["apt-get", *self._options(), "-q", *words], deadline, cwd=cwd, error=BuildError)

    def update(self, deadline: Deadline) -> None:
        """Fetch the suites' lists; a suite that the mirror does not have is left out, with at least one left."""
        for folder in ("lists/partial", "cache/archives/partial", "state"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        (self.root / "status").touch()
        where = mirrors(deadline)
        signed = f"[signed-by={_KEYRING}] " if _KEYRING.is_file() else ""
        lines = []
        for suite in self.suites:
            mirror = where.get("debian-security" if suite.endswith("-security") else "debian")
            if mirror is not None:
                lines += [f"{kind} {signed}{mirror} {suite} main" for kind in ("deb", "deb-src")]
        (self.root / "sources.list").write_text("".join(f"{line}\n" for line in lines))
        self._get(["update"], deadline)

    def versions(self, package: str, deadline: Deadline) -> list[str]:
        """Versions of a package that the lists offer, newest first; each once."""
        text = run(["apt-cache", *self._options(), "madison", package], deadline)
        rows = [[word.strip() for word in line.split("|")] for line in text.splitlines()]
        names = sorted({row[1] for row in rows if len(row) == 3}, key=_VersionKey, reverse=True)
        return list(names)

    def download(self, package: str, version: str, into: Path, deadline: Deadline) -> list[Path]:
        """Fetch a binary package's file."""
        return self._fetch(["download", f"{package}={version}"], into, deadline)

    def download_source(self, package: str, version: str, archive: str, into: Path, deadline: Deadline) -> list[Path]:
        """Fetch of a source package the files that the regular expression ``archive`` describes, and no others.

        Checked by the hashes of the signed lists. What is not wanted need not be there: mirrors have been seen to lack
        a .dsc whose archives they had.
        """
        into.mkdir(parents=True, exist_ok=True)
        text = self._get(["-qq", "source", "--print-uris", f"{package}={version}"], deadline)
        found = []
        for line in text.splitlines():
            match = _URI_LINE.match(line)
            if match and match.group(4) and re.match(archive, match.group(2)):
                path = into / match.group(2)
                words = ["download-file", match.group(1), str(path), f"SHA256:{match.group(4)}"]
                run([_HELPER, *self._options(), *words], deadline, error=BuildError)
                found.append(path)
        return found

    def _fetch(self, words: Sequence[str], into: Path, deadline: Deadline) -> list[Path]:
        into.mkdir(parents=True, exist_ok=True)
        before = set(into.iterdir())
        self._get(words, deadline, into)
        return sorted(set(into.iterdir()) - before)

    def closure(self, packages: Sequence[str], deadline: Deadline) -> list[Package]:
        """What has to be unpacked so that ``packages`` run on an empty system."""
        # With an empty cache for archives: of those that have been fetched apt-get prints no address.
        nothing = self.root / "cache/nothing"
        (nothing / "partial").mkdir(parents=True, exist_ok=True)
        options = ["-o", f"Dir::Cache::Archives={nothing}"]
        text = self._get(["-qq", *options, "install", "--print-uris", *packages], deadline)
        found = []
        for line in text.splitlines():
            match = _URI_LINE.match(line)
            if match is None or not match.group(4):
                raise BuildError(f"apt-get names a package without its SHA-256: {line}")
            name, version, _ = match.group(2).split("_")
            found.append(Package(name, version.replace("%3a", ":"), match.group(2), match.group(4)))
        return sorted(found, key=lambda package: package.name)

    def download_closure(self, packages: Sequence[str], deadline: Deadline) -> None:
        """Fetch a closure into ``archives``."""
        self._get(["-y", "install", "--download-only", *packages], deadline)


class _VersionKey:
    """Orders Debian versions as dpkg does."""

    def __init__(self, version: str) -> None:
        self.version = version

    def __lt__(self, other: _VersionKey) -> bool:
        words = ["dpkg", "--compare-versions", self.version, "lt", other.version]
        return subprocess.run(words, check=False).returncode == 0
