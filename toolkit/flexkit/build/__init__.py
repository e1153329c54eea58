"""Building: sources fetched and verified, parts made once for each set of inputs, images for a board's media."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from flexkit import paths
from flexkit.boards import Board
from flexkit.build.graph import Graph, parts_of
from flexkit.build.manifest import Flavour, Image, Manifest, Profile, load
from flexkit.deadline import Deadline
from flexkit.events import Bus

__all__ = ["Flavour", "Image", "Manifest", "Profile", "latest", "load", "parts_of", "run"]


def _folder(board: str, flavour: Flavour, profile: Profile) -> Path:
    return paths.cache() / "builds" / f"{board}-{flavour}-{profile}"


def run(
    board: Board,
    *,
    bus: Bus,
    deadline: Deadline,
    flavour: Flavour = "flex",
    profile: Profile = "release",
    parts: Sequence[str] = (),
    overrides: Mapping[str, Path] | None = None,
) -> Manifest:
    """Build a board's images, or only the parts named; what is in the cache is not built again (then: under a second).

    ``overrides``: source trees of the user's own by name ("linux", "tf-a"). With ``parts`` the manifest has no images
    and is not saved.
    """
    manifest = Graph(board, flavour, profile, bus, deadline, overrides or {}).manifest(parts)
    return manifest if parts else manifest.save(_folder(board.name, flavour, profile))


def latest(board: str, flavour: Flavour = "flex", profile: Profile = "release") -> Manifest | None:
    """The manifest of the last build of a board, by this user in any checkout; None if there is none."""
    path = _folder(board, flavour, profile) / "latest.json"
    return load(path) if path.is_file() else None
