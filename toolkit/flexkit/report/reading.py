"""Reading report.json strictly: BadInput names the first thing that is wrong, and where."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from flexkit.errors import BadInput
from flexkit.report import stats
from flexkit.report.schema import (
    BETTER,
    CLOCKS,
    EVIDENCE,
    OUTCOMES,
    PAGE_CACHE,
    PRESSURE,
    PROFILES,
    SCHEMA,
    Attempt,
    Json,
    Key,
    Ratio,
    Report,
    Result,
    Row,
)


def load(path: Path) -> Report:
    """Read a report.json, or the one in a folder. BadInput names the first thing that is wrong, and where."""
    file = path
    try:
        file = path / "report.json" if path.is_dir() else path
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{file}: not UTF-8 text") from error
    try:
        return parse(json.loads(text))
    except json.JSONDecodeError as error:
        raise BadInput(f"{file}: not JSON: line {error.lineno}: {error.msg}") from error
    except RecursionError as error:
        raise BadInput(f"{file}: nested deeper than any report") from error
    except _Wrong as error:
        raise BadInput(f"{file}: {error}") from error


def parse(data: Json) -> Report:
    """A report from decoded JSON; every derived field is recomputed and must agree with what the file says."""
    top = _object(data, "report")
    if top.get("schema") != SCHEMA:
        raise _Wrong(f"schema is {top.get('schema')!r}, not {SCHEMA!r}")
    for name in ("build", "board", "attempts", "rows"):
        if name not in top:
            raise _Wrong(f"{name!r} is missing")
    rows = tuple(_row(item, f"rows[{i}]") for i, item in enumerate(_list(top["rows"], "rows")))
    _unique((row.key for row in rows), "rows")
    return Report(
        build=_told(top["build"], "build"),
        board=_told(top["board"], "board"),
        run=_told(top.get("run", {}), "run"),
        attempts=tuple(_attempt(item, f"attempts[{i}]") for i, item in enumerate(_list(top["attempts"], "attempts"))),
        rows=rows,
        ratios=tuple(_ratio(item, f"ratios[{i}]") for i, item in enumerate(_list(top.get("ratios", []), "ratios"))),
        holds=tuple(_hold(item, f"holds[{i}]") for i, item in enumerate(_list(top.get("holds", []), "holds"))),
    )


# Checking -----------------------------------------------------------------------------------------------------------


class _Wrong(Exception):
    """What is wrong with a report, with the place."""


_Check = Callable[[Json], bool]


def _is_text(value: Json) -> bool:
    return isinstance(value, str) and value != ""


def _is_count(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_cache(value: Json) -> bool:
    return value in ("cold", "warm") if isinstance(value, str) else _is_number(value) and 0 <= value <= 1


def _one_of(allowed: Sequence[str]) -> _Check:
    return lambda value: value in allowed


def _or_null(check: _Check) -> _Check:
    return lambda value: value is None or check(value)


def _is_list_of(check: _Check) -> _Check:
    return lambda value: isinstance(value, list) and all(map(check, value))


def _is_master(value: Json) -> bool:
    """A DMA master with its gate."""
    return isinstance(value, dict) and all(_is_text(value.get(name)) for name in ("name", "gate", "why"))


_KEY_CHECKS: Mapping[str, _Check] = {
    "suite": _is_text,
    "metric": _is_text,
    "unit": _is_text,
    "better": _one_of(BETTER),
    "mode": _or_null(_is_text),
    "model": _or_null(_is_text),
    "prompt_tokens": _or_null(_is_count),
    "subject": _or_null(_is_text),
    "size_bytes": _or_null(_is_count),
    "cache": _or_null(_is_cache),
    "page_cache": _or_null(_one_of(PAGE_CACHE)),
    "pressure": _or_null(_one_of(PRESSURE)),
    "threads": _or_null(_is_count),
    "via": _or_null(_is_text),
    "clock": _one_of(CLOCKS),
    "evidence": _one_of(EVIDENCE),
    "profile": _one_of(PROFILES),
    "reference": _or_null(_is_text),
}
KEY_FIELDS: tuple[str, ...] = tuple(_KEY_CHECKS)
RESULT_FIELDS: tuple[str, ...] = ("n", "values", "median", "p95", "ci95", "valid", "why")

_ATTEMPT_CHECKS: Mapping[str, _Check] = {
    "at": _is_number,
    "seconds": _is_number,
    "stage": _is_text,
    "outcome": _one_of(OUTCOMES),
    "why": _or_null(_is_text),
    "flavour": _or_null(_is_text),
    "round": _or_null(_is_count),
    "mode": _or_null(_is_text),
    "model": _or_null(_is_text),
    "prompt_tokens": _or_null(_is_count),
    "cache": _or_null(_is_cache),
    "page_cache": _or_null(_one_of(PAGE_CACHE)),
    "subject": _or_null(_is_text),
}
_HOLD_CHECKS: Mapping[str, _Check] = {
    "name": _is_text,
    "text": _is_text,
    "state": _one_of(("has", "partly", "not yet")),
}
_SHOWN: Mapping[str, Mapping[str, _Check]] = {
    "build": {"identity": _is_text},
    "board": {"name": _is_text, "support": _is_text, "emulator": _is_text, "dma": _is_list_of(_is_master)},
    "run": {"suite": _is_text, "started": _is_text, "rounds": _is_count},
}
"""Of the open mappings what the page itself goes by; each may be absent or null."""
_RATIO_FIELDS = tuple(f.name for f in fields(Ratio))


def _object(value: Json, where: str) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise _Wrong(f"{where} is not an object")
    return value


def _told(value: Json, where: str) -> dict[str, Json]:
    """An open mapping of provenance."""
    data = _object(value, where)
    for name, check in _SHOWN[where].items():
        if not _or_null(check)(data.get(name)):
            raise _Wrong(f"{where}: {name} cannot be {data[name]!r}")
    return data


def _hold(value: Json, where: str) -> dict[str, Json]:
    data = _object(value, where)
    _checked({name: data.get(name) for name in _HOLD_CHECKS}, _HOLD_CHECKS, where)
    if not _or_null(_is_list_of(_is_text))(data.get("shown_by")):
        raise _Wrong(f"{where}: shown_by cannot be {data['shown_by']!r}")
    return data


def _list(value: Json, where: str) -> list[Json]:
    if not isinstance(value, list):
        raise _Wrong(f"{where} is not a list")
    return value


def _exactly(value: dict[str, Json], names: Iterable[str], where: str) -> None:
    wanted = set(names)
    for name in sorted(wanted - value.keys()):
        raise _Wrong(f"{where}: field {name!r} is missing")
    for name in sorted(value.keys() - wanted):
        raise _Wrong(f"{where}: unknown field {name!r}")


def _checked(value: dict[str, Json], checks: Mapping[str, _Check], where: str) -> dict[str, Json]:
    for name, check in checks.items():
        if not check(value[name]):
            raise _Wrong(f"{where}: {name} cannot be {value[name]!r}")
    return {name: value[name] for name in checks}


def _key(value: Json, where: str) -> Key:
    data = _object(value, where)
    _exactly(data, KEY_FIELDS, where)
    return Key(**_checked(data, _KEY_CHECKS, where))


def _row(value: Json, where: str) -> Row:
    data = _object(value, where)
    _exactly(data, (*KEY_FIELDS, *RESULT_FIELDS), where)
    key = Key(**_checked(data, _KEY_CHECKS, where))
    values = _list(data["values"], f"{where}: values")
    if not all(_or_null(_is_number)(item) for item in values):
        raise _Wrong(f"{where}: a value is neither a number nor null")
    if not isinstance(data["valid"], bool):
        raise _Wrong(f"{where}: valid cannot be {data['valid']!r}")
    if not _or_null(_is_text)(data["why"]) or (not data["valid"] and data["why"] is None):
        raise _Wrong(f"{where}: why cannot be {data['why']!r} when valid is {data['valid']}")
    row = Row(key, Result(tuple(values), data["valid"], data["why"]))
    derived = row.to_json()
    for name in ("n", "median", "p95", "ci95"):
        if not _agree(data[name], derived[name]):
            raise _Wrong(f"{where}: {name} is {data[name]!r}, but the values give {derived[name]!r}")
    return row


def _ratio(value: Json, where: str) -> Ratio:
    data = _object(value, where)
    _exactly(data, _RATIO_FIELDS, where)
    ci95 = data["ci95"]
    sound = (
        _is_text(data["metric"])
        and isinstance(data["paired"], bool)
        and _is_count(data["n"])
        and _is_number(data["median"])
        and (ci95 is None or (isinstance(ci95, list) and len(ci95) == 2 and all(map(_is_number, ci95))))
    )
    if not sound:
        raise _Wrong(f"{where}: not a ratio")
    if ci95 is not None and data["n"] < stats.CI95_MIN:
        raise _Wrong(f"{where}: ci95 of {data['n']} values")
    return Ratio(
        metric=data["metric"],
        numerator=_key(data["numerator"], f"{where}: numerator"),
        denominator=_key(data["denominator"], f"{where}: denominator"),
        paired=data["paired"],
        n=data["n"],
        median=data["median"],
        ci95=None if ci95 is None else (ci95[0], ci95[1]),
    )


def _attempt(value: Json, where: str) -> Attempt:
    data = _object(value, where)
    _exactly(data, _ATTEMPT_CHECKS, where)
    checked = _checked(data, _ATTEMPT_CHECKS, where)
    if data["outcome"] != "ok" and data["why"] is None:
        raise _Wrong(f"{where}: {data['outcome']!r} without a reason")
    return Attempt(**checked)


def _unique(keys: Iterable[Key], where: str) -> None:
    seen: set[Key] = set()
    for key in keys:
        if key in seen:
            raise _Wrong(f"{where}: twice the same measurement: {key.metric} of {key.mode}, {key.model}")
        seen.add(key)


def _agree(said: Json, derived: Json) -> bool:
    if isinstance(derived, list):
        return isinstance(said, list) and len(said) == len(derived) and all(map(_agree, said, derived))
    if derived is None or said is None:
        return said is derived
    return _is_number(said) and math.isclose(said, derived, rel_tol=1e-9, abs_tol=1e-12)
