"""What the report of a test run shows beside the tests: the console of the board that a system test used."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from pathlib import Path

import pytest
from pytest_html import extras

_TAIL_LINES = 120
_seen: dict[str, Path] = {}


def _newest_log() -> Path | None:
    """The console log written last, below the state folder that the system tests use."""
    state = os.environ.get("FLEXKIT_STATE")
    logs = list((Path(state) / "console").rglob("*.log")) if state else []
    return max(logs, key=lambda path: path.stat().st_mtime, default=None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    log = _newest_log() if "system" in item.path.parts else None
    if log is None:
        return report
    name = f"{log.parent.name}-{log.name}"
    _seen[name] = log
    shown = [*getattr(report, "extras", [])]
    if report.when == "call":
        shown.append(extras.url(f"console/{name}", name="console"))
    if report.failed:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])
        report.sections.append((f"Console of the board, last lines of {name}", tail))
    report.extras = shown  # type: ignore[attr-defined]
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Lay the consoles' logs beside the report."""
    html = session.config.getoption("htmlpath", None)
    if html and _seen:
        folder = Path(html).parent / "console"
        folder.mkdir(parents=True, exist_ok=True)
        for name, log in _seen.items():
            if log.is_file():
                shutil.copyfile(log, folder / name)
