"""Presenting: the documents of a run that people and machines read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dvspark import report
from dvspark.run.valuation import Valuation
from dvspark.runs.documents import sealed
from dvspark.runs.metrics import run_metrics

if TYPE_CHECKING:
    from dvspark.report.rows import RowLine

# How many of the lowest rows the run record names, for a glance without the report.
LOWEST_ROWS = 10


def presented(valuation: Valuation, record: dict[str, Any], *, with_report: bool) -> dict[str, str | bytes]:
    """Return the documents by name; to the record, what it has of a report is added."""
    documents: dict[str, str | bytes] = {}
    if with_report:
        shown = report.summarize(valuation.table, record, record["findings"], valuation.extremes)
        record["lowest_rows"] = [_row_record(row) for row in shown.lowest[:LOWEST_ROWS]]
        documents["report.html"] = report.render_html(shown)
    return documents | {"metrics.prom": run_metrics(record), "run.json": sealed(record, indent=1).decode()}


def _row_record(row: RowLine) -> dict[str, Any]:
    labels = [neighbor.label for neighbor in row.neighbors]
    return {"id": row.train_id, "label": row.label, "value": row.value, "neighbor_labels": labels}
