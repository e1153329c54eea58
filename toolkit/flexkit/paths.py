"""Where things are: the project's own files (in a checkout or in the wheel), the cache, run-time state."""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def project() -> Path:
    """The folder that holds firmware/, kernel-patches/, boards/ and models/.

    In a checkout (or an editable install) it is the top of the tree; in an installed wheel those folders travel in
    ``flexkit/_project``.
    """
    packed = _PACKAGE / "_project"
    return packed if packed.is_dir() else _PACKAGE.parents[1]


def checkout() -> Path | None:
    """The top of the tree if this is a checkout, else None."""
    top = _PACKAGE.parents[1]
    return top if (top / "pyproject.toml").is_file() and (top / "firmware").is_dir() else None


def cache() -> Path:
    """``$XDG_CACHE_HOME/flexkit``, made if needed."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    path = Path(base) / "flexkit"
    path.mkdir(parents=True, exist_ok=True)
    return path


def config() -> Path:
    """``$XDG_CONFIG_HOME/flexkit``; not made."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")) / "flexkit"


def state() -> Path:
    """The host's folder for ledgers and locks, shared by its users where possible.

    ``$FLEXKIT_STATE``, else ``/var/lib/flexkit`` if it can be written, else ``$XDG_STATE_HOME/flexkit``.
    """
    named = os.environ.get("FLEXKIT_STATE")
    if named:
        path = Path(named)
    elif os.access("/var/lib/flexkit", os.W_OK):
        path = Path("/var/lib/flexkit")
    else:
        path = Path(os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local/state")) / "flexkit"
    path.mkdir(parents=True, exist_ok=True)
    return path


def reports() -> Path:
    """Where reports land: ``reports/`` of the checkout, else ``./reports``."""
    top = checkout()
    return (top / "reports") if top else Path.cwd() / "reports"
