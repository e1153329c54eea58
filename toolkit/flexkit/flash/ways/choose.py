"""Which way goes to a medium: the first of the board file's that this site has what it takes for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from flexkit.boards import Instance, Medium, Way
from flexkit.deadline import Deadline
from flexkit.deployed.plan import Write
from flexkit.drivers.bind import bind_wired
from flexkit.drivers.protocols import Shell, Transfer
from flexkit.drivers.qemu import media_folder
from flexkit.errors import BadInput, FlashError
from flexkit.events import Bus
from flexkit.flash.medium import FileMedium
from flexkit.flash.protocol import FlashMedium
from flexkit.flash.ways.block import BlockMedium
from flexkit.flash.ways.dfu import Dfu, Setting
from flexkit.flash.ways.emulated import EmulatedUBoot
from flexkit.flash.ways.fastboot import Fastboot, Uuu
from flexkit.flash.ways.rockusb import RockUsb
from flexkit.flash.ways.ssh import SshMedium
from flexkit.flash.ways.storage import Storage
from flexkit.flash.ways.tool import Limits, Rescue
from flexkit.flash.ways.uboot import Network, UBootMedium
from flexkit.flash.ways.usb import UsbTarget
from flexkit.flash.ways.watched import WiredConsole

_USB_TOOLS = ("rkdeveloptool", "fastboot", "uuu", "dfu-util")
_FILE = Way("file")


class Ways:
    """Opens media of instances. ``via``: this tool and no other; ``folder``: everything onto files there instead (a
    rehearsal); ``images``: where the build has its pieces, for loaders that are sent first."""

    def __init__(
        self,
        via: str | None = None,
        folder: Path | None = None,
        images: Mapping[str, Path] | None = None,
        bus: Bus | None = None,
    ) -> None:
        self._bus = bus or Bus()
        self._via = via
        self._folder = folder
        self._images = images or {}

    def __call__(self, instance: Instance, medium: Medium, flavour: str) -> FlashMedium:
        """The way to one medium, not yet open. Raises FlashError when this site has none, and says what each lacks."""
        if self._folder is not None:
            return FileMedium(medium.name, self._folder / f"{medium.name}.img", medium.size)
        return self.make(instance, medium, self.choose(instance, medium), flavour)

    def choose(self, instance: Instance, medium: Medium) -> Way:
        """The first way that this site has."""
        ways = self.candidates(medium)
        lacking = {way.tool: _lack(instance, medium, way) for way in ways}
        for way in ways:
            if not lacking[way.tool]:
                return way
        told = "; ".join(f"{tool}: {reason}" for tool, reason in lacking.items())
        raise FlashError(f"{instance.name}: no way to the medium {medium.name} ({told or f'not by {self._via}'})")

    def loaders(self, instance: Instance) -> dict[str, Path]:
        """What this build has of that which is sent to the board first, on the ways that would be taken."""
        return {name: self._images[name] for name in sorted(loaders(instance, self)) if name in self._images}

    def candidates(self, medium: Medium) -> list[Way]:
        """Ways in the order in which they are tried: the one that was named; what it does not reach is a file."""
        there = medium.ways or (_FILE,)
        return [way for way in there if self._via in (None, way.tool)] or [way for way in there if way.tool == "file"]

    def make(self, instance: Instance, medium: Medium, way: Way, flavour: str) -> FlashMedium:
        """The driver of a way."""
        board = instance.type
        limits = Limits(board.timeouts.tool, board.timeouts.enumerate, way.bytes_per_second or 1_000_000)
        settings = instance.settings
        if way.tool == "file":
            return FileMedium(medium.name, media_folder(instance.name, flavour) / f"{medium.name}.img", medium.size)
        if way.tool == "block":
            path = Path(settings.sd or "/dev/CARD")
            return BlockMedium(medium.name, medium.size, path, limits.enumerate, settings.sd_mux)
        if way.tool == "uboot":
            return self._uboot(instance, medium, way, flavour, limits)
        if way.tool in _USB_TOOLS:
            return self._usb(instance, medium, way, limits)
        return SshMedium(medium.name, medium.size, way.device, _not_by_this_way, limits)  # to be shown: flash/slots.py

    def _usb(self, instance: Instance, medium: Medium, way: Way, limits: Limits) -> FlashMedium:
        board, port = instance.type, instance.settings.usb
        target = UsbTarget(instance.name, board.usb, port)
        loader = self._images.get(way.loader)
        rescue = self._rescue(instance)
        if way.tool == "rkdeveloptool":
            return RockUsb(medium.name, medium.size, target, loader, limits, rescue)
        if way.tool == "dfu-util":
            settings = {
                each.offset: Setting(way.device or each.name, each.offset, each.size) for each in medium.regions
            }
            return Dfu(medium.name, medium.size, target, settings, limits, rescue, port)
        storage = Storage(way.device, board.uboot.buffer if board.uboot else 0, medium.chunk + (1 << 16))
        if way.tool == "fastboot":
            return Fastboot(medium.name, medium.size, target, storage, limits, rescue, port)
        return Uuu(medium.name, medium.size, target, storage, limits, rescue, port, loader)

    def _uboot(self, instance: Instance, medium: Medium, way: Way, flavour: str, limits: Limits) -> FlashMedium:
        if not instance.wired:
            return EmulatedUBoot(instance, medium, way, flavour, limits)
        settings, uboot = instance.settings, instance.type.uboot
        if uboot is None:
            raise BadInput(f"{instance.type.name} has no [uboot]")
        network = Network(Path(settings.tftp), settings.server or "") if settings.tftp else None
        if network is None:  # YMODEM: ten bits a byte, and half of the time spent waiting
            limits = replace(limits, speed=instance.baud // 20)

        bench = WiredConsole(instance, self._bus)
        can_start = settings.reset or settings.power or settings.labgrid
        rescue = Rescue(bench.restart) if can_start else None
        return UBootMedium(
            medium.name,
            medium.size,
            uboot,
            way.device,
            medium.chunk,
            bench.open,
            network,
            limits,
            rescue,
            baud=instance.baud,
            impatient=rescue is not None,
        )

    def _rescue(self, instance: Instance) -> Rescue | None:
        """Into the mode in which the boot ROM can be flashed, where the site can switch power and boot mode."""
        settings = instance.settings
        if settings.boot_mode is None or not (settings.power or settings.labgrid):
            return None

        def enter(deadline: Deadline) -> None:
            site = bind_wired(instance, self._bus)
            if site.boot_mode is not None:
                site.boot_mode.select("maskrom", deadline)
            site.power.cycle(deadline)

        def leave(deadline: Deadline) -> None:
            site = bind_wired(instance, self._bus)
            if site.boot_mode is not None:
                site.boot_mode.select("normal", deadline)

        return Rescue(enter, leave)


def _not_by_this_way(deadline: Deadline) -> tuple[Shell, Transfer]:
    """A whole medium is not flashed over SSH while the board runs from it."""
    raise FlashError("only a slot is flashed over SSH", mend="flexkit flash --via ssh")


def _lack(instance: Instance, medium: Medium, way: Way) -> str:
    """What a site lacks for a way; empty: nothing."""
    settings = instance.settings
    if way.tool == "file":
        return "" if medium.kind == "file" and not instance.wired else "only an emulated board's media are files"
    if way.tool == "block":
        return "" if settings.sd else 'the lab file has no sd = "/dev/disk/by-id/…"'
    if way.tool == "uboot":
        return "" if settings.serial or not instance.wired else 'the lab file has no serial = "/dev/…"'
    if way.tool == "ssh":
        return "it is for the slot that a running board is not in: --via ssh"
    return "" if instance.type.usb else "the board file has no [[usb]]"


def shown(instance: Instance, medium: Medium, write: Write, ways: Ways, flavour: str) -> tuple[str, Sequence[str]]:
    """For a plan: the tool, and the commands by which a person would do the same. Of a site that lacks all ways, by the
    first."""
    try:
        way = ways.choose(instance, medium)
    except FlashError:
        way = (*ways.candidates(medium), *medium.ways, _FILE)[0]
    driver = ways.make(instance, medium, way, flavour)
    try:
        return way.tool, driver.describe(write)
    finally:
        driver.close()


def loaders(instance: Instance, ways: Ways) -> set[str]:
    """Images that have to be sent first on the ways that would be taken."""
    found = set()
    for medium in instance.type.media:
        try:
            found.add(ways.choose(instance, medium).loader)
        except FlashError:
            found.add((medium.ways or (_FILE,))[0].loader)
    return found - {""}
