"""F13: one constant had to be changed in four files. What a board file says stands nowhere else: firmware, drivers and
toolkit take it from what is generated of it, or assert theirs against it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flexkit import boards, paths
from flexkit.boards import header, overlay

# Where no constant of a board may stand. Patches against TF-A are read for what they add.
SOURCES = ("firmware/monitor", "firmware/payload/runtime", "firmware/payload/serving", "firmware/payload/sealing")
SOURCES += ("firmware/agent", "firmware/tf-a/patches", "kernel-patches/drivers", "kernel-patches/patches")
SOURCES += ("toolkit/flexkit",)
KINDS = (".c", ".h", ".S", ".mk", ".py", ".patch")
NUMBER = re.compile(r"\b0[xX][0-9A-Fa-f_]+(?=[uUlL]*\b)|\b[0-9][0-9_]{4,}\b")
# What only looks like a board's constant: file, number, and what it is there.
OTHERS = {("firmware/monitor/gpt/fault.c", 0x3800_0000): "the encoding of a load"}
# Numbers below this mean many things: sizes of pages, masks, counts.
SMALL = 0x1_0000


def numbers_of(value: Any) -> Iterator[int]:
    """Whole numbers in a board file, wherever they stand."""
    if isinstance(value, dict):
        for each in value.values():
            yield from numbers_of(each)
    elif isinstance(value, list):
        for each in value:
            yield from numbers_of(each)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield value


def constants(folder: Path) -> dict[int, set[str]]:
    """Addresses, offsets and rates of all board files below a folder: each number, and the files that have it."""
    found: dict[int, set[str]] = {}
    for path in folder.rglob("*.toml"):
        for number in numbers_of(tomllib.loads(path.read_text())):
            if number >= SMALL and not is_round(number):
                found.setdefault(number, set()).add(path.name)
    return found


def is_round(number: int) -> bool:
    """Powers of two and of ten are masks, units and sizes, no board's own."""
    return number & (number - 1) == 0 or str(number).strip("0") == "1"


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """Lines that are ours: of a patch, what it adds."""
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        if path.suffix != ".patch" or line.startswith("+"):
            yield number, line


def said_twice(root: Path, folders: tuple[str, ...], known: dict[int, set[str]]) -> list[str]:
    """Places in sources where a number stands that a board file has."""
    found = []
    for path in sorted(path for folder in folders for path in (root / folder).rglob("*") if path.suffix in KINDS):
        for number, line in lines_of(path):
            for text in NUMBER.findall(line):
                value = int(text.replace("_", ""), 0 if text[:2].lower() == "0x" else 10)
                if value in known and (str(path.relative_to(root)), value) not in OTHERS:
                    found.append(f"{path.relative_to(root)}:{number}: {text} is in {', '.join(sorted(known[value]))}")
    return found


@pytest.mark.field("F13")
def test_a_constant_in_two_places_is_found(tmp_path: Path) -> None:
    """As in the lab: the carve-out's address in a board file, in a header, in a script and in a kernel patch."""
    (tmp_path / "boards").mkdir()
    (tmp_path / "boards/lab.toml").write_text("[memory]\ndram_base = 0x1_0840_0000\n[console]\nbaud = 1_500_000_000\n")
    (tmp_path / "src").mkdir()
    (tmp_path / "src/tee.h").write_text("#define TEE_BASE 0x108400000ULL\n#define ONE (1U << 28)\n")
    (tmp_path / "src/flash.py").write_text("BAUD = 1_500_000_000\n")
    (tmp_path / "src/dts.patch").write_text(" reg = <0x108400000>;\n+\treg = <0x108400000>;\n")
    found = said_twice(tmp_path, ("src",), constants(tmp_path / "boards"))
    assert [each.split(": ")[0] for each in found] == ["src/dts.patch:2", "src/flash.py:1", "src/tee.h:1"]
    (tmp_path / "src/tee.h").write_text("#define TEE_BASE FLEX_BOARD_PAYLOAD_BASE\n")
    assert len(said_twice(tmp_path, ("src",), constants(tmp_path / "boards"))) == 2


@pytest.mark.field("F13")
def test_no_constant_of_a_board_stands_outside_its_file() -> None:
    known = constants(paths.project() / "boards")
    assert len(known) > 50, "the scan knows what to look for"
    assert said_twice(paths.project(), SOURCES, known) == []


@pytest.mark.field("F13")
@pytest.mark.parametrize("name", list(boards.known()))
def test_what_is_generated_changes_with_the_board_file(name: str, tmp_path: Path) -> None:
    """One line is changed, in the one file: header and device tree follow."""
    folder = tmp_path / "boards"
    for path in (paths.project() / "boards").rglob("*.toml"):
        copy = folder / path.relative_to(paths.project() / "boards")
        copy.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text()
        place = re.search(r'name = "shared"\nbase = (\S+)\n', text)
        if place:
            moved = int(place[1].replace("_", ""), 16) + 0x10_0000
            text = text.replace(place[0], f'name = "shared"\nbase = {moved:#x}\nsize = 0x10_0000\n')
            text = re.sub(r"(base = 0x[0-9a-f]+\nsize = 0x10_0000\n)size = \S+\n", r"\1", text)
        copy.write_text(text.replace("comm_bytes = 0x0010_0000", "comm_bytes = 0x0008_0000"))
    before = boards.load(name)
    after = boards.load_file(folder / f"{name}.toml")
    shared = before.memory.region("shared").base + 0x10_0000
    assert f"FLEX_BOARD_SHARED_BASE FLEX_BOARD_U({shared:#x})" in header.render(after)
    assert f"flexkit-shared@{shared:x}" in overlay.render(after)
