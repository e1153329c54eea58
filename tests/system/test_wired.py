"""A board described in a lab file as hardware is: a supply by command, a serial port that comes and goes with it, SSH.
The tool does not know that QEMU hangs on the supply (fakes/supply.py)."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import supply

from flexkit import boards
from flexkit.boards import LabBoard
from flexkit.build.manifest import Manifest
from flexkit.cli.main import run
from flexkit.deadline import Deadline
from flexkit.deployed.plan import make_plan
from flexkit.drivers.logs import newest_log
from flexkit.drivers.qemu import free_port
from flexkit.events import Bus
from flexkit.flash.deploy import deploy

STORY = ["-m", "demo", "-p", "Once upon a time", "-n", "8", "--ignore-eos", "--json"]


@dataclass
class Bench:
    folder: Path
    lab: Path
    capture: pytest.CaptureFixture[str]

    def run(self, *words: str) -> tuple[int, str, str]:
        """A command on this board: its exit code, and what it said."""
        self.capture.readouterr()
        code = run([words[0], "-b", "bench", "--lab", str(self.lab), *words[1:]])
        return (code, *self.capture.readouterr())

    def json(self, *words: str) -> Any:
        code, out, err = self.run(*words)
        assert code == 0, err
        return json.loads(out.splitlines()[-1])


@pytest.fixture(scope="module")
def wired(state: Path, manifests: dict[str, Manifest], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a board that was flashed and wired up; it is off."""
    folder = tmp_path_factory.mktemp("bench")
    port = free_port()
    instance = boards.resolve("bench", supply.lab_file(folder, "bench", "qemu-virt", port))
    manifest = manifests["flex"]
    plan = make_plan(instance.type, manifest.identity, manifest.flavour, manifest.images, manifest.missing)
    medium = replace(instance, settings=LabBoard(instance.type.name))  # in a writer, before the board gets it
    deploy(medium, plan, manifest.parts, manifest.profile, Bus(), Deadline(300, "flash"))
    supply.wire(instance, "flex", folder, port)
    yield folder
    supply.main("off", folder)


@pytest.fixture
def bench(wired: Path, capfd: pytest.CaptureFixture[str]) -> Bench:
    return Bench(wired, wired / "lab.toml", capfd)


def test_a_board_that_is_off_is_used_and_off_again(bench: Bench) -> None:
    assert bench.json("state", "--json")["power"] == "off"
    found = bench.json("infer", *STORY)
    assert len(found["tokens"]) == 8
    assert bench.json("state", "--json")["power"] == "off"


def test_a_board_that_is_on_stays_on_and_tells_who_it_is(bench: Bench) -> None:
    assert bench.run("power", "on")[0] == 0
    state = bench.json("state", "--json")
    assert (state["power"], state["console"]) == ("on", str(bench.folder / "tty"))
    assert state["wrong"] == []
    serial, ssh = bench.json("infer", *STORY), bench.json("infer", *STORY, "--via", "ssh")
    assert serial["tokens"] == ssh["tokens"]
    assert bench.run("shell", "echo", "to you;", "exit", "3")[:2] == (3, "to you\n")
    assert bench.json("state", "--json")["identities"]["boot_id"] == state["identities"]["boot_id"]
    assert bench.run("power", "on")[0] == 8
    code, out, _ = bench.run("power", "cycle")
    assert (code, out.splitlines()[0]) == (0, "bench: off")
    assert bench.json("state", "--json")["identities"]["boot_id"] != state["identities"]["boot_id"]


def test_a_board_that_hangs_is_told_apart_and_cycled_when_it_is_wanted(bench: Bench) -> None:
    bench.run("power", "on")
    pid = int((bench.folder / "pid").read_text().split()[0])
    os.kill(pid, signal.SIGSTOP)
    code, _, err = bench.run("state")
    assert code == 6
    assert "the agent does not answer" in err
    assert "not one byte came; check in this order: supply" in err
    code, out, err = bench.run("shell", "uname", "-m")
    assert (code, out) == (0, "aarch64\n")
    assert "bench does not answer: power off and on" in err


def test_power_that_fails_in_use_is_said_to_have_failed(bench: Bench) -> None:
    bench.run("power", "on")
    limit = Deadline(60, "the supply fails")

    def fail() -> None:
        """Pulls the plug once the command below has said that it runs."""
        while not limit.expired:
            log = newest_log("bench")
            if log is not None and "it runs" in log.read_text(errors="replace"):
                supply.main("off", bench.folder)
                return
            time.sleep(0.1)

    hand = threading.Thread(target=fail)
    hand.start()
    code, _, err = bench.run("shell", "echo it runs > /dev/console; sleep 60")
    hand.join()
    assert code == 6, err
    assert "its supply is off" in err
    assert limit.remaining > 20, "nobody waits for the port of a board without power"


def test_a_supply_that_only_says_it_is_on_is_no_evidence(bench: Bench) -> None:
    lab = bench.lab.read_text()
    supply.main("off", bench.folder)
    try:
        lines = ['on = "true"' if line.startswith("on = ") else line for line in lab.splitlines()]
        bench.lab.write_text("\n".join(lines))
        code, _, err = bench.run("power", "on")
    finally:
        bench.lab.write_text(lab)
    assert code == 6
    assert "it was switched on, but its supply says that it is off" in err
