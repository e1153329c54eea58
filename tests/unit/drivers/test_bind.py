"""Drivers, bound by what a lab file says."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from fake_site import Site

from flexkit import boards
from flexkit.boards import Instance, LabBoard, wiring
from flexkit.deadline import Deadline
from flexkit.drivers.bind import SerialPort, bind_emulated, bind_wired
from flexkit.drivers.lines import CommandBootMode, GpioReset
from flexkit.drivers.power import CommandPower, LabgridPower, ManualPower
from flexkit.drivers.qemu import QemuPower
from flexkit.errors import BadInput, BoardLost
from flexkit.events import Bus
from flexkit.link.serial import SerialTransport

# As labgrid-client 26 prints it.
PLACE = """Place 'bench':
  acquired: vm/root
Acquired resource 'NetworkPowerPort' (here/bench/NetworkPowerPort/NetworkPowerPort):
  {'acquired': 'bench',
   'avail': True,
   'cls': 'NetworkPowerPort',
   'params': {'extra': {'proxy': 'localhost', 'proxy_required': False},
              'host': 'http://127.0.0.1:52398/power/{index}/{value}',
              'index': 3,
              'model': 'simplerest'}}
Acquired resource 'NetworkSerialPort' (here/bench/NetworkSerialPort/NetworkSerialPort):
  {'acquired': 'bench',
   'avail': True,
   'cls': 'NetworkSerialPort',
   'params': {'extra': {'proxy': 'localhost', 'proxy_required': False},
              'host': '127.0.0.1',
              'port': PORT,
              'protocol': 'raw',
              'speed': 1500000}}
"""


def wired(**settings: object) -> Instance:
    return Instance("bench", boards.load("qemu-virt"), LabBoard("qemu-virt", **settings))  # type: ignore[arg-type]


def test_a_wired_board_has_what_its_lab_file_says() -> None:
    drivers = bind_wired(
        wired(
            serial="/dev/ttyUSB0",
            ssh="10.0.0.7:2222",
            power=wiring.CommandPower("command", "a", "b"),
            reset=wiring.GpioReset("gpio", 1),
            boot_mode=wiring.CommandBootMode("command", "a"),
        ),
        Bus(),
    )
    assert type(drivers.power) is CommandPower
    assert type(drivers.console) is SerialPort
    assert type(drivers.reset) is GpioReset
    assert type(drivers.boot_mode) is CommandBootMode
    assert drivers.ssh is not None
    assert drivers.ssh() == ("10.0.0.7", 2222)


def test_what_it_does_not_say_is_not_there() -> None:
    drivers = bind_wired(wired(serial="/dev/ttyUSB0"), Bus())
    assert type(drivers.power) is ManualPower
    assert (drivers.ssh, drivers.reset, drivers.boot_mode) == (None, None, None)


def test_a_board_without_a_console_is_refused_with_the_way_to_one() -> None:
    with pytest.raises(BadInput, match="does not say where the console of bench is") as caught:
        bind_wired(wired(power=wiring.ManualPower("manual")), Bus())
    assert "[board.bench]" in caught.value.mend


@pytest.mark.parametrize(
    ("named", "address"),
    [
        ("rock", ("rock", 22)),
        ("rock:23", ("rock", 23)),
        ("[fe80::1]:23", ("fe80::1", 23)),
        ("fe80::1", ("fe80::1", 22)),
    ],
)
def test_addresses(named: str, address: tuple[str, int]) -> None:
    drivers = bind_wired(wired(serial="/dev/ttyUSB0", ssh=named), Bus())
    assert drivers.ssh is not None
    assert drivers.ssh() == address


def test_an_emulated_board_is_its_emulator(site: Site) -> None:
    drivers = bind_emulated(site.instance, "flex", "x")
    assert drivers.power is drivers.console is drivers.reset
    assert type(drivers.power) is QemuPower
    assert drivers.power.is_on(Deadline(1, "state")) is False


def test_a_labgrid_place_gives_power_and_console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drivers = bind_wired(wired(labgrid="bench"), Bus())
    assert type(drivers.power) is LabgridPower
    with socket.create_server(("127.0.0.1", 0)) as server:
        shown = PLACE.replace("PORT", str(server.getsockname()[1]))
        (tmp_path / "labgrid-client").write_text(f"#!/bin/sh\ncat <<'E'\n{shown}E\n")
        (tmp_path / "labgrid-client").chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        transport = drivers.console.open()
        board, _ = server.accept()
        assert type(transport) is SerialTransport
        transport.write(b"x")
        assert board.recv(10) == b"x"
        transport.close()
        board.close()
    (tmp_path / "labgrid-client").write_text("#!/bin/sh\necho \"Place 'bench':\"\n")
    with pytest.raises(BoardLost, match="labgrid place bench shows no serial port"):
        drivers.console.open()
