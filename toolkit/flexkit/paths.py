"""Where things are: the project's own files (in a checkout or in the wheel), the cache, run-time state."""

from __future__ import annotations

import os
from pathlib import Path

from flexkit.errors import MissingTool

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
    """``$XDG_CACHE_HOME/flexkit``, made if needed. Raises MissingTool where it cannot be."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return _made(Path(base) / "flexkit", "XDG_CACHE_HOME")


def config() -> Path:
    """``$XDG_CONFIG_HOME/flexkit``; not made."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")) / "flexkit"


def state() -> Path:
    """The host's folder for ledgers and locks, shared by its users where possible.

    ``$FLEXKIT_STATE``, else ``/var/lib/flexkit`` if it can be written, else ``$XDG_STATE_HOME/flexkit``; made if
    needed. Raises MissingTool where it cannot be.
    """
    named = os.environ.get("FLEXKIT_STATE")
    if named:
        return _made(Path(named), "FLEXKIT_STATE")
    if os.access("/var/lib/flexkit", os.W_OK):
        return Path("/var/lib/flexkit")
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local/state")
    return _made(Path(base) / "flexkit", "FLEXKIT_STATE")


def _made(path: Path, variable: str) -> Path:
    """The folder, made if needed. Raises MissingTool where it cannot be, with the variable that names another."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        mend = f"set {variable} to a folder that you may write to"
        raise MissingTool(f"{path} cannot be made: {error.strerror}", mend=mend) from error
    return path


def reports() -> Path:
    """Where reports land: ``reports/`` of the checkout, else ``./reports``."""
    top = checkout()
    return (top / "reports") if top else Path.cwd() / "reports"
