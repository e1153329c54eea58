"""What hangs on this host: serial ports, boards that show on USB in one of their loader modes, readers of cards. Each
goes by something that stays when it is plugged in again: its serial number where that tells it from others, else the
port that it hangs on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyudev

from flexkit.boards import Board
from flexkit.deadline import Deadline

# Modes that any board shows by its interfaces (class, subclass, protocol), whoever made it.
_INTERFACES = {":ff4203:": "fastboot", ":fe0102:": "dfu"}
# Serial numbers that makers of converters burn into all of them.
_COMMON_NUMBERS = re.compile(r"^(0*[01]?|0123456789.*)$")
_SUBSYSTEMS = ("tty", "usb", "block")
_SECTOR = 512
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class SerialPort:
    """A USB serial converter. ``device``: a name of it that stays; ``node``: what it is called today."""

    device: str
    node: str
    usb: str
    title: str
    identity: str


@dataclass(frozen=True)
class UsbBoard:
    """A board that shows on USB. ``types``: what it can be; ``hands``: what a person does about this mode."""

    usb: str
    id: str
    mode: str
    types: tuple[str, ...]
    hands: str
    identity: str


@dataclass(frozen=True)
class CardReader:
    """A reader of cards; ``size`` is the card's in bytes, 0 without one."""

    device: str
    node: str
    size: int
    title: str


@dataclass(frozen=True)
class Found:
    """All of it."""

    ports: tuple[SerialPort, ...] = ()
    boards: tuple[UsbBoard, ...] = ()
    readers: tuple[CardReader, ...] = ()

    def beyond(self, earlier: Found) -> Found:
        """What is there now and was not before."""
        return Found(
            tuple(each for each in self.ports if each not in earlier.ports),
            tuple(each for each in self.boards if each not in earlier.boards),
            tuple(each for each in self.readers if each not in earlier.readers),
        )

    def __bool__(self) -> bool:
        return bool(self.ports or self.boards or self.readers)


@dataclass(frozen=True)
class _Device:
    """What this looks at of a device of udev's."""

    subsystem: str
    path: str
    node: str
    properties: Mapping[str, str]
    attributes: Mapping[str, str] = field(default_factory=dict)

    def get(self, name: str) -> str:
        return self.properties.get(name, "")

    @property
    def usb(self) -> str:
        """The USB port that it hangs on: 1-1.4; empty: on none."""
        ports = re.findall(r"/(\d+-\d+(?:\.\d+)*)(?=/|$)", self.path)
        return ports[-1] if ports else ""

    @property
    def title(self) -> str:
        return " ".join(self.get(name).replace("_", " ") for name in ("ID_VENDOR", "ID_MODEL")).strip() or "unnamed"

    def link(self, *kinds: str) -> str:
        """The first of its links of these kinds (folders of /dev), in their order; else its node."""
        links = sorted(self.get("DEVLINKS").split())
        return next((link for kind in kinds for link in links if link.startswith(f"/dev/{kind}/")), self.node)


def switch_of(usb: str) -> tuple[str, int]:
    """Hub and port of a USB path, as uhubctl names them: 1-1.4 is port 4 of hub 1-1, 1-4 is port 4 of bus 1's own."""
    dot = usb.rfind(".")
    at = dot if dot >= 0 else usb.index("-")
    return usb[:at], int(usb[at + 1 :])


def look(types: Sequence[Board], context: pyudev.Context | None = None) -> Found:
    """What is there now."""
    context = context or pyudev.Context()
    devices = [_read(device) for name in _SUBSYSTEMS for device in context.list_devices(subsystem=name)]
    return Found(tuple(_ports(devices)), tuple(_boards(devices, types)), tuple(_readers(devices)))


def watch(types: Sequence[Board], deadline: Deadline, context: pyudev.Context | None = None) -> Iterator[Found]:
    """What there is, then again at each change, until the deadline."""
    context = context or pyudev.Context()
    monitor = pyudev.Monitor.from_netlink(context)
    for subsystem in _SUBSYSTEMS:
        monitor.filter_by(subsystem)
    monitor.start()
    yield look(types, context)
    while not deadline.expired:
        if monitor.poll(min(_POLL_SECONDS, deadline.remaining)) is not None:
            yield look(types, context)


def wait_new(types: Sequence[Board], deadline: Deadline, tell: Callable[[Found], None]) -> Found:
    """Wait for something to be plugged in; what it is. Empty at the deadline. ``tell`` gets what was there before."""
    before: Found | None = None
    for found in watch(types, deadline):
        if before is None:
            before = found
            tell(found)
        elif new := found.beyond(before):
            return new
    return Found()


def _read(device: pyudev.Device) -> _Device:
    names = ("removable", "size", "idVendor", "idProduct", "serial", "version")
    attributes = {name: device.attributes.get(name) for name in names}
    texts = {name: value.decode(errors="replace").strip() for name, value in attributes.items() if value is not None}
    return _Device(device.subsystem, device.device_path, device.device_node or "", dict(device.properties), texts)


def _ports(devices: Iterable[_Device]) -> Iterator[SerialPort]:
    ports = [device for device in devices if device.subsystem == "tty" and device.usb]
    numbers = Counter(port.get("ID_SERIAL_SHORT") for port in ports if port.get("ID_USB_INTERFACE_NUM") in ("", "00"))
    for port in sorted(ports, key=lambda each: each.node):
        number = port.get("ID_SERIAL_SHORT")
        own = numbers[number] == 1 and not _COMMON_NUMBERS.match(number)
        kinds = ("serial/by-id", "serial/by-path") if own else ("serial/by-path",)
        identity = f"usb-{number}" if own else f"port-{port.usb}"
        yield SerialPort(port.link(*kinds), port.node, port.usb, port.title, identity)


def _boards(devices: Iterable[_Device], types: Sequence[Board]) -> Iterator[UsbBoard]:
    for device in devices:
        if device.subsystem != "usb" or device.get("DEVTYPE") != "usb_device":
            continue
        name = f"{device.attributes.get('idVendor', '')}:{device.attributes.get('idProduct', '')}"
        version = device.attributes.get("version", "")
        known = [
            (board, way)
            for board in types
            for way in board.usb
            if way.id == name and way.version in ("", version or way.version)
        ]
        modes = [str(way.mode) for _, way in known]
        modes += [mode for interface, mode in _INTERFACES.items() if interface in device.get("ID_USB_INTERFACES")]
        if modes:
            number = device.attributes.get("serial", "")
            identity = f"port-{device.usb}" if _COMMON_NUMBERS.match(number) else f"usb-{number}"
            kinds = tuple(dict.fromkeys(board.name for board, _ in known))
            hands = next((way.hands for _, way in known if way.hands), "")
            yield UsbBoard(device.usb, name, modes[0], kinds, hands, identity)


def _readers(devices: Iterable[_Device]) -> Iterator[CardReader]:
    for device in devices:
        if device.subsystem != "block" or device.get("DEVTYPE") != "disk":
            continue
        if device.attributes.get("removable") != "1" or not device.usb:
            continue
        size = int(device.attributes.get("size", "0")) * _SECTOR
        yield CardReader(device.link("disk/by-id", "disk/by-path"), device.node, size, device.title)
