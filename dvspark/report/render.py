"""A summary as one HTML file that needs nothing else: no network, no scripts, no fonts."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any

from dvspark.report.extras import report_module
from dvspark.report.figures import curve_svg, histogram_svg
from dvspark.report.text import clip, count, distance, seconds, share, significant, value_formatter

if TYPE_CHECKING:
    from dvspark.report.summary import Summary

TEMPLATE = "report.html.j2"
STYLE_SHEET = "report.css"

VERDICT_TEXT = {
    "pass": ("✓", "Audit passed"),
    "warn": ("!", "Audit passed with warnings"),
    "fail": ("✕", "Audit failed"),
    "none": ("–", "Not audited"),
}


def render_html(summary: Summary) -> str:
    """Return the report as the text of one HTML file; the same summary gives the same text.

    Cost: about a second, nearly all of it for the two figures, whatever the number of rows.
    Raises: ConfigError if jinja2 or matplotlib is not installed.
    """
    template = _environment().get_template(TEMPLATE)
    numbers = summary.numbers
    html: str = template.render(
        summary=summary,
        card=summary.card,
        numbers=numbers,
        verdict_text=VERDICT_TEXT,
        value=value_formatter(numbers.lowest, numbers.highest),
        histogram=histogram_svg(summary.histogram) if summary.histogram else "",
        curve=curve_svg(summary.curve) if summary.curve else "",
        audits_efficiency=any(finding.name == "efficiency" for finding in summary.findings),
    )
    return html


def _environment() -> Any:
    jinja2 = report_module("jinja2")
    # Read through resources, not from a folder: the package may travel as a zip file.
    folder = resources.files("dvspark.report")
    sources = {name: folder.joinpath(name).read_text(encoding="utf-8") for name in (TEMPLATE, STYLE_SHEET)}
    environment = jinja2.Environment(
        loader=jinja2.DictLoader(sources),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.update(clip=clip)
    environment.filters.update(count=count, distance=distance, seconds=seconds, share=share, significant=significant)
    return environment
