"""report.json is written whole, and read strictly."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flexkit.errors import BadInput
from flexkit.report import reading
from flexkit.report.reading import load, parse
from flexkit.report.schema import Key, Report, Result, Row

CONTRACT_FIELDS = [
    "suite", "metric", "unit", "better", "mode", "model", "prompt_tokens", "subject", "size_bytes", "cache",
    "page_cache", "pressure", "threads", "via", "clock", "evidence", "profile", "reference",
    "n", "values", "median", "p95", "ci95", "valid", "why",
]  # fmt: skip

KEY = Key("quick", "ttft", "ms", "lower", mode="flexserve", model="demo@0123456789ab", cache="warm")


def test_a_row_has_every_field_of_the_contract_always() -> None:
    assert list(Row(KEY, Result((1.0,), True)).to_json()) == CONTRACT_FIELDS
    assert list(Row(Key("s", "m", "ms", "lower"), Result((), False, "x")).to_json()) == CONTRACT_FIELDS


def test_a_missing_round_is_null_and_not_counted() -> None:
    row = Row(KEY, Result((1.0, None, 3.0), False, "lost")).to_json()
    assert row["values"] == [1.0, None, 3.0]
    assert (row["n"], row["median"], row["ci95"], row["p95"]) == (2, 2.0, None, None)


def test_nothing_measured_has_no_values_and_no_median() -> None:
    row = Row(KEY, Result((), False, "board lost")).to_json()
    assert (row["values"], row["n"], row["median"]) == ([], 0, None)


def test_intervals_appear_at_five_and_percentiles_at_twenty() -> None:
    assert Row(KEY, Result((1.0, 2.0, 3.0, 4.0, 5.0), True)).to_json()["ci95"] == [1.0, 5.0]
    assert Row(KEY, Result(tuple(map(float, range(20))), True)).to_json()["p95"] == 18.0


def test_what_is_written_is_read_back(good: Report, saved: Path) -> None:
    assert load(saved) == good
    assert load(saved.parent) == good


def test_a_report_without_rows_is_not_valid() -> None:
    assert not Report({}, {}, {}).valid


def _top(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda data: data.__setitem__(name, value)


def _row(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda data: data["rows"][0].__setitem__(name, value)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_top("schema", "flexkit.report/2"), "flexkit.report/2"),
        (_top("rows", {}), "rows is not a list"),
        (lambda data: data.pop("board"), "'board' is missing"),
        (lambda data: data["rows"][0].pop("why"), "rows[0]: field 'why' is missing"),
        (_row("colour", "red"), "rows[0]: unknown field 'colour'"),
        (_row("better", "faster"), "better cannot be 'faster'"),
        (_row("clock", "sundial"), "clock cannot be 'sundial'"),
        (_row("evidence", "hearsay"), "evidence cannot be 'hearsay'"),
        (_row("cache", 1.5), "cache cannot be 1.5"),
        (_row("cache", "tepid"), "cache cannot be 'tepid'"),
        (_row("prompt_tokens", True), "prompt_tokens cannot be True"),
        (_row("values", [1, "2"]), "neither a number nor null"),
        (_row("values", [1.0]), "but the values give"),
        (_row("ci95", [1, 2]), "ci95 is [1, 2], but the values give None"),
        (_row("p95", 3), "p95 is 3, but the values give None"),
        (_row("median", 0), "median is 0"),
        (_row("valid", "yes"), "valid cannot be 'yes'"),
        (_row("valid", False), "why cannot be None when valid is False"),
        (lambda data: data["rows"].append(data["rows"][0]), "twice the same measurement"),
        (lambda data: data["ratios"][0].__setitem__("ci95", [1.0, 2.0]), "ci95 of 2 values"),
        (lambda data: data["ratios"][0].pop("paired"), "field 'paired' is missing"),
        (lambda data: data["attempts"][0].__setitem__("outcome", "fine"), "outcome cannot be 'fine'"),
        (lambda data: data["attempts"][0].__setitem__("outcome", "failed"), "'failed' without a reason"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    saved: Path, spoil: Callable[[dict[str, Any]], object], told: str
) -> None:
    data = json.loads(saved.read_text())
    spoil(data)
    saved.write_text(json.dumps(data))
    with pytest.raises(BadInput, match=r"report\.json") as caught:
        load(saved)
    assert told in caught.value.message


@pytest.mark.parametrize(
    ("content", "told"), [(b"{", "not JSON"), (b"\xff\xfe", "not UTF-8"), (b"[]", "not an object")]
)
def test_what_is_no_report_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    file = tmp_path / "report.json"
    file.write_bytes(content)
    with pytest.raises(BadInput, match=told):
        load(file)


def test_a_report_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        load(tmp_path / "nowhere")


def test_a_figure_that_is_not_a_number_is_never_written(tmp_path: Path) -> None:
    row = Row(KEY, Result((float("nan"),), True))
    with pytest.raises(ValueError, match="JSON"):
        Report({}, {}, {}, rows=(row,)).write(tmp_path / "report.json")
    assert not (tmp_path / "report.json").exists()


def test_key_fields_and_result_fields_are_the_row() -> None:
    assert [*reading.KEY_FIELDS, *reading.RESULT_FIELDS] == CONTRACT_FIELDS


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"holds": [{"a": 1}]}, "holds[0]: name cannot be None"),
        ({"holds": [{"name": "I1", "text": "x", "state": "has", "shown_by": 3}]}, "holds[0]: shown_by"),
        ({"build": {"identity": 5}}, "build: identity cannot be 5"),
        ({"board": {"dma": [3]}}, "board: dma cannot be [3]"),
        ({"run": {"started": ["now"]}}, "run: started cannot be"),
    ],
)
def test_what_the_page_goes_by_is_checked_in_open_mappings_too(
    good: Report, change: dict[str, object], where: str
) -> None:
    with pytest.raises(Exception, match=re.escape(where)):
        parse(good.to_json() | change)


def test_a_file_that_is_nested_without_end_is_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("[" * 100_000)
    with pytest.raises(BadInput, match="nested deeper"):
        load(path)
