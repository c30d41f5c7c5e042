"""A summary as one HTML file that needs nothing else: no network, no fonts, and no script but its own."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from importlib import resources
from typing import TYPE_CHECKING, Any

from dvspark.report.figures import curve_svg, histogram_svg
from dvspark.report.packages import report_module
from dvspark.report.text import clip, count, distance, seconds, share, significant
from dvspark.units import show_count

if TYPE_CHECKING:
    from dvspark.report.summary import Summary

TEMPLATE = "report.html.j2"
STYLE_SHEET = "report.css"
SCRIPT = "report.js"
# What could end a script element, and what is not plain ASCII and may be invisible.
IN_SCRIPT = re.compile(r"[<>&]|[^ -~]")

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
    numbers, script = summary.numbers, _packaged(SCRIPT)
    html: str = template.render(
        summary=summary,
        card=summary.card,
        numbers=numbers,
        verdict_text=VERDICT_TEXT,
        value=summary.scale.show,
        histogram=histogram_svg(summary.histogram, summary.scale) if summary.histogram else "",
        curve=curve_svg(summary.curve, summary.scale) if summary.curve else "",
        data=_data(summary),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        audits_efficiency=any(finding.name == "efficiency" for finding in summary.findings),
    )
    return html


def _data(summary: Summary) -> str:
    """Return the rows for the page's script as JSON that cannot end the element in which it stands."""
    rows = summary.browsed
    data = {
        "n_rows": rows.n_rows,
        "n_table": rows.n_table,
        "decimals": summary.scale.decimals,
        "unit": summary.scale.unit,
        "columns": rows.columns,
        "classes": [*rows.classes.names.values()],
        "n_listed": rows.classes.n_listed,
    }
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return IN_SCRIPT.sub(lambda found: _escaped(found[0]), text)


def _escaped(character: str) -> str:
    if character in "<>&":
        return f"\\u{ord(character):04x}"
    return character if character.isprintable() else json.dumps(character)[1:-1]


def _packaged(name: str) -> str:
    """Return a file of this package. It is read as a resource: the package may travel as a zip file."""
    return resources.files("dvspark.report").joinpath(name).read_text(encoding="utf-8")


def _environment() -> Any:
    jinja2 = report_module("jinja2")
    sources = {name: _packaged(name) for name in (TEMPLATE, STYLE_SHEET)}
    environment = jinja2.Environment(
        loader=jinja2.DictLoader(sources),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.update(clip=clip, many=show_count)
    environment.filters.update(count=count, distance=distance, seconds=seconds, share=share, significant=significant)
    return environment
