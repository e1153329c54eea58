"""What would be written where: from the board file and the manifest, before any device is touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from flexkit.boards import Board, Medium, MediumRegion
from flexkit.errors import BadInput, FlashError


class Piece(Protocol):
    """A built image: flexkit.build.Image, or one that a deployment kept."""

    @property
    def path(self) -> Path: ...
    @property
    def sha256(self) -> str: ...
    @property
    def size(self) -> int: ...


@dataclass(frozen=True)
class Write:
    """One image into one region. ``image`` None: the region is erased (made again by the board), which only a region
    that was asked for by name can be. ``destructive``: what is there now no build can make again; it is backed up."""

    medium: str
    region: str
    offset: int
    size: int
    image: str | None
    path: Path | None
    sha256: str
    destructive: bool = False


@dataclass(frozen=True)
class Plan:
    """Writes in the order of the media. ``missing``: images that there are none of, and where they come from.
    ``left``: regions that stay as they are, and why."""

    board: str
    build: str
    flavour: str
    writes: tuple[Write, ...]
    missing: Mapping[str, str]
    left: Mapping[str, str]


def make_plan(
    board: Board,
    build: str,
    flavour: str,
    images: Mapping[str, Piece],
    missing: Mapping[str, str],
    regions: Sequence[str] = (),
) -> Plan:
    """The plan for the regions named, or for all that are not protected. Names are ``region`` or ``medium.region``.

    Raises BadInput for a region that the board does not have, FlashError for an image larger than its region.
    """
    wanted = named(board, regions)
    writes: list[Write] = []
    absent: dict[str, str] = {}
    left: dict[str, str] = {}
    for medium in board.media:
        for region in medium.regions:
            place = f"{medium.name}.{region.name}"
            reason = _reason_to_leave(place, region, wanted)
            if reason:
                left[place] = reason
            elif region.image is not None and region.image not in images:
                absent[region.image] = missing.get(region.image, "the build did not make it")
            else:
                writes.append(_write(medium, region, images))
    return Plan(board.name, build, flavour, tuple(writes), absent, left)


def named(board: Board, regions: Sequence[str]) -> set[str] | None:
    """Places by full name; None: nothing was named. Raises BadInput for a region that the board does not have."""
    if not regions:
        return None
    places = {f"{medium.name}.{region.name}" for medium in board.media for region in medium.regions}
    wanted: set[str] = set()
    for name in regions:
        found = {place for place in places if name in (place, place.split(".", 1)[1])}
        if not found:
            raise BadInput(f"{board.name} has no region {name!r}", mend=f"it has: {', '.join(sorted(places))}")
        wanted |= found
    return wanted


def _reason_to_leave(place: str, region: MediumRegion, wanted: set[str] | None) -> str:
    if wanted is not None:
        return "" if place in wanted else "not named"
    if region.protected:
        return "protected: written only when named (--region)"
    return "" if region.image is not None else "made by the board itself"


def _write(medium: Medium, region: MediumRegion, images: Mapping[str, Piece]) -> Write:
    if region.image is None:
        return Write(medium.name, region.name, region.offset, region.size, None, None, "", region.destructive)
    image = images[region.image]
    if image.size > region.size:
        raise FlashError(
            f"{region.image} has {image.size} bytes, region {medium.name}.{region.name} holds {region.size}",
            mend="make the region larger in the board file, or the image smaller",
        )
    return Write(
        medium.name, region.name, region.offset, image.size, region.image, image.path, image.sha256, region.destructive
    )
