"""Showing: a result as a notebook or a prompt shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from dvspark.schemas import Finding
from dvspark.schemas.finding import worst_verdict
from dvspark.units import show_count


def result_line(record: Mapping[str, Any], findings: Sequence[Finding]) -> str:
    """Return one line: the run, the method, how many rows were valued by how many, and the audit's verdict."""
    train, validation = sizes(record)
    verdict = worst_verdict(finding.verdict for finding in findings)
    return f"run {record['run_id']}: {record['method']['name']} of {train} by {validation}, audit: {verdict}"


def sizes(record: Mapping[str, Any]) -> tuple[str, str]:
    """Return how many training rows were valued, and by how many validation rows, in words."""
    inputs = record["inputs"]
    n_train = inputs["train"].get("n_rows")  # a private run does not say this
    train = "training rows" if n_train is None else show_count(n_train, "training row")
    return train, show_count(inputs["n_validation"], "validation row")


def result_html(record: Mapping[str, Any], findings: Sequence[Finding]) -> str:
    """Return the line and a table of the findings as HTML, every word of it escaped."""
    head = "".join(f"<th>{name}</th>" for name in ("finding", "verdict", "measured", "allowed", "meaning"))
    rows = "".join(f"<tr>{_cells(finding)}</tr>" for finding in findings)
    line = escape(result_line(record, findings))
    return f"<p>{line}</p><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _cells(finding: Finding) -> str:
    words = (finding.name, finding.verdict, f"{finding.measured:.2g}", f"{finding.allowed:.2g}", finding.meaning)
    return "".join(f"<td>{escape(word)}</td>" for word in words)
