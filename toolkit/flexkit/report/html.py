"""The report as one HTML file: no script, no network, nothing beside it."""

from __future__ import annotations

from importlib import resources

import jinja2
from markupsafe import Markup

from flexkit.report import goals, steps, tables, verdict, view, words
from flexkit.report.schema import Report

_TEMPLATES = "flexkit.report", "templates"


def render(report: Report) -> str:
    """The whole page."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(*_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = resources.files(_TEMPLATES[0]).joinpath(_TEMPLATES[1], "report.css").read_text(encoding="utf-8")
    page = environment.get_template("report.html.j2")
    return page.render(
        report=report,
        verdict=verdict,
        view=view,
        tables=tables,
        steps=steps,
        goals=goals,
        words=words,
        style=Markup(style),
        parts=view.PARTS,
    )
