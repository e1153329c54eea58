"""Boards: how they are powered, watched, reached. ``open_board`` is the way in."""

from flexkit.drivers.session import Session, open_board

__all__ = ["Session", "open_board"]
