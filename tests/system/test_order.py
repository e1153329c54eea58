"""Weights are taken back in the order that the payload publishes: what is used last goes first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from resident import Resident

from flexkit import models
from flexkit.deadline import Deadline
from flexkit.drivers import Session
from flexkit.events import Bus
from flexkit.models import atrest, gguf_file, layers, seal

PAGE = 4096


def _step(name: str) -> int:
    """When a pass reads a tensor: the embedding, layer by layer, the output."""
    if name.startswith("blk."):
        return 1 + int(name.split(".")[1])
    return 0 if name.startswith("token_embd") else 1000


def _reversed(source: Path, to: Path) -> Path:
    """The same model with its tensors the other way round, which sealing puts in order."""
    file, data = gguf_file.read(source), source.read_bytes()
    tensors = sorted(file.tensors.values(), key=lambda tensor: -_step(tensor.name))
    drafts = [
        gguf_file.Draft(each.name, each.dims, each.quant, [data[each.offset : each.offset + each.size]])
        for each in tensors
    ]
    gguf_file.write(to, dict(file.metadata), drafts)  # type: ignore[arg-type]
    return to


@pytest.fixture(scope="module", params=["as it is", "reversed"])
def resident(
    board: Session, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Resident]:
    model = models.synthetic("25M", "q8_0", 1, Bus())
    if request.param == "reversed":
        model = _reversed(model, tmp_path_factory.mktemp("reversed") / "reversed.gguf")
    found = Resident.load(board, model)
    yield found
    found.forget()


def _slots(board: Session) -> set[int]:
    text = board.client.check("cat /sys/kernel/debug/flexserve/pages", Deadline(30, "slots"))
    return {int(line.split()[0]) for line in text.splitlines()}


def _steps(model: Path) -> dict[int, int]:
    """For each page of the sealed file that holds weights, the first step that reads it."""
    limit = Deadline(60, "sealed form")
    before = seal.read_facts(atrest.sealed_form(model, limit)).first_page
    file = gguf_file.read(model)
    moved = {move.tensor.name: move.offset for move in layers.plan(file).moves}
    first: dict[int, int] = {}
    for tensor in file.tensors.values():
        offset = moved.get(tensor.name, tensor.offset)
        for page in range(before + offset // PAGE, before + (offset + tensor.size - 1) // PAGE + 1):
            first[page] = min(_step(tensor.name), first.get(page, 1000))
    return first


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_what_is_used_last_goes_first(board: Session, resident: Resident, share: float) -> None:
    """After a partial recall, no page that is left is used later than one that has gone; only what has gone is read
    again."""
    limit = Deadline(60, "recall")
    resident()
    full = _slots(board)
    steps = {page + min(full): step for page, step in _steps(resident.file).items()}
    count = int(len(full) * share)
    assert board.client.recall(count, limit).pages == count
    left = _slots(board)
    gone = full - left
    assert len(gone) == count
    assert min(steps[slot] for slot in gone if slot in steps) >= max(steps[slot] for slot in left if slot in steps)
    assert resident().loaded_pages == len(gone & set(steps))
