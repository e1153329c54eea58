"""The program as a whole: help is quick and complete, failures are one message and the documented exit code."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from flexkit import errors
from flexkit.cli import main

PROGRAM = [sys.executable, "-c", "from flexkit.cli.main import main; main()"]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *words], capture_output=True, text=True, check=False, timeout=60)


def test_help_imports_no_commands_module() -> None:
    script = "import sys; from flexkit.cli import main; main.run(['--help']); "
    script += "print([name for name in sys.modules if name in ('numpy', 'fabric', 'jinja2', 'flexkit.build')])"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


def test_help_names_every_command() -> None:
    text = run("--help").stdout
    for name in main._COMMANDS:
        assert f"  {name} " in text


def leaves(command: click.Command, name: str) -> list[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        return [leaf for key, each in command.commands.items() for leaf in leaves(each, f"{name} {key}")]
    return [(name, command)]


@pytest.mark.parametrize("name", list(main._COMMANDS))
def test_every_command_is_there_and_takes_a_time_limit(name: str) -> None:
    module = importlib.import_module(f"flexkit.cli.{main._COMMANDS[name][0]}")
    found = [each for each in module.COMMANDS if each.name == name]
    assert len(found) == 1
    for path, command in leaves(found[0], name):
        assert "--timeout" in {option for each in command.params for option in each.opts}, path


def test_unknown_board_exits_2_with_one_error_and_no_traceback() -> None:
    result = run("boards", "show", "nobody")
    assert result.returncode == 2
    assert result.stderr.startswith("error: no board is called 'nobody'")
    assert "Traceback" not in result.stderr


def test_debug_shows_the_traceback() -> None:
    assert "Traceback" in run("--debug", "boards", "show", "nobody").stderr


def test_unknown_command_and_option_exit_2() -> None:
    assert run("nonsense").returncode == 2
    assert run("boards", "list", "--nonsense").returncode == 2


def test_a_broken_lab_file_exits_2_and_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "lab.toml"
    path.write_text("default = 1\n\n[board\n")
    result = run("boards", "list", "--lab", str(path))
    assert result.returncode == 2
    assert f"{path}:3:" in result.stderr


def test_json_is_one_line_the_last_on_standard_output() -> None:
    result = run("boards", "list", "--json")
    assert result.returncode == 0
    assert "qemu-virt" in [each["name"] for each in json.loads(result.stdout.splitlines()[-1])["types"]]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.FlexError, 1),
        (errors.Invalid, 1),
        (errors.BadInput, 2),
        (errors.MissingTool, 3),
        (errors.BuildError, 4),
        (errors.FlashError, 5),
        (errors.BoardLost, 6),
        (errors.TimedOut, 7),
        (errors.Busy, 8),
    ],
)
def test_each_failure_has_its_exit_code(
    error: type[errors.FlexError], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error("it went wrong", mend="mend it so")

    monkeypatch.setattr(main.cli, "main", fail)
    assert main.run(["boards"]) == code
    assert capsys.readouterr().err == "error: it went wrong\n  mend it so\n"


def test_a_fault_of_our_own_is_one_line_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(main.cli, "main", fail)
    assert main.run(["boards"]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_the_board_option_and_version() -> None:
    assert run("boards", "show", "qemu-virt").stdout.startswith("qemu-virt: ")
    assert run("--version").stdout.startswith("flexkit, version ")


def test_a_wrong_argument_is_one_error_in_the_style_of_the_others() -> None:
    result = run("flash", "--via", "smoke")
    assert result.returncode == 2
    first, second = result.stderr.splitlines()
    assert first.startswith("error: invalid value for '--via': 'smoke' is not one of")
    assert second == "  see: flexkit flash --help"


def test_a_group_without_a_command_shows_its_help() -> None:
    result = run("report")
    assert result.returncode == 2
    assert "compare" in result.stderr
    assert "error:" not in result.stderr


@pytest.mark.parametrize("number", ["nan", "inf", "0", "-1", "soon"])
def test_a_time_limit_is_a_finite_number(number: str) -> None:
    result = run("boards", "list", "--timeout", number)
    assert result.returncode == 2
    assert result.stderr.startswith("error: invalid value for '--timeout': ")


@pytest.mark.parametrize("words", [("boards", "list"), ("--help",), ("boards", "list", "--json")])
def test_output_that_nobody_reads_ends_the_command_as_sigpipe_would(words: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        result = subprocess.run(
            [*PROGRAM, *words], stdout=writing, stderr=subprocess.PIPE, text=True, check=False, timeout=60
        )
    finally:
        os.close(writing)
    assert (result.returncode, result.stderr) == (141, "")


def test_bytes_of_the_board_that_nobody_reads_are_no_lost_board() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    script = "from flexkit.cli import main, common; main.cli.main = lambda *_, **__: common.write_raw(b'x'); "
    script += "raise SystemExit(main.run([]))"
    try:
        result = subprocess.run(
            [sys.executable, "-c", script], stdout=writing, stderr=subprocess.PIPE, check=False, timeout=60
        )
    finally:
        os.close(writing)
    assert (result.returncode, result.stderr) == (141, b"")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_is_a_lack_of_the_machine_and_no_fault_of_ours(
    unbuffered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, also where Python still has the output in its buffer when the program ends."""
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [*PROGRAM, "boards", "list"], stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60
        )
    assert result.returncode == 3
    said = "error: No space left on device\n  flexkit doctor shows which folders are used, and what they lack\n"
    assert result.stderr == said


@pytest.mark.parametrize("variable", ["XDG_CACHE_HOME", "FLEXKIT_STATE"])
def test_a_folder_that_cannot_be_made_names_the_variable(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(variable, str(tmp_path / "file" / "below"))
    result = run("doctor")
    assert result.returncode == 3
    assert "cannot be made: Not a directory" in result.stderr
    assert f"set {variable} to" in result.stderr


def test_a_prompt_that_is_no_text_is_bad_input() -> None:
    result = subprocess.run(
        [*PROGRAM, "infer", "-m", "demo", "-p", b"\xff\xfe"], capture_output=True, text=True, check=False, timeout=60
    )
    assert (result.returncode, result.stderr) == (2, "error: the prompt is not UTF-8 text\n")
