"""Sealed models on the board: decrypted in the secure world, each tampering refused in words of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import hostile_seals
import pytest
from attacker import Attacker
from hostile_seals import Hostile, Seals

from flexkit import engine
from flexkit.deadline import Deadline
from flexkit.drivers import Session
from flexkit.errors import FlexError
from flexkit.link.client import InferRequest, InferResult
from flexkit.models import seal, sealed

Infer = Callable[..., InferResult]
EFAULT = -14
SECURE_MODES = ("flexserve", "strawman", "strawman-opt")
CASES = [next(case for case in hostile_seals.HOSTILE if case.why == why) for why in sealed.Why if why != sealed.Why.OLD]


@pytest.fixture(scope="module")
def seals(tmp_path_factory: pytest.TempPathFactory) -> Seals:
    return hostile_seals.make_seals(tmp_path_factory.mktemp("seals"))


@pytest.mark.parametrize("mode", SECURE_MODES)
def test_decryption_is_a_part_of_a_cold_start(board: Session, infer: Infer, demo: Path, mode: str) -> None:
    limit = Deadline(60, "forget")
    board.client.forget(board.put_model(demo, limit), limit)
    cold = infer(4, mode=mode)
    assert cold.busy["decrypt"] > cold.busy["allocate"] > 0
    if mode == "flexserve":
        assert infer(4).busy["decrypt"] == 0  # warm: nothing was read


@pytest.mark.parametrize("mode", SECURE_MODES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why.name)
def test_a_file_that_was_touched_is_refused(
    board: Session, seals: Seals, story: str, case: Hostile, mode: str, tmp_path: Path
) -> None:
    limit = Deadline(120, "hostile model")
    (tmp_path / "hostile").write_bytes(case.make(seals) or b"\0")
    board.put_file(tmp_path / "hostile", "/data/hostile.sealed", limit)
    with pytest.raises(FlexError, match=sealed.text(f"E_{case.why.name}_TEXT")):
        board.client.infer(InferRequest("/data/hostile.sealed", story, 4, mode=mode, ignore_eos=True), limit)


def test_a_file_that_was_mended_is_taken_again(
    board: Session, seals: Seals, demo: Path, story: str, tmp_path: Path
) -> None:
    """A refusal is of those bytes: the same file, right again, answers right."""
    limit = Deadline(120, "mended model")
    expected = engine.reference_tokens(demo, story, 4, ignore_eos=True)
    (tmp_path / "mended").write_bytes(seals.good)
    board.put_file(tmp_path / "mended", "/data/hostile.sealed", limit)
    request = InferRequest("/data/hostile.sealed", story, 4, ignore_eos=True)
    assert tuple(token.id for token in board.client.infer(request, limit).tokens) == expected.tokens
    board.client.forget("/data/hostile.sealed", limit)
    assert board.client.stats(limit).monitor["panics"] == 0


def test_a_cached_model_that_is_refused_is_loaded_anew(
    board: Session, seals: Seals, demo: Path, story: str, tmp_path: Path
) -> None:
    """Changed while it was cached, behind a prompt's back: refused in mid-prompt, and right again once the file is."""
    limit = Deadline(120, "cached model")
    expected = engine.reference_tokens(demo, story, 4, ignore_eos=True)
    last = hostile_seals.chunk(seals.facts, seals.facts.chunks - 1)
    number = last.start // sealed.CHUNK
    (tmp_path / "good").write_bytes(seals.good)
    board.put_file(tmp_path / "good", "/data/cached.sealed", limit)
    kept = "touch -r /data/cached.good /data/cached.sealed"  # BusyBox sets whole seconds, so it does so from the start
    board.client.check(f"cp -p /data/cached.sealed /data/cached.good && {kept}", limit)
    request = InferRequest("/data/cached.sealed", story, 4, ignore_eos=True)
    assert tuple(token.id for token in board.client.infer(request, limit).tokens) == expected.tokens

    write = f"of=/data/cached.sealed bs={sealed.CHUNK} count=1 conv=notrunc,fsync && {kept}"
    board.client.check(f"dd if=/dev/zero seek={number} {write}", limit)
    board.client.recall(board.client.stats(limit).info["secure_now"], limit)
    with pytest.raises(FlexError, match=sealed.text("E_TAMPERED_TEXT")):
        board.client.infer(request, limit)
    board.client.check(f"dd if=/data/cached.good skip={number} seek={number} {write}", limit)
    assert tuple(token.id for token in board.client.infer(request, limit).tokens) == expected.tokens
    board.client.forget("/data/cached.sealed", limit)
    board.client.check("rm /data/cached.sealed /data/cached.good", limit)


# --- rollback: the board keeps the least version that it takes of each model ---------------------------------------


def test_the_kernel_cannot_reach_where_versions_are_kept(board: Session, attacker: Attacker) -> None:
    """Neither its contents nor its commands. The control: a device that Linux has is read in the same way."""
    flash = board.board.secure_flash
    assert flash is not None
    board.client.protect(True, Deadline(30, "protect"))
    rtc = next(device for device in board.board.memory.devices if device.name == "rtc")
    assert attacker.run(f"access r4 {rtc.base:#x} 0")["ret"] == 0
    for address in (flash.base, flash.base + flash.block, flash.end - 4, 0):
        assert attacker.run(f"access r4 {address:#x} 0")["ret"] == EFAULT
        assert attacker.run(f"access w4 {address:#x} 1 0x00200020")["ret"] == EFAULT


class Versions:
    """Files of the demo model, sealed as versions of one, on the board."""

    def __init__(self, board: Session, demo: Path, prompt: str, folder: Path) -> None:
        self._board, self._demo, self._prompt, self._folder = board, demo, prompt, folder

    def send(self, name: str, version: int) -> str:
        limit = Deadline(120, f"{name} {version}")
        path = f"/data/{name}-{version}.sealed"
        order = seal.Order(self._demo, name, version, sealed.test_key())
        seal.seal(order, self._folder / "version", limit)
        self._board.put_file(self._folder / "version", path, limit)
        return path

    def run(self, path: str, mode: str = "flexserve") -> tuple[int, ...]:
        request = InferRequest(path, self._prompt, 4, mode=mode, ignore_eos=True)
        return tuple(token.id for token in self._board.client.infer(request, Deadline(120, path)).tokens)

    def refused(self, path: str, mode: str = "flexserve") -> None:
        with pytest.raises(FlexError, match=sealed.text("E_OLD_TEXT")):
            self.run(path, mode)


def test_a_rolled_back_model_is_refused_also_after_a_reboot(
    board: Session, demo: Path, story: str, tmp_path: Path
) -> None:
    """Last of this module: it starts the board again. The control: each file is taken until a newer one was.

    What is open and resident when a newer one comes is of no more use.
    """
    right = engine.reference_tokens(demo, story, 4, ignore_eos=True).tokens
    versions = Versions(board, demo, story, tmp_path)
    first, second, third = (versions.send("rolled", number) for number in (1, 2, 3))
    other = versions.send("another", 1)
    for path in (first, second):
        assert versions.run(path) == right
    for mode in SECURE_MODES:
        versions.refused(first, mode)
        assert versions.run(second, mode) == right
    assert versions.run(other) == right

    board.cycle(Deadline(240, "cycle"))
    for mode in SECURE_MODES:
        versions.refused(first, mode)
    assert versions.run(second) == right
    assert versions.run(third, "strawman-opt") == right
    versions.refused(second)
    assert versions.run(other) == right
