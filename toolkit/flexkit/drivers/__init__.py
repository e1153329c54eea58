"""Boards: how they are powered, watched, reached. ``open_board`` is the way in."""

from flexkit.drivers.access import open_board
from flexkit.drivers.session import Session

__all__ = ["Session", "open_board"]
