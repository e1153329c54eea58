"""How far a flash has come, so that the next attempt begins where this one breaks off (FIELD F19)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flexkit import whole
from flexkit.deployed.plan import Write
from flexkit.flash.image import Chunk
from flexkit.lock import shared_folder


class Journal:
    """One medium's journal. ``path`` None: none is kept. The caller holds the board's lock.

    A region's mark says: chunks below it were written, read back and settled. It is a place to begin at, not a proof;
    what lies below is looked at again before the region is called right.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._marks: dict[str, Any] = {}
        if path is not None:
            try:
                self._marks = json.loads(path.read_text())
            except (OSError, ValueError):
                self._marks = {}

    def start(self, write: Write, chunks: Sequence[Chunk]) -> int:
        """The first chunk that was not verified in an earlier attempt at the very same bytes."""
        mark = self._marks.get(write.region)
        if not isinstance(mark, dict) or mark.get("key") != self._key(write, chunks):
            self._marks[write.region] = {"key": self._key(write, chunks), "chunk": 0}
            return 0
        reached = mark.get("chunk")
        return reached if isinstance(reached, int) and 0 <= reached < len(chunks) else 0

    def reached(self, write: Write, chunk: int) -> None:
        """Chunks below ``chunk`` are verified and settled."""
        self._marks[write.region]["chunk"] = chunk
        self._save()

    def finish(self, write: Write) -> None:
        """The region is proven; nothing is to be resumed."""
        self._marks.pop(write.region, None)
        self._save()

    def backup(self, write: Write) -> str:
        """Where the region was backed up in this flash's first attempt; empty: it was not. A later attempt would find
        it half overwritten already."""
        mark = self._marks.get(f"backup {write.region}")
        return mark["path"] if isinstance(mark, dict) and mark.get("sha256") == write.sha256 else ""

    def backed_up(self, write: Write, path: str) -> None:
        """Remember where the region was backed up to, for a flash that is resumed."""
        self._marks[f"backup {write.region}"] = {"sha256": write.sha256, "path": path}
        self._save()

    def close(self) -> None:
        """The whole medium is done."""
        self._marks = {}
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    @staticmethod
    def _key(write: Write, chunks: Sequence[Chunk]) -> list[Any]:
        return [write.sha256, write.offset, write.size, len(chunks)]

    def _save(self) -> None:
        if self._path is None:
            return
        shared_folder(self._path.parent)
        whole.write_text(self._path, json.dumps(self._marks))
