"""The firmware's own tests, built for the host with sanitizers: one for each folder here that has a Makefile."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from flexkit import paths
from flexkit.build import mbedtls
from flexkit.build.store import Store
from flexkit.deadline import Deadline
from flexkit.events import Bus

HERE = Path(__file__).resolve().parent
SUITES = sorted(path.parent.name for path in HERE.glob("*/Makefile"))
SECONDS = 600.0
FUZZ_SECONDS = int(os.environ.get("FLEXKIT_FUZZ_SECONDS", "4"))
"""How long each fuzzer runs."""


@pytest.mark.parametrize("suite", SUITES)
def test_suite(suite: str, tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    library = mbedtls.known(Store(paths.cache()), Bus(), Deadline(SECONDS, "Mbed TLS"))
    command = ["make", "-C", str(HERE / suite), f"-j{os.cpu_count()}", "check", f"OUT={tmp_path}", f"MBEDTLS={library}"]
    command.append(f"SECONDS_OF_FUZZ={FUZZ_SECONDS}")
    result = subprocess.run(
        command,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS + 2 * FUZZ_SECONDS,
        check=False,
    )
    print(result.stdout)
    assert result.returncode == 0


def test_every_part_of_the_firmware_has_tests_here() -> None:
    assert {"monitor", "payload", "engine", "sealing"} <= set(SUITES)
