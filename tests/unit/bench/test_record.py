"""Values by round, faults by cell, and the counting of trusted lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from flexkit import boards
from flexkit.bench import lines
from flexkit.bench.oracle import CachedOracle, Expected, folder_identity
from flexkit.bench.record import TTFT, Recorder, WrongTokens, cell
from flexkit.digest import sha256_of
from flexkit.errors import FlexError

CELL = cell("quick", mode="normal")


def test_a_cell_without_a_value_has_none_and_says_why() -> None:
    recorder = Recorder(rounds=2)
    recorder.declare(CELL, TTFT)
    (row,) = recorder.rows()
    assert (row.result.values, row.result.valid) == ((), False)
    assert row.result.why == "no value (rounds 1, 2)"


def test_a_missing_round_makes_the_row_invalid_and_keeps_the_others() -> None:
    recorder = Recorder(rounds=3)
    recorder.put(CELL, TTFT, 0, 5.0)
    recorder.put(CELL, TTFT, 2, 7.0)
    (row,) = recorder.rows()
    assert row.result.values == (5.0, None, 7.0)
    assert row.result.why == "no value (round 2)"


def test_the_same_reason_is_told_once() -> None:
    recorder = Recorder(rounds=3)
    recorder.declare(CELL, TTFT)
    for number in range(3):
        with pytest.raises(FlexError), recorder.attempt("measure", CELL, round=number):
            raise FlexError("silence")
    (row,) = recorder.rows()
    assert row.result.why == "silence (rounds 1, 2, 3)"
    assert [attempt.outcome for attempt in recorder.attempts] == ["failed"] * 3


def test_wrong_tokens_have_an_outcome_of_their_own() -> None:
    recorder = Recorder(rounds=1)
    with pytest.raises(WrongTokens), recorder.attempt("measure", CELL, round=0):
        raise WrongTokens("token 1 is 2, the reference has 3")
    assert recorder.attempts[0].outcome == "wrong tokens"


class Counting:
    """An oracle that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def expect(self, model: Path, prompt: str, n: int, context: int) -> Expected:
        self.asked += 1
        return Expected((1, 2), (3,) * n, "host-scalar")


def test_reference_answers_are_kept_by_everything_they_depend_on(tmp_path: Path) -> None:
    model, inner = tmp_path / "m.gguf", Counting()
    model.write_bytes(b"one")
    folder = tmp_path / "kept"
    oracle = CachedOracle(inner, "engine-1", sha256_of, folder)
    first = oracle.expect(model, "once", 4, 256)
    assert CachedOracle(inner, "engine-1", sha256_of, folder).expect(model, "once", 4, 256) == first
    assert inner.asked == 1
    oracle.expect(model, "twice", 4, 256)
    oracle.expect(model, "once", 5, 256)
    CachedOracle(inner, "engine-2", sha256_of, folder).expect(model, "once", 4, 256)
    model.write_bytes(b"two")
    oracle.expect(model, "once", 4, 256)
    assert inner.asked == 5


def test_a_kept_answer_that_is_cut_short_is_computed_again(tmp_path: Path) -> None:
    model, inner, folder = tmp_path / "m.gguf", Counting(), tmp_path / "kept"
    model.write_bytes(b"one")
    oracle = CachedOracle(inner, "engine", sha256_of, folder)
    first = oracle.expect(model, "once", 4, 256)
    (file,) = folder.glob("*.json")
    file.write_text('{"prompt_ids": [1')
    assert oracle.expect(model, "once", 4, 256) == first
    assert inner.asked == 2


def test_a_folder_changes_its_identity_with_names_and_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("int a;")
    first = folder_identity(tmp_path, (".c",))
    (tmp_path / "notes.md").write_text("not code")
    assert folder_identity(tmp_path, (".c",)) == first
    (tmp_path / "a.c").rename(tmp_path / "b.c")
    assert folder_identity(tmp_path, (".c",)) != first


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("int a;\n\n\nint b;\n", 2),
        ("/* one\n * two\n */\nint a; /* three */\n// four\n", 1),
        ('char *s = "/* not a comment */";\n', 1),
        ("char c = '\"'; /* x */\nint b;\n", 2),
        ("a: mov x0, #1 // don't\n\tret\n", 2),
        ("int a; /* never closed\n", 1),
    ],
)
def test_lines_are_code_not_comment(source: str, count: int) -> None:
    assert lines.count(source) == count


def test_code_that_is_not_trusted_is_not_counted(tmp_path: Path) -> None:
    for name in ("firmware/monitor/core/a.c", "firmware/monitor/tests/b.c"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("int a;\n")
    assert lines.trusted(tmp_path, boards.load("qemu-virt")) == {"monitor": 1}


@pytest.mark.parametrize(
    ("board", "linked"), [("qemu-virt", 1 + 2 + 8), ("qemu-virt-rme", 1 + 4 + 8), ("rpi4", 1 + 2 + 16)]
)
def test_what_the_board_s_build_links_is_counted(tmp_path: Path, board: str, linked: int) -> None:
    files = {"core/a.c": 1, "stage2/a.c": 2, "gpt/a.c": 4, "smmu/smmuv3.c": 8, "smmu/no_smmu.c": 16}
    for name, count in files.items():
        path = tmp_path / "firmware/monitor" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("int a;\n" * count)
    assert lines.trusted(tmp_path, boards.load(board)) == {"monitor": linked}
