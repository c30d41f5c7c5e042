"""Presenting: the documents of a run, for people and for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dvspark import report
from dvspark.report.browse import browsed_ids
from dvspark.report.shown import shown_column
from dvspark.run.computed import Computed
from dvspark.run.presenting.report_again import NEIGHBORS, sealed_neighbors
from dvspark.run.request import ShownColumn
from dvspark.runs.documents import sealed
from dvspark.runs.metrics import run_metrics
from dvspark.tables.sources.one_column import one_column

if TYPE_CHECKING:
    from dvspark.report.rows import RowLine

# The run record names so many of the lowest rows, so that they can be seen without the report.
LOWEST_ROWS = 10


def presented(
    computed: Computed, record: dict[str, Any], column: ShownColumn | None = None, *, with_report: bool
) -> tuple[dict[str, str | bytes], dict[str, Any]]:
    """Return the documents by name, and the record with its entry about the report, which may show a ``column``."""
    documents: dict[str, str | bytes] = {}
    if with_report:
        review = None if computed.review is None else computed.review.table
        values, of_rows = computed.finalized.table, None
        if column is not None:
            ids, source = browsed_ids(values, review), record["inputs"]["train"]
            read = one_column("train", column.reference, column.name, ids, source)
            of_rows = shown_column(read, column.name)
        findings, by_task = record["findings"], computed.finalized.by_task
        summary = report.summarize(
            values, record, findings, computed.extremes, review=review, shown=of_rows, by_task=by_task
        )
        record = {**record, "lowest_rows": [_row_record(row) for row in summary.lowest[:LOWEST_ROWS]]}
        documents["report.html"] = report.render_html(summary)
        documents[NEIGHBORS] = sealed_neighbors(record["run_id"], computed.extremes)
    documents |= {"metrics.prom": run_metrics(record), "run.json": sealed(record, indent=1).decode()}
    return documents, record


def _row_record(row: RowLine) -> dict[str, Any]:
    labels = [neighbor.label for neighbor in row.neighbors]
    return {"id": row.train_id, "label": row.label, "value": row.value, "neighbor_labels": labels}
