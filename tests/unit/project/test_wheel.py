"""The wheel is the whole tool: it finds boards, firmware and kernel patches inside itself."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from flexkit import paths


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as an installer would lay it out. Built without the network."""
    folder = tmp_path_factory.mktemp("wheel")
    words = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, paths.project()]
    result = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert result.returncode == 0, result.stdout
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(unpacked: Path, where: Path, script: str) -> str:
    """Run Python away from the checkout, with the wheel's packages first."""
    env = {**os.environ, "PYTHONPATH": str(unpacked)}
    words = [sys.executable, "-c", script]
    return subprocess.run(words, cwd=where, env=env, check=True, capture_output=True, text=True).stdout


def test_it_carries_everything_that_it_builds_from(unpacked: Path) -> None:
    for name in ("firmware", "kernel-patches", "boards", "models", "tests/system/modules"):
        here = {path.relative_to(paths.project()) for path in (paths.project() / name).rglob("*") if path.is_file()}
        there = {
            path.relative_to(unpacked / "flexkit/_project")
            for path in (unpacked / "flexkit/_project" / name).rglob("*")
        }
        kept = {path for path in here if "__pycache__" not in path.parts and path.suffix not in (".o", ".a")}
        assert kept <= there, sorted(str(path) for path in kept - there)


def test_it_works_away_from_the_checkout(unpacked: Path, tmp_path: Path) -> None:
    text = run(unpacked, tmp_path, "from flexkit.cli import main; main.run(['boards', 'show', 'qemu-virt'])")
    assert text.startswith("qemu-virt: ")
    where = run(unpacked, tmp_path, "from flexkit import paths; print(paths.project(), paths.checkout())").split()
    assert where == [str(unpacked / "flexkit/_project"), "None"]


def test_it_finds_its_own_files(unpacked: Path, tmp_path: Path) -> None:
    script = "from flexkit.build import rootfs; from flexkit import doctor; print(rootfs.OVERLAY, doctor.SETUP)"
    for name in run(unpacked, tmp_path, script).split():
        assert Path(name).exists()
        assert Path(name).is_relative_to(unpacked)
