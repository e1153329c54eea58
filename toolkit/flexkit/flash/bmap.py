"""A rehearsed card's block map, as bmaptool reads it: which blocks of a large, mostly empty image are to be copied, and
their SHA-256. With it somebody without this tool writes the card in minutes: ``bmaptool copy card.img /dev/…``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

BLOCK = 4096
_STEP = 1 << 20
_NO_SUM = "0" * 64


def path_of(image: Path) -> Path:
    """Where bmaptool looks for the map of an image by itself."""
    return image.with_suffix(".bmap")


def write(image: Path, written: Iterable[tuple[int, int]]) -> Path:
    """Make the map of an image. ``written``: offset and count of what it holds; all else need not be copied."""
    size = image.stat().st_size
    ranges = _blocks(written)
    root = ElementTree.Element("bmap", version="2.0")
    mapped = sum(last - first + 1 for first, last in ranges)
    facts = {
        "ImageSize": size,
        "BlockSize": BLOCK,
        "BlocksCount": -(-size // BLOCK),
        "MappedBlocksCount": mapped,
        "ChecksumType": "sha256",
        "BmapFileChecksum": _NO_SUM,
    }
    for name, value in facts.items():
        ElementTree.SubElement(root, name).text = f" {value} "
    listed = ElementTree.SubElement(root, "BlockMap")
    for first, last in ranges:
        ElementTree.SubElement(listed, "Range", chksum=_sum(image, first, last)).text = f" {first}-{last} "
    ElementTree.indent(root)
    text = '<?xml version="1.0" ?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"
    target = path_of(image)
    # The map's own sum is computed with zeros in its place.
    target.write_text(text.replace(_NO_SUM, hashlib.sha256(text.encode()).hexdigest(), 1))
    return target


def _blocks(written: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """First and last block of each stretch, in order, those that touch as one."""
    found: list[tuple[int, int]] = []
    for offset, count in sorted(written):
        first, last = offset // BLOCK, (offset + count - 1) // BLOCK
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


def _sum(image: Path, first: int, last: int) -> str:
    digest = hashlib.sha256()
    with image.open("rb") as source:
        source.seek(first * BLOCK)
        left = (last - first + 1) * BLOCK
        while data := source.read(min(_STEP, left)):
            digest.update(data)
            left -= len(data)
    return digest.hexdigest()
