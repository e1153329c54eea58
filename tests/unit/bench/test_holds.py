"""What a report claims to hold is what tests show."""

from __future__ import annotations

from pathlib import Path

from flexkit.bench.holds import INVARIANTS, invariants

TESTS = Path(__file__).resolve().parents[2]


def test_all_nine_are_said() -> None:
    assert [hold.name for hold in INVARIANTS] == [f"I{number}" for number in range(1, 10)]
    assert [hold["name"] for hold in invariants()] == [f"I{number}" for number in range(1, 10)]


def test_what_is_claimed_is_shown_by_tests_that_exist() -> None:
    for hold in INVARIANTS:
        assert hold.shown_by or hold.state == "not yet", hold.name
        assert all((TESTS / path).is_file() for path in hold.shown_by), hold.name


def test_what_is_not_whole_says_why() -> None:
    assert all(hold.note for hold in INVARIANTS if hold.state != "has")
