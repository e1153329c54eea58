"""Where reports lie: each run is kept under ``reports/runs/``, ``reports/latest`` is a relative link to one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from flexkit import paths, whole
from flexkit.errors import BadInput, FlexError
from flexkit.report import html
from flexkit.report.reading import load
from flexkit.report.schema import Report

REPORT = "report.json"
PAGE = "index.html"


@dataclass(frozen=True)
class Stored:
    """A kept run."""

    folder: Path
    report: Report


def keep(report: Report, out: Path | None = None, root: Path | None = None) -> Path:
    """Write a run into its own folder under ``root`` (default ``reports/``) and point at it: ``out`` gets copies,
    replacing those there; without it ``latest`` is turned to the new run (also when ``out`` is ``latest`` itself).
    Returns the folder to look at."""
    root = root or paths.reports()
    run = _folder(root / "runs", report)
    write(report, run)
    if out is not None and out.absolute() != (root / "latest").absolute():
        try:
            write(report, out)
        except BadInput as error:
            error.mend = f"the run is kept in {run}"
            raise
        return out
    _link(root / "latest", Path("runs") / run.name)
    return root / "latest"


def write(report: Report, folder: Path) -> None:
    """report.json and index.html in this folder, each replaced at once. Raises BadInput where that cannot be."""
    make_folder(folder)
    try:
        report.write(folder / REPORT)
    except OSError as error:
        raise BadInput(f"cannot write the report into {folder}: {error.strerror or error}") from error
    write_page(report, folder / PAGE)


def write_page(report: Report, path: Path) -> None:
    """The HTML page, replaced at once. Raises BadInput where that cannot be."""
    try:
        whole.write_text(path, html.render(report))
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror or error}") from error


def make_folder(folder: Path) -> None:
    """A folder that a report can be written into. Raises BadInput, before anything was measured for it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{folder}: cannot be made: {error.strerror or error}", mend="name another folder") from error
    if not os.access(folder, os.W_OK):
        raise BadInput(f"{folder}: cannot be written to", mend="name another folder")


def runs(root: Path | None = None) -> Iterator[Stored]:
    """Every kept run that can be read, oldest first. One of another schema or cut short is passed over: it is kept as
    it is, and ``flexkit report show`` on it says what is wrong."""
    folder = (root or paths.reports()) / "runs"
    for run in sorted(folder.iterdir()) if folder.is_dir() else ():
        if (run / REPORT).is_file():
            try:
                yield Stored(run, load(run))
            except BadInput:
                continue


def _folder(runs: Path, report: Report) -> Path:
    """A new folder, named so that names sort by time; a second run in the same second gets a number."""
    suite = str(report.run.get("suite", "run"))
    identity = str(report.build.get("identity", ""))[:12]
    stem = "-".join(word for word in (datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ"), suite, identity) if word)
    for number in range(1, 1000):
        folder = runs / (stem if number == 1 else f"{stem}.{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise FlexError(f"cannot write a report under {runs}: {error.strerror or error}") from error
        return folder
    raise FlexError(f"{runs} has a thousand runs of this second")


def _link(link: Path, target: Path) -> None:
    """Turn a relative link, at once: there is never none."""
    if link.exists() and not link.is_symlink():
        raise FlexError(f"{link} is a real folder, not a link to a run", mend=f"move {link} away")
    part = link.with_name(f".{link.name}.{os.getpid()}")
    part.symlink_to(target, target_is_directory=True)
    part.replace(link)
