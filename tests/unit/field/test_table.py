"""What happened in a real lab (FIELD), and the tests that make it happen again and show it prevented or named.

    F1   one transfer in five is damaged, both ways      unit/flash/test_engine, test_ways
    F2   a tool hangs for ever                           unit/flash/test_ways
    F3   a table gone wrong: 64 MB at LBA 0              unit/field/test_f03
    F4   a full flash takes user data                    unit/field/test_f04
    F5   a stale image of a step that did not run        unit/field/test_f05
    F6   nobody knows what is on the board               unit/field/test_f06
    F7   an older pair replaces the good one             unit/field/test_f07
    F10  a handshake that is lost                        unit/field/test_f10
    F12  a garbled console                               unit/field/test_f12
    F13  one constant in four files                      unit/field/test_f13
    F14  only the successful attempt is told             unit/field/test_f14
    F15  two users of one thing                          unit/field/test_f15
    F17  silence taken for a brick                       unit/field/test_f17
    F18  a blank card never boots                        unit/field/test_f18
    F19  half a flash, and the next one fails too        unit/field/test_f19

Each such test carries ``@pytest.mark.field("F3")``; this one sees to it that the table stays true.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2]
_ROW = re.compile(r"^ {4}(F\d+) .*  (\S+(?:, \S+)*)$", re.MULTILINE)


def table() -> dict[str, list[str]]:
    """Files of each number, without their ends; one in the folder of the first where no folder is said."""
    rows = {}
    for number, files in _ROW.findall(__doc__ or ""):
        first, *others = files.split(", ")
        rows[number] = [first, *(f"{first.rpartition('/')[0]}/{other}" for other in others)]
    return rows


def marked() -> dict[str, set[str]]:
    """Files below tests/, without ``.py``, by the numbers that their tests are marked with."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for number in _numbers(node):
                    found[number].add(str(path.relative_to(TESTS).with_suffix("")))
    return found


def _numbers(test: ast.FunctionDef) -> list[str]:
    calls = [each for each in test.decorator_list if isinstance(each, ast.Call)]
    return [
        str(call.args[0].value)
        for call in calls
        if ast.unparse(call.func) == "pytest.mark.field" and isinstance(call.args[0], ast.Constant)
    ]


def test_every_row_of_the_table_is_tested_where_it_says() -> None:
    rows, found = table(), marked()
    assert len(rows) == 15
    for number, files in rows.items():
        for file in files:
            there = [each for each in found[number] if each.startswith(file)]
            assert there, f"{number}: no test in {file} is marked with it"


def test_every_mark_is_of_a_row_of_the_table() -> None:
    """Tests elsewhere may show more of the same."""
    assert marked().keys() <= table().keys()
