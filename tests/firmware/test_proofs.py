"""The monitor's transitions, proved (monitor/proofs.c) by CBMC, the bounded model checker for C.

It comes from the Debian suites that the sources come from. That need not be the machine's own, so it is run by its own
suite's loader, with its libraries beside it.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from flexkit import paths
from flexkit.build.apt import Apt
from flexkit.build.sources import SUITES
from flexkit.build.store import Store, identity
from flexkit.deadline import Deadline
from flexkit.errors import BuildError
from flexkit.proc import run

PACKAGES = ("cbmc", "libc6", "libgcc-s1", "libstdc++6", "minisat")
"""What it links; its preprocessor is the machine's gcc."""
SECONDS = 900.0
HERE = Path(__file__).resolve().parent / "monitor"
FIRMWARE = HERE.parents[2] / "firmware"
CORE = FIRMWARE / "monitor/core"
SOURCES = [HERE / "proofs.c", *(CORE / f"{name}.c" for name in ("core", "batch", "move", "region"))]
FLAGS = [
    *(f"-I{FIRMWARE / 'abi'}", f"-I{CORE}"),
    # More rounds than any loop makes there, which is proved too; the table of calls is longer.
    *("--unwind", "6", "--unwindset", "flex_dispatch.0:18,proof_others.0:12", "--unwinding-assertions"),
    *("--bounds-check", "--pointer-check", "--drop-unused-functions", "--slice-formula", "--object-bits", "10"),
]
PROOFS = re.findall(r"^void (proof_\w+)\(void\)$", SOURCES[0].read_text(), re.MULTILINE)


@dataclass(frozen=True)
class Cbmc:
    """CBMC, unpacked below ``root``."""

    root: Path

    def check(self, sources: Sequence[Path], function: str, deadline: Deadline) -> subprocess.CompletedProcess[str]:
        loader = next(self.root.glob("usr/lib*/**/ld-linux-*.so.*"))
        folders = [*self.root.glob("usr/lib/*-linux-gnu*"), self.root / "usr/lib"]
        command = [loader, "--library-path", ":".join(map(str, folders)), self.root / "usr/bin/cbmc"]
        return subprocess.run(
            [*command, "--function", function, *FLAGS, *sources],
            capture_output=True,
            text=True,
            timeout=deadline.remaining,
            check=False,
        )


def _unpack(at: Path, deadline: Deadline) -> None:
    architecture = run(["dpkg", "--print-architecture"], deadline, error=BuildError).strip()
    with TemporaryDirectory() as folder:
        apt = Apt(Path(folder), SUITES, architecture)
        apt.update(deadline)
        for package in PACKAGES:
            newest = apt.versions(package, deadline)[0]
            for file in apt.download(package, newest, Path(folder) / "packages", deadline):
                run(["dpkg", "-x", str(file), str(at)], deadline, error=BuildError)


@pytest.fixture(scope="module")
def cbmc() -> Cbmc:
    deadline = Deadline(SECONDS, "CBMC")
    key = identity({"packages": " ".join(PACKAGES), "suites": " ".join(SUITES)})
    return Cbmc(Store(paths.cache()).get("cbmc", key, lambda at: _unpack(at, deadline), deadline))


@pytest.mark.parametrize("proof", PROOFS)
def test_whatever_the_state_was_before_a_call(cbmc: Cbmc, proof: str) -> None:
    result = cbmc.check(SOURCES, proof, Deadline(SECONDS, proof))
    print(result.stdout, result.stderr)
    assert "VERIFICATION SUCCESSFUL" in result.stdout
    assert result.returncode == 0


def test_a_recall_that_does_not_scrub_is_found_out(cbmc: Cbmc, tmp_path: Path) -> None:
    """The control: the core with that one line taken out."""
    spoilt = tmp_path / "batch.c"
    line = "\tflex_scrub(m, page);\n"
    assert (CORE / "batch.c").read_text().count(line) == 1
    spoilt.write_text((CORE / "batch.c").read_text().replace(line, ""))
    sources = [spoilt if source.name == "batch.c" else source for source in SOURCES]
    result = cbmc.check(sources, "proof_recall", Deadline(SECONDS, "control"))
    print(result.stdout, result.stderr)
    assert "VERIFICATION FAILED" in result.stdout
    assert re.search(r"op_map\.assertion.*FAILURE", result.stdout)
