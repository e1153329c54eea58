"""Style and types, as `make lint` has them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from flexkit import paths

TOP = paths.project()
BIN = Path(sys.executable).parent
C_FOLDERS = ("firmware", "tests/firmware", "tests/system/modules")
C_EXEMPT = ("unicode_tables.h",)  # generated
C_PROBLEMS = {
    "blank at the end": re.compile(r"[ \t]$"),
    "indented by blanks": re.compile(r"^ {2,}[^ *]"),
    "blank before a tab": re.compile(r"^\t* +\t"),
    "brace on a line of its own": re.compile(r"^\t+\{$"),
    "keyword without a blank": re.compile(r"^\s*(if|for|while|switch)\("),
}


def run(*words: str | Path) -> None:
    result = subprocess.run(words, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    print(result.stdout)
    assert result.returncode == 0


def test_ruff() -> None:
    run(BIN / "ruff", "check", "toolkit", "tests")


def test_ruff_format() -> None:
    run(BIN / "ruff", "format", "--check", "toolkit", "tests")


def test_mypy() -> None:
    run(BIN / "mypy")


def c_files() -> list[Path]:
    files = [path for folder in C_FOLDERS for path in (TOP / folder).rglob("*.[chS]")]
    return sorted(path for path in files if path.name not in C_EXEMPT)


def test_c_is_laid_out_as_the_kernel_does() -> None:
    """Tabs of eight, lines to 140, no blanks at an end, no brace on a line of its own but a function's."""
    wrong = []
    for path in c_files():
        lines = path.read_text(encoding="utf-8").split("\n")
        for number, line in enumerate(lines, 1):
            problem = next((text for text, pattern in C_PROBLEMS.items() if pattern.search(line)), "")
            problem = problem or ("longer than 140" if len(line.expandtabs(8)) > 140 else "")
            if problem:
                wrong.append(f"{path.relative_to(TOP)}:{number}: {problem}")
        if lines[-1] or lines[-2:] == ["", ""]:
            wrong.append(f"{path.relative_to(TOP)}: must end with one newline")
    assert wrong == []


def test_shell_scripts_parse() -> None:
    run("bash", "-n", TOP / "toolkit/flexkit/setup.sh")
    run("sh", "-n", TOP / ".ci/run")
