"""Bringing a region to its image over ways that lie, break off and lose power. Each fault is seen to do harm first."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest
from faulty_medium import SECTOR, Faults, FaultyMedium, HostDied, Store

from flexkit.deadline import Deadline
from flexkit.deployed.plan import Write
from flexkit.errors import FlashError, TimedOut
from flexkit.flash.engine import steady_read, write_region
from flexkit.flash.journal import Journal
from flexkit.flash.protocol import NeedsHands

CHUNK = 2048
OFFSET = 4 * SECTOR


def soon() -> Deadline:
    return Deadline(120, "flash")


def faulty(faults: Faults, seed: int = 0) -> FaultyMedium:
    medium = FaultyMedium("card", 1 << 30, Store(), faults, random.Random(seed))
    medium.open(soon())
    return medium


def image(tmp_path: Path, data: bytes) -> Write:
    path = tmp_path / "image"
    path.write_bytes(data)
    return Write("card", "root", OFFSET, len(data), "root", path, hashlib.sha256(data).hexdigest(), False)


def some(count: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(count)


def held(medium: FaultyMedium, count: int) -> bytes:
    """What would still be there after a loss of power."""
    return medium.store.get(OFFSET, count, settled_only=True)


def test_only_what_differs_is_written(tmp_path: Path) -> None:
    data = some(5500)
    medium = faulty(Faults())
    write = image(tmp_path, data)
    write_region(medium, write, CHUNK, soon(), lambda *_: None)
    harmed = bytearray(medium.store.settled[(OFFSET + 4096) // SECTOR])
    harmed[5] ^= 1
    medium.store.settled[(OFFSET + 4096) // SECTOR] = bytes(harmed)
    medium.writes = []
    steps: list[tuple[int, int]] = []
    outcome = write_region(medium, write, CHUNK, soon(), lambda *step: steps.append(step))
    assert medium.writes == [OFFSET + 4096]
    assert (outcome.chunks, outcome.written, outcome.repeated, outcome.disagreed) == (3, 1, 0, 0)
    assert steps[2] == (5500, 5500)
    assert held(medium, 5500) == data


def test_an_unchanged_image_writes_nothing_and_says_so(tmp_path: Path) -> None:
    medium = faulty(Faults())
    write = image(tmp_path, some(9000))
    write_region(medium, write, CHUNK, soon(), lambda *_: None)
    medium.writes = []
    assert "nothing written" in write_region(medium, write, CHUNK, soon(), lambda *_: None).words()
    assert medium.writes == []


def test_the_last_block_is_filled_up_with_zeros(tmp_path: Path) -> None:
    medium = faulty(Faults())
    medium.store.put(OFFSET + SECTOR, b"\xee" * SECTOR)
    write_region(medium, image(tmp_path, some(SECTOR + 10)), CHUNK, soon(), lambda *_: None)
    assert held(medium, 2 * SECTOR) == some(SECTOR + 10) + bytes(SECTOR - 10)


@pytest.mark.field("F1")
@pytest.mark.parametrize("seed", range(10))
def test_f1_a_channel_that_lies_both_ways_is_outvoted(tmp_path: Path, seed: int) -> None:
    faults = Faults(corrupt_write=0.2, corrupt_read=0.2)
    data = some(40_000, seed)
    naive = faulty(faults, seed)
    for at in range(0, len(data), SECTOR):
        naive.write(OFFSET + at, data[at : at + SECTOR].ljust(SECTOR, b"\0"), soon())
    naive.store.settle()
    assert held(naive, len(data)) != data, "a tool that believes its own success leaves a wrong medium"
    medium = faulty(faults, seed)
    outcome = write_region(medium, image(tmp_path, data), CHUNK, soon(), lambda *_: None)
    assert held(medium, len(data)) == data
    assert outcome.repeated + outcome.disagreed > 0, "and the log says that it lied"


@pytest.mark.field("F1")
def test_f1_a_tool_that_claims_to_have_written_is_not_believed(tmp_path: Path) -> None:
    medium = faulty(Faults(drop_write=0.5))
    outcome = write_region(medium, image(tmp_path, some(20_000)), CHUNK, soon(), lambda *_: None)
    assert held(medium, 20_000) == some(20_000)
    assert outcome.repeated > 0


@pytest.mark.field("F1")
@pytest.mark.parametrize("seed", range(10))
def test_f1_reads_from_a_cache_are_no_proof(tmp_path: Path, seed: int) -> None:
    """The read after a write gives back what was sent, whatever arrived."""
    faults = Faults(corrupt_write=0.3, stale_read=1.0)
    data = some(20_000, seed)
    first = faulty(faults, seed)
    first.write(OFFSET, data[:CHUNK], soon())
    assert first.read(OFFSET, CHUNK, soon()) == data[:CHUNK], "so a read-back alone proves nothing here"
    medium = faulty(faults, seed)
    write_region(medium, image(tmp_path, data), CHUNK, soon(), lambda *_: None)
    assert held(medium, len(data)) == data


def test_a_medium_that_never_takes_it_is_refused(tmp_path: Path) -> None:
    medium = faulty(Faults(corrupt_write=1.0))
    with pytest.raises(FlashError, match=r"card\.root: stage verify: bytes at 0x800 do not read back"):
        write_region(medium, image(tmp_path, some(3000)), CHUNK, soon(), lambda *_: None)
    assert len(medium.writes) == 12


def test_a_medium_that_forgets_all_it_settled_is_refused(tmp_path: Path) -> None:
    class Forgetful(FaultyMedium):
        def settle(self, deadline: Deadline) -> None:
            self.store.cached = {}

    medium = Forgetful("card", 1 << 20, Store(), Faults(), random.Random(0))
    medium.open(soon())
    with pytest.raises(FlashError, match="stage verify: does not keep its bytes"):
        write_region(medium, image(tmp_path, some(3000)), CHUNK, soon(), lambda *_: None)


@pytest.mark.field("F5")
def test_f5_an_image_that_was_changed_since_the_build_is_refused(tmp_path: Path) -> None:
    write = image(tmp_path, b"a" * 3000)
    (tmp_path / "image").write_bytes(b"b" * 3000)
    medium = faulty(Faults())
    with pytest.raises(FlashError, match="is not what was built"):
        write_region(medium, write, CHUNK, soon(), lambda *_: None)
    assert medium.writes == [], "not one byte of it"


@pytest.mark.field("F5")
def test_f5_an_image_that_changes_while_it_is_flashed_is_no_success(tmp_path: Path) -> None:
    write = image(tmp_path, some(6000))

    def change(done: int, total: int) -> None:
        with (tmp_path / "image").open("r+b") as sink:
            sink.write(b"other")

    with pytest.raises(FlashError, match="is not what was built"):
        write_region(faulty(Faults()), write, CHUNK, soon(), change)


def test_an_image_that_is_gone_is_refused(tmp_path: Path) -> None:
    write = image(tmp_path, b"a")
    (tmp_path / "image").unlink()
    with pytest.raises(FlashError, match="No such file"):
        write_region(faulty(Faults()), write, CHUNK, soon(), lambda *_: None)


@pytest.mark.field("F19")
@pytest.mark.parametrize("seed", range(10))
def test_f19_a_device_that_is_reset_and_unplugged_is_brought_back(tmp_path: Path, seed: int) -> None:
    medium = faulty(Faults(reset=0.05, unplug=0.05), seed)
    data = some(60_000, seed)
    outcome = write_region(medium, image(tmp_path, data), CHUNK, soon(), lambda *_: None)
    assert held(medium, len(data)) == data
    assert outcome.recovered == medium.recoveries > 0
    assert outcome.troubles


@pytest.mark.field("F19")
@pytest.mark.parametrize("seed", range(20))
def test_f19_what_a_loss_of_power_took_is_written_again(tmp_path: Path, seed: int) -> None:
    medium = faulty(Faults(power_loss=0.03), seed)
    data = some(60_000, seed)
    write_region(medium, image(tmp_path, data), CHUNK, soon(), lambda *_: None)
    medium.store.cached = {}
    assert held(medium, len(data)) == data


@pytest.mark.field("F19")
def test_f19_a_device_that_is_lost_again_and_again_is_given_up(tmp_path: Path) -> None:
    medium = faulty(Faults(reset=1.0))
    with pytest.raises(FlashError, match=r"card\.root: stage recover: was lost 10 times in a row: card: was reset"):
        write_region(medium, image(tmp_path, some(3000)), CHUNK, soon(), lambda *_: None)


@pytest.mark.field("F19")
def test_f19_hands_are_asked_for_and_waited_for(tmp_path: Path) -> None:
    medium = faulty(Faults(lost=0.05), seed=3)
    asked: list[NeedsHands] = []
    write_region(medium, image(tmp_path, some(60_000)), CHUNK, soon(), lambda *_: None, ask=asked.append)
    assert asked
    assert "recovery button" in asked[0].mend
    assert held(medium, 60_000) == some(60_000)


@pytest.mark.field("F19")
def test_f19_without_hands_the_error_says_what_they_would_do(tmp_path: Path) -> None:
    medium = faulty(Faults(lost=1.0))
    medium.hands_come = False
    with pytest.raises(FlashError, match=r"card\.root: stage recover: card: stays away") as caught:
        write_region(medium, image(tmp_path, some(3000)), CHUNK, soon(), lambda *_: None)
    assert "recovery button" in caught.value.mend


@pytest.mark.field("F19")
def test_f19_the_next_attempt_begins_where_this_one_broke_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flexkit.flash.engine._SETTLE_BYTES", 2 * CHUNK)
    data = some(40 * CHUNK)
    medium = faulty(Faults())
    path = tmp_path / "journal"

    def die(done: int, total: int) -> None:
        if done == 21 * CHUNK:
            raise HostDied

    with pytest.raises(HostDied):
        write_region(medium, image(tmp_path, data), CHUNK, soon(), die, Journal(path))
    medium.store.lose_power(random.Random(0))
    medium.writes = []
    outcome = write_region(medium, image(tmp_path, data), CHUNK, soon(), lambda *_: None, Journal(path))
    assert outcome.resumed_at == 20
    assert min(medium.writes) >= OFFSET + 19 * CHUNK
    assert held(medium, len(data)) == data


@pytest.mark.field("F19")
def test_f19_what_was_harmed_since_is_found_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal says where to begin, not what is right."""
    monkeypatch.setattr("flexkit.flash.engine._SETTLE_BYTES", CHUNK)
    data = some(20 * CHUNK)
    medium = faulty(Faults())

    def die(done: int, total: int) -> None:
        if done == 10 * CHUNK:
            raise HostDied

    with pytest.raises(HostDied):
        write_region(medium, image(tmp_path, data), CHUNK, soon(), die, Journal(tmp_path / "journal"))
    medium.store.settled[OFFSET // SECTOR] = bytes(SECTOR)
    outcome = write_region(medium, image(tmp_path, data), CHUNK, soon(), lambda *_: None, Journal(tmp_path / "journal"))
    assert outcome.resumed_at > 0
    assert held(medium, len(data)) == data


def test_a_journal_of_other_bytes_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flexkit.flash.engine._SETTLE_BYTES", CHUNK)
    path = tmp_path / "journal"

    def die(done: int, total: int) -> None:
        if done == 10 * CHUNK:
            raise HostDied

    with pytest.raises(HostDied):
        write_region(faulty(Faults()), image(tmp_path, some(20 * CHUNK)), CHUNK, soon(), die, Journal(path))
    other = image(tmp_path, some(20 * CHUNK, seed=2))
    assert write_region(faulty(Faults()), other, CHUNK, soon(), lambda *_: None, Journal(path)).resumed_at == 0
    path.write_text("cut off {")
    assert write_region(faulty(Faults()), other, CHUNK, soon(), lambda *_: None, Journal(path)).resumed_at == 0


def test_the_deadline_holds_while_writing(tmp_path: Path) -> None:
    medium = faulty(Faults())
    with pytest.raises(TimedOut):
        write_region(medium, image(tmp_path, b"a" * 3000), CHUNK, Deadline(0.0, "flash"), lambda *_: None)


def test_a_backup_is_what_two_reads_agree_on() -> None:
    medium = faulty(Faults(corrupt_read=0.4, reset=0.1), seed=5)
    medium.store.put(0, some(4096))
    assert steady_read(medium, 0, 4096, soon()) == some(4096)
    with pytest.raises(FlashError, match="stage back up: no two reads at 0x0 agree"):
        steady_read(faulty_always(), 0, 4096, soon())


def faulty_always() -> FaultyMedium:
    return faulty(Faults(corrupt_read=1.0))
