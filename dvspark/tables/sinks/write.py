"""Write: results are staged beside their place and published by rename, the run record last."""

from __future__ import annotations

import dataclasses
import re
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dvspark.errors import OutputConflictError, Problem, taken_run_id
from dvspark.local.session import LocalSession
from dvspark.runs.documents import json_object, missing_in, unsealed
from dvspark.runs.files import read_if_there
from dvspark.runs.latest import write_latest
from dvspark.schemas import ERROR_BOUND, OTHER_CLASS_VALUE, OWN_CLASS_VALUE, OWNER, VALUES, Float64s, Int64s
from dvspark.schemas.reviewing import LABEL_CHANGES, REVIEW
from dvspark.spark.job_threads import JobThreads
from dvspark.tables.sinks.owner_folders import escaped
from dvspark.tables.sinks.places import PUBLISHING
from dvspark.tables.sinks.values_schema import OPTIONAL
from dvspark.tables.sinks.values_tables import values_kind
from dvspark.tables.storage import Storage

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from dvspark.local.session import Session

# Rows of one values file, which then has some 30 to 60 MB.
ROWS_PER_FILE = 1_000_000
# Fields of a record that tell of a run that is done.
TOLD_AGAIN = {"inputs.train": dict, "inputs.n_validation": int, "method": dict, "findings": list, "outputs": dict}
# Further fields, such as the digest of the values; a private run does not publish these.
TOLD_OF_TABLES = {"inputs.train.n_rows": int, "values_sha256": str}
# Only whoever runs the job may see the rows that a private run sets aside.
PRIVATE_REJECTED = "private/rejected"
# Names of the tables that a run may publish.
TABLES = ("values", "by_task", "review", "rejected", "validation_rows", PRIVATE_REJECTED)


@dataclass(frozen=True)
class Counted:
    """A table for Spark to write, with its number of rows, so that nobody has to count them again.

    ``by``: a column; each of its values gets a folder.
    """

    frame: DataFrame | pa.Table
    n_rows: int
    by: str | None = None


def counted(rows: DataFrame | pa.Table, n_rows: int) -> pa.Table | Counted:
    """Return a table to write: the rows as they are if they are here, else with their number."""
    return rows if isinstance(rows, pa.Table) else Counted(rows, n_rows)


def values_table(
    run_id: str,
    keys: pa.Table,
    values: Float64s,
    standard_errors: Float64s | None,
    row_bounds: Float64s | None = None,
    valued: Int64s | None = None,
    own_class: Float64s | None = None,
) -> pa.Table:
    """Return the `VALUES` table of train rows in id order, with those of the optional columns that there are.

    ``keys`` has the ids, labels and maybe owners of the rows. ``valued``: the positions of the rows that are in the
    table, ascending; None stands for all. ``own_class``: the part of the values that the rows' own class gives.
    """
    if valued is not None:
        keys, values = keys.take(pa.array(valued)), values[valued]
        standard_errors = None if standard_errors is None else standard_errors[valued]
        row_bounds = None if row_bounds is None else row_bounds[valued]
        own_class = None if own_class is None else own_class[valued]
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
    if own_class is not None:
        columns[OWN_CLASS_VALUE.name] = pa.array(own_class)
        columns[OTHER_CLASS_VALUE.name] = pa.array(values - own_class)
    return pa.table(columns)


def ranked_by_owner(values: pa.Table) -> pa.Table:
    """Return the values with each row's rank among its owner's rows; other ranks would tell of other owners' rows."""
    owners = values[OWNER.name].combine_chunks().dictionary_encode().indices.to_numpy()
    by_rank = np.lexsort((values["rank"].to_numpy(), owners))
    sorted_owners = owners[by_rank]
    rank = np.empty(len(values), np.int64)
    rank[by_rank] = np.arange(1, len(values) + 1) - np.searchsorted(sorted_owners, sorted_owners)
    return values.set_column(values.column_names.index("rank"), "rank", pa.array(rank))


def values_frame(spark: SparkSession, values: pa.Table, types: dict[str, str]) -> DataFrame:
    """Return the values as a Spark DataFrame with the documented types, for the columns that they have."""
    columns = tuple(column for column in (*VALUES.columns, *OPTIONAL) if column.name in values.column_names)
    return spark.createDataFrame(values, schema=dataclasses.replace(VALUES, columns=columns).ddl(**types))


def review_frame(spark: SparkSession, review: pa.Table, types: dict[str, str]) -> DataFrame:
    """Return a review as a Spark DataFrame; ``types``: those of id, label and validation_id."""
    columns = (*REVIEW.columns, *(column for column in LABEL_CHANGES if column.name in review.column_names))
    return spark.createDataFrame(review, schema=dataclasses.replace(REVIEW, columns=columns).ddl(**types))


def typed_values(session: Session, values: pa.Table, types: dict[str, str]) -> DataFrame | pa.Table:
    """Return the values as a table of what writes them: a DataFrame under Spark."""
    return values if isinstance(session, LocalSession) else values_frame(session, values, types)


def published_record(storage: Storage, run_id: str) -> dict[str, Any] | None:
    """Return the record of a published run, or None. Raises: OutputConflictError if the file is not a record."""
    content = read_if_there(storage, f"runs/{run_id}/run.json")
    return None if content is None else _told(storage, run_id, content)


def _told(storage: Storage, run_id: str, content: bytes) -> dict[str, Any]:
    record = json_object(content)
    if record is None:
        raise _damaged(storage, run_id, "a damaged file")
    return record


def require_own_name(storage: Storage, run_id: str) -> None:
    """Refuse a run id that the store takes for another one, as stores do that ignore case.

    Raises: OutputConflictError.
    """
    if storage.exists(f"runs/{run_id}") and run_id not in (names := storage.folders("runs")):
        other = next((name for name in names if name.lower() == run_id.lower()), "another run")
        where, hint = f"{storage.uri}: run_id {run_id}", f"choose another run_id, or {other} to mean that run"
        raise OutputConflictError(Problem(where, "an id that this store tells from others", f"{other} for it", hint))


def refuse_conflict(
    storage: Storage, run_id: str, fingerprint: str, *, is_private: bool = False
) -> dict[str, Any] | None:
    """Return the record of the same run if it is published already, or None if nothing is in the way.

    Raises: OutputConflictError if other inputs, options or code have taken the run id, or the record is damaged.
    """
    content = read_if_there(storage, f"runs/{run_id}/run.json")
    if content is None:
        return None
    record = _told(storage, run_id, content)
    if record.get("fingerprint") != fingerprint:
        where, hint = f"{storage.uri}: run_id {run_id}", "choose another run_id or output, or leave run_id out"
        got = f"fingerprint {str(record.get('fingerprint'))[:12]}, published {record.get('created')}"
        raise taken_run_id(where, fingerprint, got, hint)
    if record.get("run_id") != run_id:
        raise _damaged(storage, run_id, f"the record of run {record.get('run_id')}")
    if lost := missing_in(record, TOLD_AGAIN if is_private else TOLD_AGAIN | TOLD_OF_TABLES):
        raise _damaged(storage, run_id, f"one without {', '.join(lost)}")
    if (told := unsealed(content)) is None:
        raise _damaged(storage, run_id, "a file that was changed since")
    return told


def publish(
    storage: Storage,
    run_id: str,
    tables: dict[str, pa.Table | Counted],
    documents: Mapping[str, str | bytes],
    commit: Callable[[], None] | None = None,
    begin: Callable[[], None] = lambda: None,
    require_alone: Callable[[], None] = lambda: None,
    *,
    force: bool = False,
    published: str | None = None,
) -> None:
    """Publish a run's tables and documents: all are staged first, then renamed, `run.json` last; then `write_latest`.

    A run without `run.json` is not published, and what such a run left is replaced.
    - ``tables``: rows by table name, stored under NAME/run_id=…
    - ``documents``: content by file name, stored under runs/RUN_ID/
    - ``commit``: puts values into a table of their own; this step may be done twice.
    - ``begin``: makes what this id has published count as not published.
    - ``force``: the id may have published something, which stays as it is until all is staged.
    - ``require_alone``: raises if the run no longer belongs to this process alone.
    - ``published``: the time that `write_latest` tells; None: now.
    Raises: OutputConflictError if another run published this id meanwhile.
    """
    staging = f"_staging-{run_id}-{uuid.uuid4().hex[:8]}"
    try:
        if PRIVATE_REJECTED in tables or storage.exists(f"{PRIVATE_REJECTED}/run_id={run_id}"):
            storage.make_private(staging)
        # These are small jobs, with one task for each million rows, so they run at the same time.
        frames = [table.frame for table in tables.values() if isinstance(table, Counted)]
        sessions = [frame.sparkSession for frame in frames if not isinstance(frame, pa.Table)]
        with JobThreads(max(1, len(tables)), next(iter(sessions), None)) as pool:
            jobs = [pool.submit(_write, storage, f"{staging}/{name}", table) for name, table in tables.items()]
            for job in jobs:
                job.result()  # it takes what it takes
        for name, content in documents.items():
            storage.write(f"{staging}/run/{name}", content if isinstance(content, bytes) else content.encode())
        require_alone()
        if not force and published_record(storage, run_id) is not None:
            where, hint = f"{storage.uri}: run_id {run_id}", "two runs were started at once; the first one stays"
            raise OutputConflictError(Problem(where, "an id nobody published", "published meanwhile", hint))
        begin()
        if commit is not None:
            commit()
        _take_places(storage, run_id, staging, tables, documents)
        write_latest(storage, staging, run_id, has_report="report.html" in documents, published=published)
    finally:
        storage.remove(staging)


def _take_places(
    storage: Storage, run_id: str, staging: str, tables: Collection[str], documents: Collection[str]
) -> None:
    """Put the staged folders in the place of everything that the run had; each folder goes whole, and comes whole."""
    for table in TABLES:
        place = f"{table}/run_id={run_id}"
        # A table with a log has its own way to tell which files count.
        if values_kind(storage, table) == "parquet" and storage.exists(place):
            storage.rename(place, f"{staging}/former/{table}")
        if table in tables:
            storage.rename(f"{staging}/{table}", place)
        else:
            storage.remove_empty(table)
    for name in {*storage.names(f"runs/{run_id}")} - {*documents, PUBLISHING}:
        storage.remove_file(f"runs/{run_id}/{name}")
    for name in sorted(documents, key=lambda name: name == "run.json"):
        storage.rename(f"{staging}/run/{name}", f"runs/{run_id}/{name}")
    storage.remove_file(f"runs/{run_id}/{PUBLISHING}")


def _write(storage: Storage, folder: str, table: pa.Table | Counted) -> None:
    """Write a table's files. Spark writes a DataFrame; a table in memory is written here, without a detour by Spark.

    No two publications have a file name in common. So a reader that has listed the files of the former publication does
    not read files of this one.
    """
    if isinstance(table, Counted) and isinstance(table.frame, pa.Table):
        for value, rows in _by_value(table.frame, str(table.by)):
            _write(storage, f"{folder}/{table.by}={escaped(value)}", rows)
        return
    if isinstance(table, Counted):
        writer = table.frame.coalesce(max(1, -(-table.n_rows // ROWS_PER_FILE))).write
        (writer.partitionBy(table.by) if table.by else writer).parquet(storage.spark_path(folder))
        return
    storage.file_system.create_dir(storage.path(folder), recursive=True)
    own = uuid.uuid4().hex
    for number, start in enumerate(range(0, max(1, len(table)), ROWS_PER_FILE)):
        with storage.file_system.open_output_stream(storage.path(f"{folder}/part-{number:05d}-{own}.parquet")) as file:
            pq.write_table(table.slice(start, ROWS_PER_FILE), file)


def _by_value(table: pa.Table, column: str) -> Iterator[tuple[str, pa.Table]]:
    """Yield each value of a column as text, and its rows without it, in their order."""
    codes = table[column].combine_chunks().dictionary_encode()
    order = np.argsort(codes.indices.to_numpy(), kind="stable")
    ends = np.cumsum(np.bincount(codes.indices.to_numpy(), minlength=len(codes.dictionary)))
    rows = table.drop_columns([column]).take(pa.array(order))
    for value, start, end in zip(codes.dictionary.to_pylist(), [0, *ends[:-1]], ends, strict=True):
        yield str(value), rows.slice(int(start), int(end - start))


def remove_left_over(storage: Storage, run_id: str) -> None:
    """Remove what killed processes left of a run's publication. Only the holder of the run's lease may call this."""
    for folder in storage.folders():
        if re.fullmatch(rf"_staging-{re.escape(run_id)}-[0-9a-f]{{8}}", folder):
            storage.remove(folder)
    storage.finish_removals()


def _damaged(storage: Storage, run_id: str, got: str) -> OutputConflictError:
    hint = "choose another run_id or output, or pass --force to replace what is there"
    return OutputConflictError(Problem(storage.shown_path(f"runs/{run_id}/run.json"), "the record of a run", got, hint))
