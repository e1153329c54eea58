"""``flexkit report``: show, compare, history."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path

import click

from flexkit import paths
from flexkit.cli.common import FiniteFloat, json_option, print_json, timeout_option
from flexkit.deadline import Deadline
from flexkit.errors import BadInput, Invalid
from flexkit.report import compare as comparison
from flexkit.report import goals, store, tables, verdict, words
from flexkit.report import history as past
from flexkit.report.reading import load
from flexkit.report.schema import Report

_REPORT = click.Path(path_type=Path)


@click.group()
def report() -> None:
    """Reports of benchmarks: read one, compare two, follow a figure."""


@report.command()
@click.argument("path", type=_REPORT, required=False)
@click.option("--html", "page", type=click.Path(path_type=Path, dir_okay=False), help="Write the page there as well.")
@json_option
@timeout_option(60)
def show(path: Path | None, page: Path | None, as_json: bool, deadline: Deadline) -> None:
    """Print a report's verdict, goals and ratios. PATH is a report.json or its folder (default: reports/latest)."""
    del deadline  # reads one file
    if path is None and not (paths.reports() / "latest").exists():
        raise BadInput(f"there is no {paths.reports() / 'latest'}", mend="flexkit bench makes one")
    found = load(path or paths.reports() / "latest")
    if page is not None:
        store.write_page(found, page)
    if as_json:
        print_json({"valid": found.valid, "verdict": verdict.verdict(found)} | found.to_json())
        return
    click.echo(verdict.title(found))
    click.echo(verdict.headline(found))
    for point in verdict.points(found):
        click.echo(f"- {point}")
    _goals(found)
    _ratios(found)
    _invalid(found)


def _goals(found: Report) -> None:
    measured = [standing for standing in goals.standings(found) if standing.figures]
    if measured:
        click.echo("\ngoals")
    for standing in measured:
        limit = "" if standing.goal.limit is None else f": {standing.limit}"
        click.echo(f"  {standing.state:<14} {standing.goal.what}{limit}")
        for figure in standing.figures:
            missed = figure in standing.missed
            value = f"{'misses ' if missed else ''}{words.figure(figure.value, figure.unit)}"
            end = f", 95 % {figure.interval}" if figure.interval else ""
            why = f"; {figure.why}" if missed and figure.why else ""
            click.echo(f"  {value:>24}{end}  {figure.place}; {figure.clock}, n = {figure.n}{why}")


def _ratios(found: Report) -> None:
    for table in tables.ratio_tables(found):
        click.echo(f"\n{table.name}")
        wide = max(len(name) for name, _ in table.rows)
        far = max(map(len, table.places))
        for name, cells in table.rows:
            for place, cell in zip(table.places, cells, strict=True):
                if cell:
                    figure, interval, n = cell
                    line = f"  {figure:>8}  {name:<{wide}}  {place:<{far}}"
                    click.echo(f"{line}  {n}{', 95 % ' + interval if interval else ''}")


def _invalid(found: Report) -> None:
    bad = [row for row in found.rows if not row.result.valid]
    if bad:
        click.echo("\nnot valid")
    for row in bad:
        place = words.configuration(row.key)
        click.echo(f"  {row.key.metric:<20} {words.side(row.key):<26} {place:<32} {row.result.why}")


@report.command()
@click.argument("a", type=_REPORT)
@click.argument("b", type=_REPORT)
@click.option("--fail-on", type=FiniteFloat(min=0), metavar="PCT", help="Fail when a figure is worse by more.")
@json_option
@timeout_option(60)
def compare(a: Path, b: Path, fail_on: float | None, as_json: bool, deadline: Deadline) -> None:
    """Compare report B with report A, row by row.

    Fails (exit code 1) when a row of A is missing or invalid in B, or is worse by more than PCT per cent; under the
    wall clock only when the row's interval excludes that limit.
    """
    del deadline  # reads two files
    before, after = load(a), load(b)
    pairs = comparison.compare(before, after, fail_on)
    for difference in comparison.differences(before, after):
        click.echo(f"note: not the same {difference}", err=True)
    failed = [pair for pair in pairs if pair.verdict in comparison.FAILURES]
    if as_json:
        rows = [asdict(pair.key) | {k: v for k, v in asdict(pair).items() if k != "key"} for pair in pairs]
        print_json({"failed": len(failed), "pairs": rows})
    else:
        for pair in pairs:
            click.echo(_pair_line(pair))
        counts = Counter(pair.verdict for pair in pairs).most_common()
        click.echo(", ".join(f"{count} {name}" for name, count in counts) or "nothing to compare")
    if failed:
        raise Invalid(f"{len(failed)} of {len(pairs)} rows fail")


def _pair_line(pair: comparison.Pair) -> str:
    before = "missing" if pair.a is None else words.figure(pair.a, pair.key.unit)
    after = "missing" if pair.b is None else words.figure(pair.b, pair.key.unit)
    change = "" if pair.change is None else f"{100 * pair.change:+.1f} %"
    what = ", ".join(word for word in (words.side(pair.key), words.configuration(pair.key)) if word)
    why = f"  ({pair.why})" if pair.why else ""
    return f"{pair.verdict:<11} {pair.key.metric:<20} {before:>11} {after:>11} {change:>9}  {what}{why}"


@report.command()
@click.option("--metric", default=None, help="Follow this figure through the runs.")
@click.option("--mode", default=None, help="Of this mode only.")
@click.option("--model", default=None, help="Of this model only (its name without the hash).")
@click.option("--cache", type=click.Choice(["cold", "warm"]), default=None, help="Of this state only.")
@json_option
@timeout_option(60)
def history(
    metric: str | None, mode: str | None, model: str | None, cache: str | None, as_json: bool, deadline: Deadline
) -> None:
    """The runs kept under reports/runs, oldest first; with --metric, its figure in each of them."""
    del deadline  # reads files
    runs = list(store.runs())
    if not runs:
        click.echo(f"no run is kept under {paths.reports() / 'runs'}", err=True)
    if metric is None:
        found = [{"run": run.folder.name, "valid": run.report.valid, "what": past.summary(run.report)} for run in runs]
        if as_json:
            print_json({"runs": found})
            return
        for line in found:
            click.echo(f"{line['run']:<48} {'valid' if line['valid'] else 'NOT VALID':<10} {line['what']}")
        return
    lines = past.lines(runs, metric, mode, model, cache)
    if runs and not lines:
        known = sorted({row.key.metric for run in runs for row in run.report.rows})
        click.echo(f"no run has such a figure; metrics: {', '.join(known)}", err=True)
    if as_json:
        print_json({"lines": [asdict(each) for each in lines]})
        return
    for each in lines:
        figure = "missing" if each.median is None else words.figure(each.median, each.unit)
        flag = "" if each.valid else "  NOT VALID"
        click.echo(f"{each.run:<48} {figure:>11}  n={each.n:<3} {each.configuration}{flag}")


COMMANDS: list[click.Command] = [report]
