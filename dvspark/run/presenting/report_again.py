"""Report again: the report of a published run, made again from what was published, alone or against another run."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from dvspark import report
from dvspark.config.sections import TableConfig
from dvspark.errors import OutputConflictError, Problem
from dvspark.report.against import compared
from dvspark.report.browse import browsed_ids
from dvspark.report.shown import Shown, shown_column
from dvspark.runs.documents import sealed, unsealed
from dvspark.runs.files import read_if_there
from dvspark.tables.sinks.published_values import (
    read_by_task,
    read_record,
    read_review,
    read_values,
    require_shown_together,
)
from dvspark.tables.sources.one_column import one_column
from dvspark.tables.storage import open_storage

# Beside the report: the nearest validation rows of the rows it lists, which values and record do not have.
NEIGHBORS = "neighbors.json"


def sealed_neighbors(run_id: str, neighbors: pa.Table) -> bytes:
    """Return the nearest validation rows of a report as a document that says whose it is."""
    return sealed({"run_id": run_id, "neighbors": neighbors.to_pylist()})


def report_again(
    output: str, run_id: str | None, against: tuple[str, str | None] | None = None, show: str | None = None
) -> tuple[str, str]:
    """Return a run's id and its report as HTML; ``against``: the output and id of a run to compare it with.

    An id that is None stands for the run that was published last. ``show``: a column of the training table by which a
    person recognizes rows: texts, links, or pictures as bytes.
    Raises: ConfigError for a run that is not published or hides owners' values from others, or a table that only Spark
    reads; InputError for a table without the column; OutputConflictError for a damaged run.
    Cost: a pass over the run's values and a sort, and one over the column; no row is valued again.
    """
    record, values = _published(output, run_id)
    comparison = None
    if against is not None:
        other, other_values = _published(*against)
        comparison = compared(values, record, other_values, other)
    review = read_review(output, record)
    neighbors = _neighbors(output, record["run_id"])
    shown = None if show is None else _shown(record, show, browsed_ids(values, review))
    summary = report.summarize(
        values,
        record,
        record["findings"],
        neighbors,
        review=review,
        shown=shown,
        comparison=comparison,
        by_task=read_by_task(output, record),
    )
    return record["run_id"], report.render_html(summary)


def _shown(record: dict[str, Any], name: str, ids: pa.ChunkedArray) -> Shown:
    """Return a column of the training table for some rows of the run."""
    reference = TableConfig(**record["configuration"]["train"]).reference()
    return shown_column(one_column("train", reference, name, ids, record["inputs"]["train"]), name)


def _published(output: str, run_id: str | None) -> tuple[dict[str, Any], pa.Table]:
    record = read_record(output, run_id)
    require_shown_together(record)
    return record, read_values(output, record["run_id"]).drop_columns(["run_id"])


def _neighbors(output: str, run_id: str) -> pa.Table:
    """Return the nearest validation rows of a report; none where the run kept none.

    Raises: OutputConflictError for a file that is another run's, or was changed.
    """
    storage, name = open_storage(output), f"runs/{run_id}/{NEIGHBORS}"
    content = read_if_there(storage, name)
    if content is None:
        return pa.table({})
    kept = unsealed(content)
    if kept is None or kept.get("run_id") != run_id:
        got, hint = "a file that was changed since, or another run's", "value again with --force"
        raise OutputConflictError(Problem(storage.shown_path(name), "the neighbors of the run's rows", got, hint))
    return pa.Table.from_pylist(kept["neighbors"])
