"""The set-up script's decisions, on machines played by a few stub programs. Nothing is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from flexkit import paths

SCRIPT = paths.project() / "toolkit/flexkit/setup.sh"
REAL = ("bash", "sh", "env", "true", "awk", "sed", "grep", "cat", "head", "mkdir", "dirname", "sha256sum", "readlink")


class Machine:
    """A folder of programs: the real ones that the script needs anyway, and stubs that log how they were called."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.log = folder / "log"
        self.bin.mkdir()
        self.log.touch()
        for name in REAL:
            real = shutil.which(name)
            assert real, name
            (self.bin / name).symlink_to(real)

    def stub(self, name: str, body: str) -> None:
        path = self.bin / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>"{self.log}"\n{body}\n')
        path.chmod(0o755)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        env = {"PATH": str(self.bin), "HOME": str(self.bin.parent), "LC_ALL": "C"}
        bash = self.bin / "bash"
        return subprocess.run([bash, SCRIPT, *words], env=env, capture_output=True, text=True, check=False, timeout=60)

    def calls(self, program: str) -> list[str]:
        return [line for line in self.log.read_text().splitlines() if line.startswith(f"{program} ")]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """An ordinary user's machine with nothing installed and no sudo."""
    made = Machine(tmp_path)
    made.stub("id", "echo 1000")
    made.stub("dpkg-query", "exit 1")
    made.stub("apt-get", 'case "$*" in *indextargets*) echo "Debian bookworm http://mirror.example/debian/" ;; esac')
    made.stub("tee", 'cat >"$0.written"')
    return made


def test_missing_packages_are_listed_one_a_line(machine: Machine) -> None:
    names = machine.run("--missing").stdout.split("\n")[:-1]
    assert {"gcc", "gcc-aarch64-linux-gnu", "python3-venv", "qemu-system-arm"} <= set(names)
    assert machine.calls("apt-get") == []


def test_what_is_installed_is_not_listed(machine: Machine) -> None:
    machine.stub("dpkg-query", 'case "$*" in *" gcc") echo installed ;; *) echo not-installed ;; esac')
    assert "gcc" not in machine.run("--missing").stdout.split()


def test_an_old_emulator_is_missing_and_a_new_one_is_not(machine: Machine) -> None:
    machine.stub("dpkg-query", "echo installed")
    machine.stub("qemu-system-aarch64", "echo 'QEMU emulator version 7.2.11 (Debian)'")
    assert machine.run("--missing").stdout.split() == ["qemu-system-arm", "qemu-utils"]
    machine.stub("qemu-system-aarch64", "echo 'QEMU emulator version 10.0.2 (Debian)'")
    assert machine.run("--missing").stdout == ""


def test_neither_root_nor_sudo_is_told_what_to_run(machine: Machine) -> None:
    result = machine.run("--packages")
    assert result.returncode == 3
    assert "neither root nor may use sudo" in result.stderr
    assert "apt-get" in result.stderr
    assert machine.calls("apt-get") == []


def test_a_sudo_that_asks_for_a_password_is_no_sudo(machine: Machine) -> None:
    machine.stub("sudo", "exit 1")
    assert machine.run("--packages").returncode == 3
    assert machine.calls("apt-get") == []


def test_a_user_with_sudo_installs_by_it(machine: Machine) -> None:
    machine.stub("sudo", 'shift; exec "$@"')
    assert machine.run("--packages").returncode == 0
    assert any("install" in call and "gcc-aarch64-linux-gnu" in call for call in machine.calls("apt-get"))


def test_debian_12_gets_its_emulator_from_the_same_mirrors_backports(machine: Machine) -> None:
    if 'VERSION_ID="12"' not in Path("/etc/os-release").read_text():
        return  # Debian 13 has it in its own suite: nothing to add
    machine.stub("id", "echo 0")
    assert machine.run("--packages").returncode == 0
    assert (
        "URIs: http://mirror.example/debian/\nSuites: bookworm-backports\n" in (machine.bin / "tee.written").read_text()
    )
    assert any("-t bookworm-backports install qemu-system-arm" in call for call in machine.calls("apt-get"))


def test_root_needs_no_sudo(machine: Machine) -> None:
    machine.stub("id", "echo 0")
    machine.stub("sudo", "exit 1")
    assert machine.run("--packages").returncode == 0
    assert machine.calls("sudo") == []


def test_with_everything_installed_nothing_is_asked_of_root(machine: Machine) -> None:
    machine.stub("dpkg-query", "echo installed")
    machine.stub("qemu-system-aarch64", "echo 'QEMU emulator version 10.0.2 (Debian)'")
    assert machine.run("--packages").returncode == 0
    assert machine.calls("apt-get") == []


def test_an_unknown_option_is_refused(machine: Machine) -> None:
    assert machine.run("--nonsense").returncode == 2


def test_a_second_run_of_this_checkout_does_nothing() -> None:
    if not (paths.project() / ".venv/.flexkit-setup").is_file():
        pytest.fail("this checkout was not set up by make setup")
    env = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
    result = subprocess.run([SCRIPT], env=env, capture_output=True, text=True, check=False, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")
