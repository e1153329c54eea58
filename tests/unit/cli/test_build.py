"""``flexkit build``, ``cache`` and ``doctor`` as a user meets them; what they call is played."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from flexkit import boards, build, doctor, paths
from flexkit.build.store import Store
from flexkit.cli import main
from flexkit.deadline import Deadline
from flexkit.errors import BuildError

IDENTITY = "1" * 32


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("FLEXKIT_BOARD", raising=False)
    monkeypatch.delenv("FLEXKIT_LAB", raising=False)
    monkeypatch.chdir(tmp_path)
    return paths.cache()


class Builder:
    """Stands for flexkit.build.run: keeps how it was called, returns an empty manifest."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def __call__(self, board: Any, **how: Any) -> build.Manifest:
        self.calls.append({"board": board.name, **how})
        return build.Manifest(
            identity=IDENTITY,
            board=board.name,
            flavour=how["flavour"],
            profile=how["profile"],
            parts={"kernel": "2" * 32},
            images={},
            outputs={"kernel": Path("/cache/kernel")},
            sources={},
            packages=[],
            toolchain={},
        )


@pytest.fixture
def builder(monkeypatch: pytest.MonkeyPatch) -> Builder:
    made = Builder()
    monkeypatch.setattr(build, "run", made)
    return made


def test_without_options_it_builds_the_flex_release(builder: Builder) -> None:
    assert main.run(["build"]) == 0
    call = builder.calls[0]
    assert (call["board"], call["flavour"], call["profile"], call["parts"]) == ("qemu-virt", "flex", "release", ())


def test_options_reach_the_build(builder: Builder, tmp_path: Path) -> None:
    words = ["build", "agent", "--debug-profile", "--source", f"linux={tmp_path}", "--timeout", "5"]
    assert main.run(words) == 0
    call = builder.calls[0]
    assert (call["parts"], call["profile"], call["overrides"]) == (("agent",), "debug", {"linux": tmp_path})
    assert call["deadline"].seconds == 5


def test_both_flavours(builder: Builder) -> None:
    assert main.run(["build", "--flavour", "all"]) == 0
    assert [call["flavour"] for call in builder.calls] == ["flex", "stock"]


def test_the_modules_folder_is_the_last_line(builder: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["build", "kernel", "--modules-dir"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "/cache/kernel/tree"


def test_json_is_the_manifest_on_one_line(builder: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["build", "--json"]) == 0
    value = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (value["schema"], value["identity"]) == ("flexkit.manifest/1", IDENTITY)


def test_a_bad_source_option_exits_2(builder: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["build", "--source", "linux"]) == 2
    assert "it must be NAME=PATH" in capsys.readouterr().err
    assert builder.calls == []


def test_a_failed_build_exits_4(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise BuildError("the patch 0001-x.patch does not apply to tree")

    monkeypatch.setattr(build, "run", fail)
    assert main.run(["build"]) == 4
    assert "0001-x.patch" in capsys.readouterr().err


# ---- cache ---------------------------------------------------------------------------------------------------------


def fill(root: Path) -> Store:
    """Three builds of one part, and fetched sources."""
    store = Store(root)
    for number in range(3):
        folder = store.get("kernel", f"{number:032x}", lambda at: None, Deadline(60.0, "test"))
        os.utime(folder / ".complete", (number, number))
    (root / "sources/linux").mkdir(parents=True)
    return store


def test_prune_keeps_the_last_build_and_the_sources(cache: Path) -> None:
    store = fill(cache)
    assert main.run(["cache", "prune"]) == 0
    assert [store.has("kernel", f"{number:032x}") for number in range(3)] == [False, False, True]
    assert (cache / "sources/linux").is_dir()


def test_prune_sources_makes_the_next_build_ask_the_mirror(cache: Path) -> None:
    fill(cache)
    assert main.run(["cache", "prune", "--sources"]) == 0
    assert not (cache / "sources").exists()


def test_prune_all_leaves_nothing(cache: Path) -> None:
    store = fill(cache)
    assert main.run(["cache", "prune", "--all"]) == 0
    assert not any(store.has("kernel", f"{number:032x}") for number in range(3))


def test_show_lists_sizes(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(cache)
    assert main.run(["cache", "show", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["bytes"]) == {"locks", "parts", "sources"}


# ---- doctor --------------------------------------------------------------------------------------------------------


def findings(*mends: str) -> list[doctor.Finding]:
    return [doctor.Finding(f"thing {number}", "as it is", mend) for number, mend in enumerate(mends)]


def test_doctor_exits_3_and_says_how_to_mend_each(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "examine", lambda deadline, wanted: findings("", "flexkit doctor --fix"))
    assert main.run(["doctor"]) == 3
    assert "LACK thing 1: as it is\n     flexkit doctor --fix\n" in capsys.readouterr().out


def test_doctor_fix_looks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [findings("install it"), findings("")]
    fixed: list[bool] = []
    monkeypatch.setattr(doctor, "examine", lambda deadline, wanted: answers.pop(0))
    monkeypatch.setattr(doctor, "fix", lambda deadline, wanted: fixed.append(True))
    assert main.run(["doctor", "--fix"]) == 0
    assert fixed == [True]


LAB = """\
[board.desk]
type = "rock-5b"
serial = "/dev/null"
sd_mux = "/dev/sg0"
[board.desk.power]
driver = "uhubctl"
hub = "1-1"
port = 2
"""


def told(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, dict[str, str]]:
    """What doctor finds, by name."""
    capsys.readouterr()
    main.run(["doctor", "--json", *words])
    return {each["name"]: each for each in json.loads(capsys.readouterr().out.splitlines()[-1])["findings"]}


def test_doctor_lists_the_tools_of_a_board_each_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "lab.toml").write_text(LAB)
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "usbsdmux").write_text("#!/bin/sh\n")
    (tools / "usbsdmux").chmod(0o755)
    monkeypatch.setattr(doctor, "run", lambda *_, **__: "")
    monkeypatch.setattr(doctor.shutil, "which", lambda name: str(tools / name) if (tools / name).exists() else None)
    lab = ("--lab", str(tmp_path / "lab.toml"))
    desk = {name: each for name, each in told(capsys, *lab).items() if name.startswith("desk: ")}
    assert {name: each["mend"] for name, each in desk.items()} == {
        "desk: rkdeveloptool": "apt-get install rkdeveloptool",
        "desk: usbsdmux": "",
        "desk: uhubctl": "apt-get install uhubctl",
    }
    assert told(capsys, *lab, "-b", "desk").keys() == told(capsys, *lab).keys()
    assert told(capsys, *lab, "-b", "imx8mp-evk")["imx8mp-evk: uuu"]["mend"] == "apt-get install uuu"
    assert main.run(["doctor", *lab, "-b", "nobody"]) == 2


def test_doctor_fix_installs_the_tools_of_a_board(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    monkeypatch.setattr(doctor, "run", lambda words, *_, **__: asked.append([str(word) for word in words]) or "")
    board = boards.load("imx8mp-evk")
    doctor.fix(Deadline(60.0, "test"), [boards.Instance("evk", board, boards.LabBoard("imx8mp-evk"))])
    assert asked[0][2:] == ["--packages", "uuu"]


def test_doctor_asks_the_set_up_script_for_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "run", lambda *_, **__: "gcc\nflex\n")
    found = {each.name: each.mend for each in doctor.examine(Deadline(60.0, "test"))}
    assert found["package gcc"] == found["package flex"] == "flexkit doctor --fix"
