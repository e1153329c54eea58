"""What a report claims to hold is what tests show."""

from __future__ import annotations

import re
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


def readme() -> dict[str, tuple[str, set[str]]]:
    """Invariant -> how far it holds in the README's words, and the tests that it names."""
    text = (TESTS.parent / "README.md").read_text(encoding="utf-8")
    found = {}
    for name, cells in re.findall(r"^\| (I\d) (.*) \|$", text, re.MULTILINE):
        _, state, shown = cells.rsplit(" | ", 2)
        tests = {word.removeprefix("tests/") for word in re.findall(r"`([^`]+)`", shown)}
        found[name] = re.split(r"[:;]", state)[0], {word if "/" in word else f"system/{word}" for word in tests}
    return found


def test_the_readme_claims_the_same_and_names_tests_that_exist() -> None:
    words = {"has": "yes", "partly": "partly", "not yet": "not yet"}
    said = readme()
    assert {name: state for name, (state, _) in said.items()} == {hold.name: words[hold.state] for hold in INVARIANTS}
    for hold in INVARIANTS:
        _, tests = said[hold.name]
        assert all((TESTS / path).exists() for path in tests), hold.name
        assert {path for path in hold.shown_by if path.startswith("system/")} <= tests, hold.name
