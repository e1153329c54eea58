"""A GPIO of this host, by /sys/class/gpio: there a level stays when the process that set it ends, which the character
device does not promise, and a relay that falls off with its command would be no power supply."""

from __future__ import annotations

from pathlib import Path

from flexkit.errors import BoardLost

SYSFS = Path("/sys/class/gpio")


class Line:
    """One line, an output. ``active_low``: 0 is on."""

    def __init__(self, number: int, active_low: bool, root: Path = SYSFS) -> None:
        self._number = number
        self._active_low = active_low
        self._root = root
        self._folder = root / f"gpio{number}"

    def set(self, on: bool) -> None:
        """Raises BoardLost when the line is not there or not ours to set. The first use makes it an output at that
        level: nothing in between."""
        level = on != self._active_low
        try:
            self._export()
            if (self._folder / "direction").read_text().strip() == "out":
                (self._folder / "value").write_text(str(int(level)))
            else:
                (self._folder / "direction").write_text("high" if level else "low")
        except OSError as error:
            raise self._lost(error) from error

    def get(self) -> bool:
        """Whether it is on. Raises BoardLost."""
        try:
            self._export()
            return ((self._folder / "value").read_text().strip() == "1") != self._active_low
        except OSError as error:
            raise self._lost(error) from error

    def _export(self) -> None:
        if not self._folder.is_dir():
            (self._root / "export").write_text(str(self._number))

    def _lost(self, error: OSError) -> BoardLost:
        return BoardLost(
            f"GPIO {self._number} of this host cannot be used: {error.strerror}",
            mend=f"check the number in lab.toml and your rights on {self._root}",
        )
