"""U-Boot of an emulated board: QEMU runs over its media while they are flashed, with a TFTP server inside."""

from __future__ import annotations

import tempfile
from pathlib import Path

from flexkit import proc
from flexkit.boards import Instance, Medium, Way
from flexkit.deadline import Deadline
from flexkit.drivers.bind import Drivers
from flexkit.drivers.qemu import QemuPower, media_folder
from flexkit.errors import BadInput, FlashError
from flexkit.flash.medium import FileMedium
from flexkit.flash.ways.tool import Limits, Rescue
from flexkit.flash.ways.uboot import Network, UBootMedium
from flexkit.flash.ways.watched import watched
from flexkit.link.transport import Transport

_OFF_SECONDS = 15.0


class Rig:
    """The emulator, from the first use of its console to ``end``. The caller holds the instance's lock."""

    def __init__(self, instance: Instance, flavour: str, limits: Limits) -> None:
        self._instance = instance
        self._flavour = flavour
        self._limits = limits
        self._used = False
        self._folder = tempfile.TemporaryDirectory(prefix="flexkit-tftp-")
        self.tftp = Path(self._folder.name)
        self._power = QemuPower(instance.type, instance.name, flavour, "flashing", tftp=self.tftp)

    def console(self, deadline: Deadline) -> Transport:
        """The serial console, of a board that is on: from its first instruction if it was off."""
        drivers = Drivers(self._power, self._power)
        if self._power.is_on(deadline):
            return watched(self._instance, drivers)
        self._make_media()
        self._used = True
        self._power.prepare(deadline)
        console = watched(self._instance, drivers)
        self._power.on(deadline)
        return console

    def restart(self, deadline: Deadline) -> None:
        """A cold start, at the next use of the console."""
        if self._used:
            self._power.off(deadline)

    def end(self, deadline: Deadline) -> None:
        """Switch it off, and keep what it wrote, whether that is right or not: a medium does so too."""
        self._folder.cleanup()
        if not self._used:
            return  # what is there is somebody else's run
        self._power.off(deadline)
        for medium in self._instance.type.media:
            overlay = self._media / f"{medium.name}-run.qcow2"
            if overlay.exists():
                proc.run(["qemu-img", "commit", "-q", overlay], deadline, error=FlashError)
        self._power.discard()

    @property
    def _media(self) -> Path:
        return media_folder(self._instance.name, self._flavour)

    def _make_media(self) -> None:
        """Blank ones, where there are none yet."""
        for medium in self._instance.type.media:
            blank = FileMedium(medium.name, self._media / f"{medium.name}.img", medium.size)
            blank.open(Deadline(_OFF_SECONDS, "make a medium"))
            blank.close()


class EmulatedUBoot(UBootMedium):
    """A medium of an emulated board through its U-Boot. Its boot loader has to be on the board already, as on a real
    one: the media before this one in the board file have it."""

    def __init__(self, instance: Instance, medium: Medium, way: Way, flavour: str, limits: Limits) -> None:
        if instance.type.uboot is None:
            raise BadInput(f"{instance.type.name} has no [uboot]")
        self._rig = Rig(instance, flavour, limits)
        super().__init__(
            medium.name,
            medium.size,
            instance.type.uboot,
            way.device,
            medium.chunk,
            self._rig.console,
            Network(self._rig.tftp),
            limits,
            Rescue(self._rig.restart),
        )
        self.fresh = not (media_folder(instance.name, flavour) / f"{medium.name}.img").exists()
        self._ended = False

    def release(self, deadline: Deadline) -> None:
        """It stays where it is: the emulator ends with the flash, and a system that had begun to run would have changed
        the medium."""

    def close(self) -> None:
        super().close()
        if not self._ended:
            self._ended = True
            self._rig.end(Deadline(_OFF_SECONDS, "end the emulator"))
