"""Power, reset and boot mode by what labs have: real commands, a real web server, doubles of tools for hardware."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from flexkit.boards import wiring
from flexkit.deadline import Deadline
from flexkit.drivers.gpio import Line
from flexkit.drivers.lines import CommandBootMode, GpioBootMode, GpioReset, boot_mode_of, reset_of
from flexkit.drivers.power import (
    CommandPower,
    GpioPower,
    HttpPower,
    LabgridPower,
    ManualPower,
    SnmpPower,
    UhubctlPower,
    power_of,
)
from flexkit.errors import BadInput, BoardLost, MissingTool, TimedOut
from flexkit.events import Bus, Event, Phase


def soon(seconds: float = 30.0) -> Deadline:
    return Deadline(seconds, "power")


def tool(folder: Path, name: str, script: str) -> Path:
    """A double of a tool that notes how it was called; the notes' file."""
    calls = folder / f"{name}.calls"
    (folder / name).write_text(f'#!/bin/sh\necho "$*" >> {calls}\n{script}\n')
    (folder / name).chmod(0o755)
    return calls


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path


# ---- commands ------------------------------------------------------------------------------------------------------


def by_command(folder: Path, state: str) -> CommandPower:
    mark = folder / "on"
    return CommandPower(wiring.CommandPower("command", on=f"touch {mark}", off=f"rm -f {mark}", state=state))


def test_commands_switch_and_tell(tmp_path: Path) -> None:
    power = by_command(tmp_path, f"test -e {tmp_path / 'on'}")
    assert power.is_on(soon()) is False
    power.on(soon())
    assert power.is_on(soon()) is True
    power.cycle(soon())
    assert (tmp_path / "on").exists()
    power.off(soon())
    assert power.is_on(soon()) is False


@pytest.mark.parametrize("state", ["", "exit 2", "no-such-command-at-all", "echo 0; exit 3"])
def test_a_supply_that_cannot_tell_says_so(tmp_path: Path, state: str) -> None:
    assert by_command(tmp_path, state).is_on(soon()) is None


def test_a_command_that_fails_or_hangs_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BoardLost, match="no such outlet"):
        CommandPower(wiring.CommandPower("command", on="echo no such outlet >&2; false", off="")).on(soon())
    limit = soon(2)
    with pytest.raises(TimedOut, match="sh had not ended"):
        CommandPower(wiring.CommandPower("command", on="sleep 60", off="")).on(limit)


# ---- a relay -------------------------------------------------------------------------------------------------------


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    """/sys/class/gpio with one line that the kernel has as an input."""
    folder = tmp_path / "gpio17"
    folder.mkdir()
    (folder / "direction").write_text("in\n")
    (folder / "value").write_text("0\n")
    return tmp_path


def test_a_relay_becomes_an_output_at_its_level_at_once(sysfs: Path) -> None:
    power = GpioPower(wiring.GpioPower("gpio", 17), Line(17, active_low=False, root=sysfs))
    power.on(soon())
    assert (sysfs / "gpio17/direction").read_text() == "high"
    assert (sysfs / "gpio17/value").read_text() == "0\n", "the kernel sets it"
    (sysfs / "gpio17/direction").write_text("out\n")
    power.on(soon())
    assert (sysfs / "gpio17/value").read_text() == "1"
    assert power.is_on(soon()) is True
    power.off(soon())
    assert power.is_on(soon()) is False


def test_a_relay_that_closes_at_0(sysfs: Path) -> None:
    power = GpioPower(wiring.GpioPower("gpio", 17, active_low=True), Line(17, active_low=True, root=sysfs))
    power.on(soon())
    assert (sysfs / "gpio17/direction").read_text() == "low"
    assert power.is_on(soon()) is True


def test_a_line_that_is_not_there_is_named(sysfs: Path) -> None:
    with pytest.raises(BoardLost, match="GPIO 18 of this host cannot be used"):
        Line(18, active_low=False, root=sysfs).set(True)
    assert (sysfs / "export").read_text() == "18"


def test_a_reset_is_a_pulse_and_the_button_stays_pressed(sysfs: Path) -> None:
    (sysfs / "gpio17/direction").write_text("out\n")
    line = Line(17, active_low=True, root=sysfs)
    seen: list[str] = []

    class Watched(Line):
        def set(self, on: bool) -> None:
            super().set(on)
            seen.append((sysfs / "gpio17/value").read_text())

    GpioReset(wiring.GpioReset("gpio", 17, seconds=0.01), Watched(17, True, sysfs)).reset(soon())
    assert seen == ["0", "1"]
    button = GpioBootMode(wiring.GpioBootMode("gpio", 17), line)
    button.select("maskrom", soon())
    assert (sysfs / "gpio17/value").read_text() == "0"
    button.select("normal", soon())
    assert (sysfs / "gpio17/value").read_text() == "1"
    with pytest.raises(BadInput, match="normal or maskrom"):
        button.select("loader", soon())


def test_boot_mode_by_commands(tmp_path: Path) -> None:
    mark = tmp_path / "mode"
    mode = CommandBootMode(wiring.CommandBootMode("command", normal=f"echo n > {mark}", maskrom=f"echo m > {mark}"))
    mode.select("maskrom", soon())
    assert mark.read_text() == "m\n"
    with pytest.raises(BadInput, match="no command for 'loader'") as caught:
        mode.select("loader", soon())
    assert caught.value.mend == "it has: normal, maskrom"


# ---- a USB hub -----------------------------------------------------------------------------------------------------

HUB = """Current status for hub 1-1 [05e3:0608 USB2.0 Hub, USB 2.00, 4 ports, ppps]
  Port 2: {bits}"""


@pytest.mark.parametrize(
    ("bits", "on"), [("0507 power highspeed suspend enable connect [0403:6001 FTDI]", True), ("0000 off", False)]
)
def test_a_hubs_port(tools: Path, bits: str, on: bool) -> None:
    calls = tool(tools, "uhubctl", f"cat <<'E'\n{HUB.format(bits=bits)}\nE")
    power = UhubctlPower(wiring.UhubctlPower("uhubctl", "1-1", 2))
    assert power.is_on(soon()) is on
    power.on(soon())
    power.off(soon())
    assert calls.read_text().splitlines() == ["-l 1-1 -p 2", "-l 1-1 -p 2 -a on", "-l 1-1 -p 2 -a off"]


def test_a_tool_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingTool, match="uhubctl is not installed"):
        UhubctlPower(wiring.UhubctlPower("uhubctl", "1-1", 2)).on(soon())


# ---- outlets in the network ----------------------------------------------------------------------------------------


class Outlet(http.server.BaseHTTPRequestHandler):
    seen: list[str]
    state = "OFF"

    def do_GET(self) -> None:
        type(self).seen.append(f"{self.command} {self.path} {self.headers.get('Authorization', '-')}")
        if self.path.endswith(("on", "off")):
            type(self).state = self.path.rpartition("/")[2].upper()
        self.send_response(404 if "nowhere" in self.path else 200)
        self.end_headers()
        self.wfile.write(f'{{"POWER": "{type(self).state}"}}'.encode())

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def outlet() -> Iterator[str]:
    Outlet.seen, Outlet.state = [], "OFF"
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Outlet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_an_outlet_by_urls(outlet: str) -> None:
    at = f"http://lab:s%3Acret@{outlet}/outlet/3"
    power = HttpPower(wiring.HttpPower("http", on=f"{at}/on", off=f"{at}/off", state=at, method="POST"))
    assert power.is_on(soon()) is False
    power.on(soon())
    assert power.is_on(soon()) is True
    power.off(soon())
    assert power.is_on(soon()) is False
    assert Outlet.seen[1] == "POST /outlet/3/on Basic bGFiOnM6Y3JldA=="
    assert HttpPower(wiring.HttpPower("http", on=at, off=at)).is_on(soon()) is None


def test_an_outlet_that_does_not_switch_is_named_without_its_password(outlet: str) -> None:
    url = f"http://lab:secret@{outlet}/nowhere"
    with pytest.raises(BoardLost, match=f"http://{outlet}/nowhere does not switch: .*404") as caught:
        HttpPower(wiring.HttpPower("http", on=url, off=url)).on(soon())
    assert "secret" not in caught.value.message
    with pytest.raises(BoardLost, match="does not switch"):
        HttpPower(wiring.HttpPower("http", on="http://127.0.0.1:1/", off="")).on(soon())


def test_an_outlet_by_snmp(tools: Path) -> None:
    sets, gets = tool(tools, "snmpset", ""), tool(tools, "snmpget", "echo 2")
    power = SnmpPower(wiring.SnmpPower("snmp", "pdu", ".1.3.6.1.4.1.318.1.1.4.4.2.1.3.5"))
    power.on(soon())
    assert power.is_on(soon()) is False
    power.off(soon())
    common = "-v2c -c private -Oqve pdu .1.3.6.1.4.1.318.1.1.4.4.2.1.3.5"
    assert sets.read_text().splitlines() == [f"{common} i 1", f"{common} i 2"]
    assert gets.read_text() == f"{common}\n"


def test_a_labgrid_place(tools: Path) -> None:
    calls = tool(tools, "labgrid-client", '[ "$4" != get ] || echo "power for place bench is on"')
    power = LabgridPower("bench")
    power.on(soon())
    assert power.is_on(soon()) is True
    assert calls.read_text().splitlines() == ["-p bench power on", "-p bench power get"]
    tool(tools, "labgrid-client", "echo 'not acquired' >&2; exit 1")
    assert power.is_on(soon()) is None
    with pytest.raises(BoardLost, match="not acquired"):
        power.off(soon())


# ---- by hand, and which driver is which ----------------------------------------------------------------------------


def test_a_person_is_told_what_to_do() -> None:
    said: list[Event] = []
    power = ManualPower("bench", Bus([said.append]))
    power.cycle(soon())
    steps = [event.step for event in said if event.phase is Phase.BEGIN]
    assert steps == ["by hand: switch bench off now", "by hand: switch bench on now"]
    assert power.is_on(soon()) is None


def test_every_wiring_has_its_driver() -> None:
    expected = {
        wiring.CommandPower("command", "a", "b"): CommandPower,
        wiring.GpioPower("gpio", 1): GpioPower,
        wiring.UhubctlPower("uhubctl", "1-1", 1): UhubctlPower,
        wiring.HttpPower("http", "a", "b"): HttpPower,
        wiring.SnmpPower("snmp", "h", "o"): SnmpPower,
        wiring.LabgridPower("labgrid"): LabgridPower,
        wiring.ManualPower("manual"): ManualPower,
    }
    for how, kind in expected.items():
        assert type(power_of(how, "bench", "place", Bus())) is kind
    assert type(reset_of(wiring.GpioReset("gpio", 1))) is GpioReset
    assert type(boot_mode_of(wiring.GpioBootMode("gpio", 1))) is GpioBootMode


def test_reset_by_command(tmp_path: Path) -> None:
    reset_of(wiring.CommandReset("command", run=f"touch {tmp_path / 'reset'}")).reset(soon())
    assert (tmp_path / "reset").exists()
