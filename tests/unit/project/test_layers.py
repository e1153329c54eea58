"""The package's rooms stand on one another: each imports only from those below it, and only the command line prints."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from flexkit import paths

PACKAGE = paths.project() / "toolkit" / "flexkit"
ROOMS = (
    "errors", "events", "whole", "digest", "deadline", "paths", "proc", "lock",
    "boards", "models", "report", "build", "link", "deployed", "drivers", "flash", "engine", "bench", "doctor", "cli",
)  # fmt: skip
"""From the ground up."""


def modules() -> Iterator[tuple[str, Path, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).with_suffix("").parts[0]
        if room != "__init__":
            yield room, path, ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> Iterator[str]:
    """Rooms that a module imports from, also within its functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "flexkit":
            yield from (name.name for name in node.names if not name.name.startswith("__"))
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("flexkit."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (name.name.split(".")[1] for name in node.names if name.name.startswith("flexkit."))


def test_every_room_has_its_floor() -> None:
    assert {room for room, _, _ in modules()} == set(ROOMS)


def test_no_room_imports_from_one_above_it() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {other}"
        for room, path, tree in modules()
        for other in imported(tree)
        if ROOMS.index(other) > ROOMS.index(room)
    ]
    assert wrong == []


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Every call but those of a module's own ``main``, which is a command line too."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef) and node.name == "main":
            continue
        if isinstance(node, ast.Call):
            yield node
        yield from calls(node)


def test_only_the_command_line_prints() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)}:{call.lineno}"
        for room, path, tree in modules()
        for call in calls(tree)
        if room != "cli" and ast.unparse(call.func) in ("print", "click.echo")
    ]
    assert wrong == []
