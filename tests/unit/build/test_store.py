"""The store: a part is made once for each set of inputs, an interrupted one again, and two builders wait in line."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from flexkit.build.store import Store, identity, locked, need_space, tree_hash
from flexkit.deadline import Deadline
from flexkit.errors import Busy, MissingTool

KEY = "0" * 32


def soon() -> Deadline:
    return Deadline(60.0, "test")


class Maker:
    """Counts how often it was asked, and writes a file."""

    def __init__(self, fail: bool = False) -> None:
        self.calls = 0
        self.fail = fail

    def __call__(self, folder: Path) -> None:
        self.calls += 1
        (folder / "out").write_text("made")
        if self.fail:
            raise OSError("the compiler stumbled")


def test_a_part_is_made_once(tmp_path: Path) -> None:
    store, make = Store(tmp_path), Maker()
    first = store.get("part", KEY, make, soon())
    assert store.get("part", KEY, make, soon()) == first
    assert (make.calls, (first / "out").read_text()) == (1, "made")


def test_other_inputs_are_another_part(tmp_path: Path) -> None:
    store, make = Store(tmp_path), Maker()
    assert store.get("part", KEY, make, soon()) != store.get("part", "1" * 32, make, soon())
    assert make.calls == 2


def test_a_failed_part_is_made_again_from_an_empty_folder(tmp_path: Path) -> None:
    store, bad = Store(tmp_path), Maker(fail=True)
    with pytest.raises(OSError, match="stumbled"):
        store.get("part", KEY, bad, soon())
    assert not store.has("part", KEY)
    (store.folder("part", KEY) / "rubbish").touch()
    folder = store.get("part", KEY, Maker(), soon())
    assert sorted(path.name for path in folder.iterdir()) == [".complete", "out"]


def test_two_builders_make_it_once(tmp_path: Path) -> None:
    store, calls, twice = Store(tmp_path), [], threading.Event()

    def make(folder: Path) -> None:
        calls.append(folder)
        if len(calls) > 1:
            twice.set()
            return
        second.start()
        twice.wait(1)  # a second one would not wait in line: only how soon that shows depends on this

    second = threading.Thread(target=store.get, args=("part", KEY, make, soon()))
    store.get("part", KEY, make, soon())
    second.join()
    assert len(calls) == 1


def test_a_lock_held_till_the_deadline_is_busy(tmp_path: Path) -> None:
    with locked(tmp_path / "lock", soon(), "first"), pytest.raises(Busy, match="second"):  # noqa: SIM117
        with locked(tmp_path / "lock", Deadline(0.1, "test"), "second"):
            pass


def test_old_parts_beyond_those_kept_go(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for number in range(4):
        folder = store.get("part", f"{number:032x}", Maker(), soon())
        os.utime(folder / ".complete", (number, number))
    assert store.retire("part", keep=2, age=1e12) == []
    gone = store.retire("part", keep=2, age=10.0)
    assert sorted(folder.name for folder in gone) == [f"{number:032x}" for number in (0, 1)]
    assert store.has("part", f"{3:032x}")


def test_a_part_that_is_being_built_is_not_removed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    folder = store.get("part", KEY, Maker(), soon())
    with locked(tmp_path / "locks" / f"part-{KEY}", soon(), "builder"):
        assert store.retire("part", keep=0, age=-1.0) == []
    assert folder.is_dir()
    assert store.retire("part", keep=0, age=-1.0) == [folder]


def test_a_full_disk_is_refused_before_the_work(tmp_path: Path) -> None:
    need_space(tmp_path, 1, "little")
    with pytest.raises(MissingTool, match="everything needs"):
        need_space(tmp_path, 1 << 60, "everything")


def test_the_identity_depends_on_names_and_values_only() -> None:
    assert identity({"a": "1", "b": "2"}) == identity({"b": "2", "a": "1"})
    assert len({identity({"a": "1"}), identity({"a": "2"}), identity({"b": "1"})}) == 3
    assert len(identity({})) == 32


def test_a_trees_hash_depends_on_contents_names_and_executable_bits(tmp_path: Path) -> None:
    def tree(name: str, file: str, text: str, mode: int = 0o644) -> str:
        folder = tmp_path / name
        folder.mkdir()
        (folder / file).write_text(text)
        (folder / file).chmod(mode)
        os.utime(folder / file, (1, 1))
        return tree_hash([folder])

    assert tree("one", "a", "text") == tree("two", "a", "text")
    others = {tree("three", "b", "text"), tree("four", "a", "other"), tree("five", "a", "text", 0o755)}
    assert len(others | {tree("six", "a", "text")}) == 4


def test_a_trees_hash_passes_over_what_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("text")
    before = tree_hash([tmp_path])
    (tmp_path / "a.o").write_text("object")
    assert tree_hash([tmp_path], skip=lambda path: path.suffix == ".o") == before
