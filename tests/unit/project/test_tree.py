"""What holds for every file of the project."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from flexkit import paths

TOP = paths.project()
C_SUFFIXES = (".c", ".h", ".S")
# Written in two pieces so that this file does not find itself.
MACHINE = ("/var/" + "tmp/", "/work/" + "main", "deb." + "debian.org", "/root/" + ".")
LEFTOVERS = ("TO" + "DO", "FIX" + "ME", "XX" + "X")
TEXT = (*C_SUFFIXES, ".py", ".sh", ".toml", ".md", ".mk", ".patch", ".config", ".js", ".css", ".html", ".txt")


def tracked() -> list[Path]:
    """Files that git knows, or would: not those that .gitignore names."""
    words = ["git", "-C", str(TOP), "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()
    return [TOP / name for name in names if (TOP / name).is_file()]


def text_files() -> list[Path]:
    return [
        path for path in tracked() if path.suffix in TEXT or path.name in ("Makefile", "rcS", "rcK", "agent", "run")
    ]


def holding(words: tuple[str, ...]) -> list[str]:
    found = []
    for path in text_files():
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".patch":  # upstream's context is not ours
            text = "\n".join(line for line in text.splitlines() if line.startswith("+"))
        found += [f"{path.relative_to(TOP)}: {word}" for word in words if word in text]
    return found


def test_nothing_names_this_machine_or_a_mirror() -> None:
    assert holding(MACHINE) == []


def test_nothing_is_left_to_do() -> None:
    assert holding(LEFTOVERS) == []


def test_every_c_file_names_its_licence() -> None:
    wrong = []
    for path in tracked():
        if path.suffix in C_SUFFIXES:
            first = path.read_text(encoding="utf-8")[:400]
            if "SPDX-License-Identifier:" not in first:
                wrong.append(str(path.relative_to(TOP)))
    assert wrong == []


def test_the_top_has_only_the_agreed_names() -> None:
    agreed = {"README.md", "Makefile", "pyproject.toml", ".ci", ".gitignore", "toolkit", "firmware", "kernel-patches"}
    agreed |= {"models", "boards", "tests", "reports"}
    assert {path.relative_to(TOP).parts[0] for path in tracked()} <= agreed


@pytest.mark.parametrize("name", ["toolkit/flexkit/setup.sh", ".ci/run"])
def test_programs_are_executable(name: str) -> None:
    assert (TOP / name).stat().st_mode & 0o111
