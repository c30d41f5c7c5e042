"""Presenting: the documents of a run, for people and for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dvspark import report
from dvspark.run.computed import Computed
from dvspark.run.report_again import NEIGHBORS, sealed_neighbors
from dvspark.runs.documents import sealed
from dvspark.runs.metrics import run_metrics

if TYPE_CHECKING:
    from dvspark.report.rows import RowLine

# The run record names so many of the lowest rows, so that they can be seen without the report.
LOWEST_ROWS = 10


def presented(
    computed: Computed, record: dict[str, Any], *, with_report: bool
) -> tuple[dict[str, str | bytes], dict[str, Any]]:
    """Return the documents by name, and the record with its entry about the report."""
    documents: dict[str, str | bytes] = {}
    if with_report:
        review = None if computed.review is None else computed.review.table
        finalized, found = computed.finalized, record["findings"]
        shown = report.summarize(
            finalized.table, record, found, computed.extremes, review=review, by_task=finalized.by_task
        )
        record = {**record, "lowest_rows": [_row_record(row) for row in shown.lowest[:LOWEST_ROWS]]}
        documents["report.html"] = report.render_html(shown)
        documents[NEIGHBORS] = sealed_neighbors(record["run_id"], computed.extremes)
    documents |= {"metrics.prom": run_metrics(record), "run.json": sealed(record, indent=1).decode()}
    return documents, record


def _row_record(row: RowLine) -> dict[str, Any]:
    labels = [neighbor.label for neighbor in row.neighbors]
    return {"id": row.train_id, "label": row.label, "value": row.value, "neighbor_labels": labels}
