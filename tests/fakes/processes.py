"""Whether processes have ended: one that nobody has waited for yet has."""

from __future__ import annotations

import time
from pathlib import Path

from flexkit.deadline import Deadline


def ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_ended(pid: int, limit: Deadline) -> None:
    """Raises TimedOut when it goes on."""
    while not ended(pid):
        limit.check()
        time.sleep(0.02)
