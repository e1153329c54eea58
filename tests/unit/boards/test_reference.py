"""The reference of board files: there is a line for every key, and the committed file is what the schema says."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

from flexkit import boards, paths
from flexkit.boards import reference
from flexkit.boards.schema import Board


def test_the_committed_reference_is_that_of_the_schema() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "flexkit.boards.reference"], capture_output=True, text=True, check=True
    )
    assert (paths.project() / "boards/README.md").read_text() == printed.stdout


def test_every_key_of_a_board_file_has_its_line_in_its_table() -> None:
    """Walks a loaded board instead of the types, so that a table that the reference forgot is noticed."""
    text = reference.render()
    sections = {part.split("`", 2)[1]: part for part in text.split("\n## ")[2:]}
    sections[""] = text.split("\n## ")[1]

    def look(path: str, value: object) -> None:
        assert dataclasses.is_dataclass(value)
        for field in dataclasses.fields(value):
            key = field.metadata.get("key", field.name)
            inner = getattr(value, field.name)
            items = inner if isinstance(inner, tuple) else (inner,)
            below = f"{path}.{key}".lstrip(".")
            if items and dataclasses.is_dataclass(items[0]):
                header = f"[[{below}]]" if isinstance(inner, tuple) else f"[{below}]"
                look_into(below, header, items[0])
            elif inner is not None and items:
                assert (
                    f"| `{key}` |"
                    in sections[f"[[{path}]]" if f"[[{path}]]" in sections else f"[{path}]" if path else ""]
                )

    def look_into(below: str, header: str, value: object) -> None:
        assert header in sections
        look(below, value)

    look("", boards.load("qemu-virt"))


def test_no_key_goes_without_a_meaning() -> None:
    assert all(field.metadata["doc"] for field in dataclasses.fields(Board))
    for line in reference.render().splitlines():
        if line.startswith("| `"):
            assert not line.endswith("|  |"), line
