"""What a build made: identities, images with their hashes, and where everything came from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from flexkit.errors import BadInput

SCHEMA = "flexkit.manifest/1"
Flavour = Literal["flex", "stock"]
Profile = Literal["release", "debug"]


@dataclass(frozen=True)
class Image:
    """A file that goes onto a region of a medium."""

    path: Path
    sha256: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """One build of one board in one flavour.

    ``parts``: identity of each part (32 hex digits), as the part itself reports it at run time. ``outputs``: the folder
    of each part on this machine. ``missing``: images that cannot be built, and where they come from.
    """

    identity: str
    board: str
    flavour: Flavour
    profile: Profile
    parts: dict[str, str]
    images: dict[str, Image]
    outputs: dict[str, Path]
    sources: dict[str, dict[str, str]]
    packages: list[dict[str, str]]
    toolchain: dict[str, str]
    missing: dict[str, str] = field(default_factory=dict)
    path: Path | None = None

    def describe(self) -> dict[str, Any]:
        """The manifest as JSON has it, without the file's own place."""
        value = asdict(self)
        del value["path"]
        value["outputs"] = {name: str(path) for name, path in self.outputs.items()}
        for image in value["images"].values():
            image["path"] = str(image["path"])
        return {"schema": SCHEMA, **value}

    def save(self, folder: Path) -> Manifest:
        """Write it as ``folder/IDENTITY.json`` and ``folder/latest.json``; returns it with its path."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.describe(), indent=1, sort_keys=True)
        for name in (f"{self.identity}.json", "latest.json"):
            scratch = folder / f".{name}.new"
            scratch.write_text(text)
            scratch.replace(folder / name)
        return load(folder / f"{self.identity}.json")


def load(path: Path) -> Manifest:
    """A manifest from its file."""
    try:
        value = json.loads(path.read_text())
        if value.pop("schema") != SCHEMA:
            raise BadInput(f"{path} is not a manifest of this flexkit ({SCHEMA})")
        value["images"] = {
            name: Image(Path(each["path"]), each["sha256"], each["size"]) for name, each in value["images"].items()
        }
        value["outputs"] = {name: Path(each) for name, each in value["outputs"].items()}
        return Manifest(**value, path=path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path} is not a manifest: {error}") from None
