"""udev's rules that let ordinary users reach boards in their loader modes (serial ports have a group of their own)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from flexkit import proc
from flexkit.boards import Board
from flexkit.deadline import Deadline
from flexkit.errors import MissingTool

FILE = Path("/etc/udev/rules.d/70-flexkit.rules")
_GROUP = "plugdev"


def render(types: Sequence[Board]) -> str:
    """The rules for every way in which these board types show on USB; empty when none does."""
    shown = {way.id: f"{board.name}, {way.mode}" for board in types for way in board.usb}
    if not shown:
        return ""
    lines = ["# Written by: flexkit doctor --fix"]
    lines += [f'{condition}, GOTO="flexkit_end"' for condition in ('SUBSYSTEM!="usb"', 'ACTION=="remove"')]
    for name, what in sorted(shown.items()):
        vendor, product = name.split(":")
        match = f'ATTR{{idVendor}}=="{vendor}", ATTR{{idProduct}}=="{product}"'
        lines += [f"# {what}", f'{match}, MODE="0660", GROUP="{_GROUP}", TAG+="uaccess"']
    return "\n".join([*lines, 'LABEL="flexkit_end"', ""])


def current(types: Sequence[Board], file: Path = FILE) -> bool:
    """Whether the host has exactly these."""
    wanted = render(types)
    return not wanted or (file.is_file() and file.read_text() == wanted)


def install(types: Sequence[Board], deadline: Deadline, file: Path = FILE) -> None:
    """Write them, as root or by sudo, and let udev take them up. Raises MissingTool when neither may be used."""
    words = ["tee", str(file)]
    if not os.access(file.parent, os.W_OK):
        words = ["sudo", "-n", *words]
    proc.run(words, deadline, stdin=render(types).encode(), error=MissingTool)
    root = words[:-2]
    proc.run([*root, "udevadm", "control", "--reload"], deadline, error=MissingTool)
    proc.run([*root, "udevadm", "trigger", "--subsystem-match=usb"], deadline, error=MissingTool)
