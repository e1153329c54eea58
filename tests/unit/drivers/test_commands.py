"""The commands that use a board: what they print, and their exit codes."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_agent import AGENT_ID
from fake_site import BUILD, Site, emulators

from flexkit import lock, paths
from flexkit.cli.main import run
from flexkit.deployed import Ledger
from flexkit.drivers import access, qemu, session
from flexkit.models import inspect

DEMO = paths.project() / "models/demo.gguf"
STORY = "Once upon a time"


def last_json(text: str) -> Any:
    return json.loads(text.splitlines()[-1])


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The agent runs on this machine: models go into a folder of the test."""
    monkeypatch.setattr(session, "MODEL_FOLDER", str(tmp_path / "models"))


@pytest.fixture
def stock(site: Site) -> Site:
    """A board of flavour stock."""
    site.flash({"agent": AGENT_ID}, BUILD, "stock")
    return site


def test_infer_streams_its_text(stock: Site, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["infer", "-m", "demo", "-p", STORY, "-n", "8", "--mode", "stock"]) == 0
    out = capfd.readouterr().out
    assert out.endswith("\n")
    assert len(out.split()) > 3


def test_infer_json_is_one_line_with_everything(stock: Site, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["infer", "-m", str(DEMO), "-p", STORY, "-n", "4", "--mode", "stock", "--ignore-eos", "--json"]) == 0
    out, err = capfd.readouterr()
    assert out.count("\n") == 1
    assert "boot qemu-virt" in err
    found = last_json(out)
    assert {"tokens", "prompt_ids", "text", "finish", "ttft_ms", "tpot_ms", "mode", "board", "build"} <= found.keys()
    assert len(found["tokens"]) == 4
    assert (found["mode"], found["board"], found["build"], found["finish"]) == ("stock", "qemu-virt", BUILD, "length")
    assert sum(found["breakdown_ms"].values()) == pytest.approx(found["ttft_ms"], abs=0.01)


def test_power_state_shell_and_a_running_board(stock: Site, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["state", "--json"]) == 0
    off = last_json(capfd.readouterr().out)
    assert (off["power"], off["qmp"], off["identities"]) == ("off", None, None)
    assert run(["power", "on", "--flavour", "stock"]) == 0
    try:
        capfd.readouterr()
        assert run(["state", "--json"]) == 0
        on = last_json(capfd.readouterr().out)
        assert on["power"] == "on"
        assert Path(on["qmp"]).is_socket()
        assert Path(on["console"]).is_socket()
        assert on["ssh"]["port"] > 0
        assert on["identities"]["agent"] == AGENT_ID
        assert on["deployed"] == {"flex": BUILD, "stock": BUILD}
        assert run(["shell", "--flavour", "stock", "echo", "to you;", "exit", "3"]) == 3
        assert capfd.readouterr().out == "to you\n"
        assert run(["infer", "-m", "demo", "-p", STORY, "-n", "2", "--mode", "stock", "--json"]) == 0
        assert run(["infer", "-m", "demo", "-p", STORY, "-n", "2", "--mode", "normal"]) == 8
        assert qemu.running("qemu-virt") is not None
    finally:
        assert run(["power", "off"]) == 0
    assert qemu.running("qemu-virt") is None


def test_a_person_at_the_console(stock: Site) -> None:
    main = "import sys; from flexkit.cli.main import main; main()"
    cable, terminal = pty.openpty()
    environment = os.environ | {"PYTHONPATH": str(Path(paths.__file__).resolve().parents[1])}
    words = [sys.executable, "-c", main, "console", "--flavour", "stock"]
    child = subprocess.Popen(words, stdin=terminal, stdout=terminal, stderr=subprocess.DEVNULL, env=environment)
    seen = bytearray()

    def read() -> None:
        try:
            while chunk := os.read(cable, 4096):
                seen.extend(chunk)
        except OSError:
            return

    reader = threading.Thread(target=read)
    reader.start()

    def wait_for(text: bytes) -> None:
        limit = time.monotonic() + 20
        while text not in seen:
            assert time.monotonic() < limit, bytes(seen)
            time.sleep(0.02)

    try:
        wait_for(b"#" if os.geteuid() == 0 else b"$")  # how a shell greets root and others
        os.write(cable, b"echo $((6 * 7)) lines\r")
        wait_for(b"42 lines")
        os.write(cable, b"\x1d")
        assert child.wait(20) == 0
    finally:
        child.kill()
        child.wait()
        os.close(terminal)
        reader.join()  # the last of the terminal is closed
        os.close(cable)


def test_state_fails_when_other_parts_run_than_were_flashed(stock: Site, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["power", "on", "--flavour", "stock"]) == 0
    try:
        book = Ledger("qemu-virt")
        current = book.current("stock")
        assert current is not None
        told = replace(current, parts={"agent": "0" * 32})
        stock.monkeypatch.setattr(access, "deployment_of", lambda *_: told)
        capfd.readouterr()
        assert run(["state"]) == 5
        out, err = capfd.readouterr()
        assert f"agent: {'0' * 32} was flashed, the board reports {AGENT_ID}" in out
        assert "run: flexkit flash -b qemu-virt" in err
    finally:
        assert run(["power", "off"]) == 0


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_command_that_is_interrupted_leaves_nothing(stock: Site, sign: signal.Signals) -> None:
    main = "import sys; from flexkit.cli.main import main; main()"
    environment = os.environ | {"PYTHONPATH": str(Path(paths.__file__).resolve().parents[1])}
    words = [sys.executable, "-c", main, "shell", "--flavour", "stock", "echo up; sleep 60"]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == b"up\n"
        child.send_signal(sign)
        assert child.wait(20) == 128 + sign
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    assert emulators() == set()
    assert not lock.holder("qemu-virt")


def test_a_lab_file_that_is_wrong_is_named_with_its_line(
    site: Site, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for text, line in (('[board.a]\ntype = "qemu-virt\n', 2), ('[board.a]\ntype = "qemu-virt"\nserail = "x"\n', 3)):
        (tmp_path / "lab.toml").write_text(text)
        assert run(["state", "--lab", str(tmp_path / "lab.toml")]) == 2
        assert f"lab.toml:{line}: " in capfd.readouterr().err


def cut(tmp_path: Path) -> str:
    (tmp_path / "cut.gguf").write_bytes(DEMO.read_bytes()[:100_000])
    return str(tmp_path / "cut.gguf")


def foreign(tmp_path: Path) -> str:
    (tmp_path / "foreign.gguf").write_bytes(b"PK\3\4" + bytes(1000))
    return str(tmp_path / "foreign.gguf")


def test_bad_input_is_refused_before_a_board_is_touched(site: Site, tmp_path: Path) -> None:
    for words in (
        ["-m", cut(tmp_path), "-p", "hi"],
        ["-m", foreign(tmp_path), "-p", "hi"],
        ["-m", "no-such-model", "-p", "hi"],
        ["-m", "demo", "-p", ""],
        ["-m", "demo", "-p", "once upon a time " * 400],
        ["-m", "demo", "-p", "x" * 40_000],
        ["-m", "demo", "-p", "hi", "-n", "5000"],
        ["-m", "demo", "-p", "hi", "--temp", "0.7"],
        ["-m", "demo", "-p", "hi", "--mode", "fast"],
        ["-m", "demo", "-p", "hi", "-b", "qemu-virtual"],
        ["-m", "demo", "-p", "hi", "-p", ""],
        ["-m", "demo", "-p", "hi", "-p", "and you?", "--mode", "normal"],
        ["-m", "demo", "-p", "hi", "-p", "and you?", "-n", "512"],
        ["-m", "demo", *["-p", "hi"] * 40, "-n", "1"],
    ):
        assert run(["infer", *words]) == 2, words
    assert not any(entry.action == "boot" for entry in Ledger("qemu-virt").entries())


def test_each_failure_has_its_exit_code(stock: Site, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["infer", "-m", "demo", "-p", STORY, "-n", "2", "--mode", "stock"]
    with lock.acquire("qemu-virt"):
        assert run(words) == 8
    stock.behave("dies-in-kernel")
    assert run(words) == 6
    assert "last stage reached: kernel" in capfd.readouterr().err
    stock.behave("stuck-in-bl2")
    assert run([*words, "--timeout", "2"]) == 7
    assert "last stage reached: bl2" in capfd.readouterr().err
    stock.behave("console-vanishes")
    assert run(["shell", "--flavour", "stock", "sleep 60"]) == 6
    assert "its console is closed" in capfd.readouterr().err
    assert emulators() == set()
    stock.behave("")
    stock.flash({"agent": "0" * 32}, "cd" * 16, "stock")
    assert run(words) == 5
    stock.monkeypatch.setenv("FLEXKIT_STATE", str(tmp_path / "new"))
    assert run(words) == 5
    err = capfd.readouterr().err
    assert "run: flexkit flash -b qemu-virt --flavour stock" in err
    assert "Traceback" not in err


def test_modes_that_this_board_cannot_are_one_clear_error(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["infer", "-m", "demo", "-p", STORY, "-n", "2"]) == 1
    assert "/dev/flexserve" in capfd.readouterr().err


def test_a_model_larger_than_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    info = replace(inspect.check(DEMO), size=300 << 20)
    monkeypatch.setattr(inspect, "check", lambda _: info)
    words = ["infer", "-m", "demo", "-p", STORY, "-n", "2", "--mode"]
    assert run([*words, "strawman"]) == 2, "the contiguous region has 256 MiB"
    assert run([*words, "flexserve"]) == 1, "1 GiB of slots would hold it; this board has no driver"
