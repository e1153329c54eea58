"""I6: a kernel that searches all memory it can read, during inference, finds no weight of a sealed model.

A boot of its own, in which nothing but sealed files is sent until the controls at the end: the search sees the same
windows at once where a model runs without protection, and where they were put on purpose.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import plaintext
import pytest
from attacker import Attacker
from plaintext import Place

from flexkit import models
from flexkit.deadline import Deadline
from flexkit.drivers import Session
from flexkit.events import Bus
from flexkit.link.client import InferRequest

_DEBUGFS = "/sys/kernel/debug/flexattack"
_TOKENS = (150, 300, 600, 900)
"""Until one generation is longer than a pass."""


@dataclass(frozen=True)
class Pass:
    """All of DRAM, once: pages that could be read, and those that could not."""

    begun: int
    ended: int
    read: int
    refused: int
    found: int


class Search:
    """The module's search for some places."""

    def __init__(self, board: Session, places: list[Place], folder: Path) -> None:
        self._board = board
        self._attacker = Attacker(board.client)
        self.places = places
        limit = Deadline(60, "windows")
        (folder / "windows").write_bytes(plaintext.hashes(places))
        board.put_file(folder / "windows", "/tmp/windows", limit)
        board.client.check(f"dd if=/tmp/windows of={_DEBUGFS}/windows bs=1M count=1 iflag=fullblock", limit)

    def start(self) -> None:
        memory = self._board.board.memory
        self._attacker.run(f"search {memory.dram_base:#x} {memory.dram_size:#x}")

    def passes(self) -> int:
        """Complete ones so far."""
        return self._attacker.run("search passes")["passes"]

    def stop(self) -> tuple[list[Pass], list[Place]]:
        """Its complete passes, and what was found in any pass."""
        told = self._attacker.run("search")
        names = Pass.__annotations__
        kept = range(max(0, told["passes"] - 16), told["passes"])
        passes = [Pass(**{name: told[f"{name}{number}"] for name in names}) for number in kept]
        bits = self._board.client.get(f"{_DEBUGFS}/found", Deadline(30, "found"))
        return passes, plaintext.found(self.places, bits)


@pytest.fixture(scope="module")
def model() -> Path:
    return models.synthetic("25M", "q8_0", 1, Bus())


@pytest.fixture(scope="module")
def search(board: Session, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Search:
    return Search(board, plaintext.places(model), tmp_path_factory.mktemp("windows"))


def _search_beside_inference(board: Session, search: Search, model: Path, mode: str) -> tuple[Pass, list[Place]]:
    """A pass while tokens were generated, from the first to the last, and everything that was found since before the
    model was loaded."""
    prompt = models.prompt_of(model, 16, 3)
    limit = Deadline(300, f"search beside {mode}")
    path = board.put_model(model, limit, mode)
    for tokens in _TOKENS:
        search.start()
        result = board.client.infer(InferRequest(path, prompt, tokens, mode=mode, ignore_eos=True), limit)
        passes, found = search.stop()
        assert len(result.tokens) == tokens
        within = [each for each in passes if each.begun >= result.first_token and each.ended <= result.finished]
        print(f"{mode}: {len(found)} places found; {passes}")
        if within or found:
            return (within or passes)[0], found
    raise AssertionError(f"no generation of {_TOKENS[-1]} tokens was longer than a pass over memory")


@pytest.mark.parametrize("mode", ["flexserve", "strawman", "strawman-opt"])
def test_no_weight_is_in_memory_that_linux_can_read(board: Session, search: Search, model: Path, mode: str) -> None:
    done, found = _search_beside_inference(board, search, model, mode)
    assert found == []
    pages = board.board.memory.dram_size // 4096
    weights = model.stat().st_size // 4096
    assert done.read + done.refused == pages
    assert done.refused >= weights + board.board.memory.region("tables").size // 4096


def test_control_every_layer_is_found_where_nothing_protects_it(board: Session, search: Search, model: Path) -> None:
    """Mode ``normal``: raw, in the page cache. With nothing secure all of memory is read, but the tables as long as
    protection is on."""
    limit = Deadline(60, "forget")
    sealed = board.put_model(model, limit)
    board.client.forget(sealed, limit)
    done, found = _search_beside_inference(board, search, model, "normal")
    assert {place.layer for place in found} == {place.layer for place in search.places}
    tables = board.board.memory.region("tables").size // 4096
    assert done.refused in (0, tables), "0: protection had ended by itself, nothing being secure any more"


def test_control_every_place_is_found_where_it_was_put(board: Session, search: Search, tmp_path: Path) -> None:
    """Raw and repacked, at addresses of every remainder by 8."""
    limit = Deadline(120, "planted")
    (tmp_path / "planted").write_bytes(plaintext.planted(search.places))
    board.put_file(tmp_path / "planted", "/tmp/planted", limit)
    search.start()
    while search.passes() == 0:
        limit.check()
        time.sleep(0.2)
    _, found = search.stop()
    assert found == search.places
