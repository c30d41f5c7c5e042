"""Published values: those of one run, read and checked without Spark, whatever other runs lie beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from typing import Any

import pyarrow as pa

from dvspark.errors import ConfigError, OutputConflictError, Problem
from dvspark.methods import METHODS
from dvspark.runs.documents import unsealed
from dvspark.runs.files import read_if_there
from dvspark.runs.latest import LATEST, latest_run
from dvspark.runs.private import kept_record
from dvspark.runs.published import record_of
from dvspark.schemas import OWNER
from dvspark.tables.sinks.places import Place, published_by_task, published_review, published_rows, recorded_place
from dvspark.tables.sinks.values_commits import ValuesTable
from dvspark.tables.sinks.values_schema import values_schema
from dvspark.tables.sinks.values_tables import values_kind
from dvspark.tables.storage import Storage, open_storage

# What of a record is used here.
USED = {"fingerprint": str, "method.name": str, "method.parameters": dict, "inputs.train.types": dict}
TO_DO = "value again with --force, which publishes them anew"


def require_shown_together(record: Mapping[str, Any]) -> None:
    """Raise ConfigError for a private run whose values were published for each owner alone."""
    if record.get("privacy") is None or (record.get("configuration") or {}).get("publish_all_values"):
        return
    where, got = f"run {record['run_id']}", "a private run, with a folder for each owner"
    hint = "value with publish_all_values: true, which reveals who is near whom to all who see the values"
    raise ConfigError(Problem(where, "a run whose values may be shown together", got, hint))


def read_values(output: str | PathLike[str], run_id: str | None = None) -> pa.Table:
    """Return the values of one run, `schemas.VALUES` with the columns it has, by rank.

    ``output``: the folder of the results, a path or URI; ``run_id`` None: the run that was published last. Values lie
    in Parquet files, a Delta table (extra ``delta``) or an Iceberg table (extra ``iceberg``); the record tells where.
    Only the user who ran a private run can read its values in this way.
    Raises: ConfigError for a run that is not published, or values in a table of Spark's catalogs; OutputConflictError
    for a record or values that are not as they were published.
    Cost: one pass over the run's rows for their sha256, and one sort.
    """
    storage = open_storage(str(output))
    record = _record(storage, _latest(storage) if run_id is None else run_id)
    run_id, table = record["run_id"], _table(storage, record)
    schema = _schema(record)
    with _while_it_stays(storage, record):
        found = published_rows(storage, table, record, schema, TO_DO)
    rows = found.select(schema.names[1:]).cast(pa.schema(list(schema)[1:]))
    rows = rows.sort_by([("rank", "ascending"), ("id", "ascending")])
    return rows.add_column(0, schema.field(0), pa.array([run_id] * len(rows), pa.string()))


def read_record(output: str | PathLike[str], run_id: str | None = None) -> dict[str, Any]:
    """Return the run record of one run; ``run_id`` None: of the run that was published last.

    Raises: ConfigError for a run that is not published, OutputConflictError for a record that was changed since.
    """
    storage = open_storage(str(output))
    return _record(storage, _latest(storage) if run_id is None else run_id)


def read_review(output: str | PathLike[str], record: dict[str, Any]) -> pa.Table | None:
    """Return the review of a run, `schemas.reviewing.REVIEW`, by its record; None for a run that was not reviewed.

    Raises: OutputConflictError for a review that is not as it was published.
    """
    storage = open_storage(str(output))
    with _while_it_stays(storage, record):
        return published_review(storage, record, TO_DO)


def read_by_task(output: str | PathLike[str], record: dict[str, Any]) -> pa.Table | None:
    """Return the values by task of a run, `schemas.BY_TASK`, by its record; None for a run without tasks.

    Raises: OutputConflictError for values by task that are not as they were published.
    """
    storage = open_storage(str(output))
    with _while_it_stays(storage, record):
        return published_by_task(storage, record, TO_DO)


@contextmanager
def _while_it_stays(storage: Storage, record: dict[str, Any]) -> Iterator[None]:
    """Have whoever reads a run told so if it is published again meanwhile, and not that what it published is lost."""
    try:
        yield
    except OutputConflictError as error:
        now = unsealed(read_if_there(storage, f"runs/{record['run_id']}/run.json") or b"")
        if now is not None and all(record.get(name) == told for name, told in now.items()):
            raise
        where, expected = f"run {record['run_id']}", "a run that stays as it is while it is read"
        hint = "read it again when that process has ended"
        raise OutputConflictError(Problem(where, expected, "one that a process publishes again", hint)) from error


def _latest(storage: Storage) -> str:
    """Return the id of the run that was published last. Raises: ConfigError where nobody tells."""
    if (latest := latest_run(storage)) is None:
        runs = [name for name in sorted(storage.folders("runs")) if storage.exists(f"runs/{name}/run.json")]
        got = f"none, of {len(runs)} published runs: {', '.join(runs[:5])}" if runs else "no published run"
        hint = "name one by run_id" if runs else "give the folder that a run has as its output"
        raise ConfigError(Problem(storage.shown_path(LATEST), "the run that was published last", got, hint))
    return str(latest["run_id"])


def _record(storage: Storage, run_id: str) -> dict[str, Any]:
    """Return the whole record of a published run. Raises: ConfigError, OutputConflictError."""
    record, _ = record_of(storage, run_id, USED, shown=storage.shown_path)
    if record is None:
        where, got = storage.shown_path(f"runs/{run_id}/run.json"), "a file that was changed since, or another run's"
        raise OutputConflictError(Problem(where, "the record of a run", got, TO_DO))
    if record.get("privacy") is not None:  # its sha256 would tell of other owners' values
        record["values_sha256"] = kept_record(storage, run_id, record["fingerprint"])["values_sha256"]
    return record


def _table(storage: Storage, record: dict[str, Any]) -> ValuesTable | None:
    """Return the table with a run's values, None for a folder of files. Raises: ConfigError, OutputConflictError."""
    place = recorded_place(record) or Place(values_kind(storage) or "parquet")
    if place.table is not None and place.format != "iceberg":
        hint = f"spark.table('{place.table}').where(\"run_id = '{record['run_id']}'\")"
        raise ConfigError(Problem(f"run {record['run_id']}", "values that files hold", f"table {place.table}", hint))
    no_spark: Any = None
    return place.opened(storage, no_spark)


def _schema(record: dict[str, Any]) -> pa.Schema:
    """Return the columns of a run's values."""
    types, method = dict(record["inputs"]["train"]["types"]), METHODS.get(record["method"]["name"])
    if method is not None and method.players_of(record["method"]["parameters"]) != "rows":
        types["id"] = types.pop(OWNER.name)
    by_class = bool(record.get("by_class"))
    return values_schema(types, row_bounds=bool(record.get("row_bounds")), by_class=by_class)
