"""Boards opened, lost and left, on an emulator that does what a test wants."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from fake_agent import AGENT_ID
from fake_site import Site, emulators
from processes import wait_ended

from flexkit import boards, proc
from flexkit.deadline import Deadline
from flexkit.deployed import Deployment, Ledger
from flexkit.drivers import Session, open_board, qemu
from flexkit.drivers.access import power_off, power_on
from flexkit.drivers.session import mismatches, model_name
from flexkit.drivers.ssh import lab_key
from flexkit.errors import BoardLost, Busy, FlashError, MissingTool, TimedOut
from flexkit.events import Bus
from flexkit.link.client import Identity


def soon(seconds: float = 40.0) -> Deadline:
    return Deadline(seconds, "test")


def test_a_board_is_booted_checked_used_and_ended(site: Site) -> None:
    with open_board(site.instance, soon(), Bus()) as session:
        assert session.identity.agent == AGENT_ID
        assert session.client.check("echo hello", soon()) == "hello\n"
        counter = session.counter
        assert counter.hertz() > 0
        assert counter.ticks(soon()) < counter.ticks(soon())
        assert session.console.reached == "agent"
        assert session.boot_seconds > 0
        assert len(emulators()) == 1
        log = session.console.log
    assert emulators() == set()
    text = log.read_text()
    assert "BL31: v2.12.1" in text
    assert "<record H" in text or "<record W" in text
    entries = list(Ledger("qemu-virt").entries())
    assert [(entry.action, entry.good) for entry in entries] == [("flash", True), ("boot", True)]
    assert list(qemu.media_folder("qemu-virt", "flex").glob("*.qcow2")) == []


def test_an_error_in_the_block_ends_the_board_too(site: Site) -> None:
    with pytest.raises(ZeroDivisionError), open_board(site.instance, soon(), Bus()):
        raise ZeroDivisionError
    assert emulators() == set()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("dies-in-kernel", r"the emulator ended with status 1 \(qemu: fatal: lockup\); last stage reached: kernel"),
        ("silent", "last stage reached: none"),
        ("stuck-in-bl2", "last stage reached: bl2"),
    ],
)
def test_a_board_that_does_not_come_up_is_diagnosed(site: Site, how: str, said: str) -> None:
    site.behave(how)
    impatient = replace(site.instance.type, timeouts=replace(site.instance.type.timeouts, boot=6.0))
    instance = replace(site.instance, type=impatient)
    with pytest.raises(BoardLost, match=said), open_board(instance, soon(), Bus()):
        pytest.fail("it cannot have come up")
    assert emulators() == set()


def test_a_caller_with_less_time_than_a_boot_takes_is_told_of_his_own_deadline(site: Site) -> None:
    site.behave("stuck-in-bl2")
    with pytest.raises(TimedOut, match="last stage reached: bl2"), open_board(site.instance, soon(6), Bus()):
        pytest.fail("it cannot have come up")
    assert emulators() == set()


def test_an_emulator_that_dies_in_use_is_noticed(site: Site) -> None:
    site.behave("dies-soon")
    limit = soon()
    said = "the emulator ended with status 0; last stage reached: agent"
    with pytest.raises(BoardLost, match=said), open_board(site.instance, limit, Bus()) as session:
        ping_for_ever(session, limit)


def ping_for_ever(session: Session, limit: Deadline) -> None:
    while True:
        session.client.ping(limit)
        time.sleep(0.05)


def test_a_console_that_vanishes_is_noticed_and_nothing_is_left(site: Site) -> None:
    site.behave("console-vanishes")
    limit = soon()
    said = "its console is closed; last stage reached: agent"
    with pytest.raises(BoardLost, match=said), open_board(site.instance, limit, Bus()) as session:
        ping_for_ever(session, limit)
    assert emulators() == set()


def test_ssh_is_not_waited_for_on_a_board_that_died(site: Site) -> None:
    limit = soon()
    key = " ".join(lab_key()[1].split()[:2])
    with open_board(site.instance, limit, Bus()) as session:
        os.kill(emulators().pop(), signal.SIGKILL)
        with pytest.raises(BoardLost, match="the emulator ended with status -9"):
            session._dial(key, limit)


def test_models_lie_on_the_medium_before_the_board_is_on(site: Site, tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"weights")
    name = f"models/{model_name(tmp_path / 'm')}"
    image = qemu.media_folder("qemu-virt", "flex") / "disk.img"
    offset = site.instance.type.medium("disk").region("data").offset
    with open_board(site.instance, soon(), Bus(), models=[tmp_path / "m"]):
        before = image.stat().st_mtime_ns
        device = f"{image}?offset={offset}"
        environment = os.environ | {"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
        shown = proc.run(["debugfs", "-R", f"cat {name}", device], soon(), env=environment)
        assert shown == "weights"
    with open_board(site.instance, soon(), Bus(), models=[tmp_path / "m"]):
        assert image.stat().st_mtime_ns == before, "they were there already"


def test_a_port_that_is_taken_is_changed_and_ports_that_all_are_end_busy(site: Site) -> None:
    site.behave("port-taken-once")
    with open_board(site.instance, soon(), Bus()) as session:
        session.client.ping(soon())
    site.behave("port-taken")
    with pytest.raises(Busy, match=r"port \d+ for SSH is in use"), open_board(site.instance, soon(), Bus()):
        pytest.fail("there was no port")


def test_another_build_than_was_flashed_is_an_error(site: Site) -> None:
    site.flash({"agent": "f" * 32, "monitor": "e" * 32}, "cd" * 16)
    with pytest.raises(FlashError) as caught, open_board(site.instance, soon(), Bus()):
        pytest.fail("it is not what was flashed")
    assert f"agent: {'f' * 32} was flashed, the board reports {AGENT_ID}" in caught.value.message
    assert f"monitor: {'e' * 32} was flashed, the board reports none" in caught.value.message
    assert [entry.good for entry in Ledger("qemu-virt").entries() if entry.action == "boot"] == [False]
    assert emulators() == set()
    with open_board(site.instance, soon(), Bus(), strict=False) as session:
        assert [line.split(":")[0] for line in session.wrong] == ["agent", "monitor"]


def test_the_kernel_is_known_by_its_version_line() -> None:
    identity = Identity("a", "m", "p", "r", "Linux 6.12 #" + "1" * 32 + " SMP", "", 2, 1, 0, False, False)
    parts = {"agent": "a", "monitor": "m", "payload": "p", "rootfs": "r", "kernel": "1" * 32}
    assert mismatches(Deployment("i", "b", "flex", "release", parts, {}), identity) == []
    other = Deployment("i", "b", "flex", "release", parts | {"kernel": "2" * 32}, {})
    assert len(mismatches(other, identity)) == 1


def test_the_second_user_is_told_who_has_it(site: Site) -> None:
    said = rf"qemu-virt is in use by .*process {os.getpid()}"
    first = open_board(site.instance, soon(), Bus())
    with first, pytest.raises(Busy, match=said), open_board(site.instance, soon(), Bus()):
        pytest.fail("one at a time")


def test_nothing_flashed_says_how_to(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEXKIT_STATE", str(tmp_path / "other"))
    with pytest.raises(FlashError) as caught, open_board(site.instance, soon(), Bus(), flavour="stock"):
        pytest.fail("nothing is there")
    assert caught.value.mend == "run: flexkit flash -b qemu-virt --flavour stock"


def test_power_on_stays_and_is_used_by_others(site: Site) -> None:
    identity = power_on(site.instance, soon(), Bus())
    try:
        state = qemu.running("qemu-virt")
        assert state is not None
        assert emulators() == {state.pid}
        with open_board(site.instance, soon(), Bus()) as session:
            assert session.identity.boot_id == identity.boot_id
            assert session.boot_seconds == 0
        assert emulators() == {state.pid}
        with pytest.raises(Busy, match="on already"):
            power_on(site.instance, soon(), Bus())
        with pytest.raises(Busy, match="is on, and its medium in use"):
            site.flash({"agent": AGENT_ID})
    finally:
        assert power_off(site.instance, soon(), Bus())
    assert emulators() == set()
    assert not power_off(site.instance, soon(), Bus())


def test_a_killed_run_leaves_nothing_that_hinders_the_next(site: Site) -> None:
    power_on(site.instance, soon(), Bus())
    state = qemu.running("qemu-virt")
    assert state is not None
    os.kill(state.pid, signal.SIGKILL)
    wait_ended(state.pid, soon())
    with open_board(site.instance, soon(), Bus()) as session:
        session.client.ping(soon())


def test_a_killed_user_takes_its_board_along(site: Site) -> None:
    program = (
        "import sys, time\nfrom flexkit import boards\nfrom flexkit.deadline import Deadline\n"
        "from flexkit.drivers import open_board\nfrom flexkit.events import Bus\n"
        "with open_board(boards.resolve('qemu-virt'), Deadline(40, 't'), Bus()):\n"
        "    print('up', flush=True)\n    time.sleep(60)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(boards.__file__).resolve().parents[2])}
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment)
    assert child.stdout is not None
    assert child.stdout.readline() == b"up\n"
    assert len(emulators()) == 1
    child.kill()
    child.wait()
    child.stdout.close()
    limit = soon(10)
    while emulators():
        limit.check()
        time.sleep(0.02)
    with open_board(site.instance, soon(), Bus()) as session:
        session.client.ping(soon())


def test_a_cold_cycle_keeps_the_media_and_nothing_else(site: Site) -> None:
    with open_board(site.instance, soon(), Bus()) as session:
        (before,) = emulators()
        session.cycle(soon())
        (after,) = emulators()
        assert before != after
        session.client.ping(soon())


def test_a_file_goes_over_the_link_when_there_is_no_ssh(site: Site, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(os.urandom(50000))
    with open_board(site.instance, soon(), Bus()) as session:
        session.put_file(tmp_path / "x", str(tmp_path / "there" / "x"), soon())
    assert (tmp_path / "there" / "x").read_bytes() == (tmp_path / "x").read_bytes()


def test_a_machine_without_the_emulator_is_told_so(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("qemu-img", "setpriv"):
        found = shutil.which(name)
        assert found is not None
        (tools / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(MissingTool, match="qemu-system-aarch64"), open_board(site.instance, soon(), Bus()):
        pytest.fail("there is no emulator")
