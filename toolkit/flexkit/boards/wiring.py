"""How one board of a site is wired: the tables ``power``, ``reset`` and ``boot_mode`` of ``[board.NAME]`` in lab.toml.

Each has a key ``driver``, which says what its other keys are. Commands are run by ``sh -c``; times are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from flexkit.boards.entry import entry


@dataclass(frozen=True)
class CommandPower:
    """Power by commands of the site's own."""

    driver: Literal["command"] = entry("which driver this is")
    on: str = entry("switches it on")
    off: str = entry("switches it off")
    state: str = entry("exit status 0: it is on, 1: it is off", default="")


@dataclass(frozen=True)
class GpioPower:
    """Power by a relay on a GPIO of this host."""

    driver: Literal["gpio"] = entry("which driver this is")
    gpio: int = entry("its number in /sys/class/gpio")
    active_low: bool = entry("the relay closes at 0", default=False)


@dataclass(frozen=True)
class UhubctlPower:
    """Power by a USB hub's port, with uhubctl."""

    driver: Literal["uhubctl"] = entry("which driver this is")
    hub: str = entry("the hub's place, as uhubctl prints it: 1-1.4")
    port: int = entry("the port")


@dataclass(frozen=True)
class HttpPower:
    """Power by a network outlet that is switched by URLs."""

    driver: Literal["http"] = entry("which driver this is")
    on: str = entry("URL that switches it on; may carry user:password@")
    off: str = entry("URL that switches it off")
    state: str = entry("URL that tells", default="")
    state_on: str = entry("found in that answer when it is on (a regular expression)", default="(?i)\\bon\\b")
    method: Literal["GET", "POST", "PUT"] = entry("how on and off are asked for", default="GET")


@dataclass(frozen=True)
class SnmpPower:
    """Power by a network outlet that is switched by SNMP (version 2c)."""

    driver: Literal["snmp"] = entry("which driver this is")
    host: str = entry("the outlet's address")
    oid: str = entry("the object that is the outlet")
    community: str = entry("the community that may write", default="private")
    on: int = entry("its value when on", default=1)
    off: int = entry("its value when off", default=2)


@dataclass(frozen=True)
class LabgridPower:
    """Power of a labgrid place, which whoever uses it has acquired."""

    driver: Literal["labgrid"] = entry("which driver this is")
    place: str = entry("the place, where it is not the board's labgrid", default="")


@dataclass(frozen=True)
class ManualPower:
    """Power by a person, who is asked."""

    driver: Literal["manual"] = entry("which driver this is")


@dataclass(frozen=True)
class CommandReset:
    """Reset by a command of the site's own."""

    driver: Literal["command"] = entry("which driver this is")
    run: str = entry("resets it")


@dataclass(frozen=True)
class GpioReset:
    """Reset by a GPIO of this host."""

    driver: Literal["gpio"] = entry("which driver this is")
    gpio: int = entry("its number in /sys/class/gpio")
    active_low: bool = entry("0 resets", default=True)
    seconds: float = entry("how long", default=0.2)


@dataclass(frozen=True)
class CommandBootMode:
    """Where the boot ROM looks, by commands of the site's own. The choice counts from the next power-on or reset."""

    driver: Literal["command"] = entry("which driver this is")
    normal: str = entry("boots from its medium")
    maskrom: str = entry("stays in its boot ROM", default="")
    loader: str = entry("stays in its first loader", default="")


@dataclass(frozen=True)
class GpioBootMode:
    """The boot ROM's button, pressed by a GPIO of this host."""

    driver: Literal["gpio"] = entry("which driver this is")
    gpio: int = entry("its number in /sys/class/gpio")
    active_low: bool = entry("0 presses", default=True)


PowerWiring = CommandPower | GpioPower | UhubctlPower | HttpPower | SnmpPower | LabgridPower | ManualPower
ResetWiring = CommandReset | GpioReset
BootModeWiring = CommandBootMode | GpioBootMode
