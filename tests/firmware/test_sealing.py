"""The payload's way through sealed files against the host's: the same files open, or are refused for the same reason.

Once as the host compiles it, with sanitizers, and once with the processor instructions that the board uses.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import hostile_seals
import pytest
from hostile_seals import Hostile, Seals

from flexkit import paths
from flexkit.build import mbedtls
from flexkit.build.store import Store
from flexkit.deadline import Deadline
from flexkit.events import Bus
from flexkit.models import catalogue, sealed

HERE = Path(__file__).resolve().parent
PROGRAMS = {"host": ["unseal"], "board": ["qemu-aarch64", "unseal-board"]}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the programs."""
    out = tmp_path_factory.mktemp("sealing")
    library = mbedtls.known(Store(paths.cache()), Bus(), Deadline(300, "Mbed TLS"))
    env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    command = ["make", "-C", str(HERE / "sealing"), "-j2", "programs", f"OUT={out}", f"MBEDTLS={library}"]
    subprocess.run(command, env=env, check=True, timeout=300)
    return out


@pytest.fixture(scope="module")
def seals(tmp_path_factory: pytest.TempPathFactory) -> Seals:
    return hostile_seals.make_seals(tmp_path_factory.mktemp("seals"))


def unseal(built: Path, program: str, data: bytes, minimum: int, folder: Path) -> tuple[int, str, bytes]:
    """The number of the refusal, its words, and what came out."""
    *runner, name = PROGRAMS[program]
    (folder / "in").write_bytes(data)
    command = [*runner, str(built / name), str(folder / "in"), str(minimum), str(folder / "out")]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    number, _, words = said.strip().partition(" ")
    return int(number), words, (folder / "out").read_bytes()


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_the_host_sealed_opens(built: Path, seals: Seals, program: str, tmp_path: Path) -> None:
    number, _, out = unseal(built, program, seals.good, 3, tmp_path)
    assert number == 0
    assert out == catalogue.demo_model().read_bytes()


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("case", hostile_seals.HOSTILE, ids=lambda case: case.name)
def test_what_was_touched_is_refused_in_the_same_words(
    built: Path, seals: Seals, case: Hostile, program: str, tmp_path: Path
) -> None:
    number, words, out = unseal(built, program, case.make(seals), case.minimum, tmp_path)
    assert number == case.why
    assert words == sealed.text(f"E_{case.why.name}_TEXT")
    assert catalogue.demo_model().read_bytes().startswith(out)
