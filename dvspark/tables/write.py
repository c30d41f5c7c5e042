"""Write: results are staged beside their place and published by rename, the run record last."""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from dvspark.errors import OutputConflictError, Problem
from dvspark.schemas import ERROR_BOUND, OWNER, VALUES, Float64s
from dvspark.tables.storage import Storage

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Rows of one values file: some 30 to 60 MB.
ROWS_PER_FILE = 1_000_000


def values_table(
    run_id: str,
    keys: pa.Table,
    values: Float64s,
    standard_errors: Float64s | None,
    row_bounds: Float64s | None = None,
) -> pa.Table:
    """Return the `VALUES` table of train rows in id order, with what there is of `OWNER` and `ERROR_BOUND`.

    ``keys`` has their id, label and maybe owner.
    """
    n_train = len(values)
    rank = np.empty(n_train, np.int64)
    rank[np.argsort(-values, kind="stable")] = np.arange(1, n_train + 1)
    columns = {
        "run_id": pa.array([run_id]).take(pa.array(np.zeros(n_train, np.int8))),
        "id": keys["id"],
        "value": pa.array(values),
        "standard_error": pa.nulls(n_train, pa.float64()) if standard_errors is None else pa.array(standard_errors),
        "rank": pa.array(rank),
        "label": keys["label"],
    }
    if OWNER.name in keys.column_names:
        columns[OWNER.name] = keys[OWNER.name]
    if row_bounds is not None:
        columns[ERROR_BOUND.name] = pa.array(row_bounds)
    return pa.table(columns)


def values_frame(spark: SparkSession, values: pa.Table, types: dict[str, str]) -> DataFrame:
    """Return the values as a Spark DataFrame of the documented types."""
    optional = tuple(column for column in (OWNER, ERROR_BOUND) if column.name in values.column_names)
    table = dataclasses.replace(VALUES, columns=VALUES.columns + optional)
    return spark.createDataFrame(values, schema=table.ddl(**types))


def published_record(storage: Storage, run_id: str) -> dict[str, Any] | None:
    """Return the record of a published run, or None."""
    name = f"runs/{run_id}/run.json"
    if not storage.exists(name):
        return None
    record: dict[str, Any] = json.loads(storage.read_text(name))
    return record


def refuse_conflict(storage: Storage, run_id: str, fingerprint: str) -> dict[str, Any] | None:
    """Return the record of the same run if it is published already, None if nothing is in the way.

    Raises: OutputConflictError when the run id is taken by other inputs, options or code.
    """
    record = published_record(storage, run_id)
    if record is not None and record.get("fingerprint") != fingerprint:
        where, hint = f"{storage.uri}: run_id {run_id}", "choose another run_id or output, or leave run_id out"
        expected = f"fingerprint {fingerprint[:12]}: these inputs, options and version"
        got = f"fingerprint {str(record.get('fingerprint'))[:12]}, published {record.get('created')}"
        raise OutputConflictError(Problem(where, expected, got, hint))
    return record


def publish(
    storage: Storage,
    run_id: str,
    frames: dict[str, DataFrame],
    documents: dict[str, str],
    *,
    by_owner: bool = False,
    commit: Callable[[], None] | None = None,
) -> None:
    """Publish a run's tables and documents: all staged first, then renamed, `run.json` last.

    ``frames``: table name to rows, stored under NAME/run_id=…, the values ``by_owner`` in a folder each; ``documents``:
    file name to text, stored under runs/RUN_ID/. A run without `run.json` is not published: what such a run left is
    replaced. ``commit`` puts values into a table of their own, and is a step that may be taken twice.
    Raises: OutputConflictError when another run published this id meanwhile.
    """
    staging = f"_staging-{run_id}-{uuid.uuid4().hex[:8]}"
    try:
        for table, frame in frames.items():
            n_files = max(1, -(-frame.count() // ROWS_PER_FILE)) if table != "rejected" else 1
            writer = frame.drop("run_id").coalesce(n_files).write
            if by_owner and table == "values":
                writer = writer.partitionBy(OWNER.name)
            writer.parquet(storage.spark_path(f"{staging}/{table}"))
        for name, text in documents.items():
            storage.write_text(f"{staging}/run/{name}", text)
        if published_record(storage, run_id) is not None:
            where, hint = f"{storage.uri}: run_id {run_id}", "two runs were started at once; the first one stays"
            raise OutputConflictError(Problem(where, "an id nobody published", "published meanwhile", hint))
        if commit is not None:
            commit()
        for table in frames:
            storage.remove(f"{table}/run_id={run_id}")
            storage.rename(f"{staging}/{table}", f"{table}/run_id={run_id}")
        for name in sorted(documents, key=lambda name: name == "run.json"):
            storage.rename(f"{staging}/run/{name}", f"runs/{run_id}/{name}")
    finally:
        storage.remove(staging)
        storage.remove_empty("_staging")
