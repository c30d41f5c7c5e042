"""Stream: validation rows that keep arriving. Each batch makes a run: the run before with the batch's rows added."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dvspark.config.job import JobConfig
from dvspark.errors import ComputeError, ConfigError, InputError, Problem
from dvspark.logs import log_event
from dvspark.run import pipeline
from dvspark.run.change.change import parent_record, parent_rows
from dvspark.runs.identity import run_id_problems
from dvspark.spark.session import is_connect
from dvspark.tables.sources.folders import literal
from dvspark.tables.sources.formats import reader_of
from dvspark.tables.sources.plain import STRICT
from dvspark.tables.sources.read import read_table
from dvspark.tables.sources.reference import TableReference
from dvspark.tables.sources.unreadable import LONGEST_LINE, condition_of, readable, spark_errors
from dvspark.tables.storage import Storage, open_storage

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Name of a stream without a run_id.
NAME = "stream"
# The number is Spark's own number of the batch, which a repeated batch keeps.
BATCH_DIGITS = 6


def run_stream(config: JobConfig, spark: SparkSession) -> dict[str, Any]:
    """Value validation rows as they arrive, until stopped, or with ``available_now`` until all are valued.

    Return the name of the stream and its latest run, whose values rest on all rows that have arrived; None if there is
    no run. A batch that is repeated because its end was not recorded gives the same run, which is published already, or
    half done.
    Cost: each batch reads, checks and indexes the training table.
    Raises: ConfigError, InputError, ComputeError for a stream that cannot go on, and what `pipeline.run` raises for a
    batch; the batches before stay published.
    """
    storage, name, table = open_storage(config.output.path), config.run_id or NAME, _table(config, spark)
    failed = list[Exception]()

    def value(rows: DataFrame, number: int) -> None:
        try:
            _value_batch(config, storage, name, rows, table.id, number)
        except Exception as error:  # Spark passes on only the text of the error
            failed.append(error)
            raise

    writer = _arriving(table, config.stream.schema_ddl, spark).writeStream.foreachBatch(value)
    writer = writer.option("checkpointLocation", storage.spark_path(f"checkpoints/{name}"))
    how = {"availableNow": True} if config.stream.available_now else {"processingTime": config.stream.every}
    query = writer.trigger(**how).start()
    try:
        query.awaitTermination()  # without a limit: the stream goes on until it is stopped from outside
    except Exception as error:
        if failed:
            raise failed[0] from None
        if isinstance(error, spark_errors()):
            raise _ended(storage.shown_path(f"checkpoints/{name}"), error) from error
        raise
    finally:
        query.stop()
    return {"name": name, "latest": _latest(storage, name, lambda _: True)}


def stream_text(found: dict[str, Any]) -> str:
    """Return the result of `run_stream` as text for a person."""
    return f"stream {found['name']}: the latest run is {found['latest']}" if found["latest"] else "nothing has arrived"


def _ended(checkpoint: str, error: Exception) -> ComputeError:
    """Return the error for a stream that Spark ended between batches, as where its checkpoint cannot be used."""
    expected, got = "a stream that finds what has arrived, and notes it", condition_of(error)[1][:LONGEST_LINE]
    hint = "look whether the folder of rows and the checkpoint are whole, and can be written; then start it again"
    return ComputeError(Problem(f"checkpoint {checkpoint}", expected, got, hint))


def _table(config: JobConfig, spark: SparkSession) -> TableReference:
    """Return where rows arrive. Raises: ConfigError for a job that is not a stream."""
    problems = run_id_problems(_run_id(config.run_id or NAME, 0))
    if config.options().declaration.is_private:
        hint = "publish a release of all validation rows at once: each release spends the budget"
        problems.append(Problem("method", "one without a private release", config.method, hint))
    if not config.options().declaration.adds_up:
        hint = "value all rows at once: they are one game"
        problems.append(Problem("method", "one whose values add up point by point", config.method, hint))
    if config.parent is not None:
        problems.append(Problem("parent", "none: each batch is added to the one before", config.parent, "leave it out"))
    if config.groups_rows():
        hint = "value all rows at once: totals of groups are not kept, so no batch could be added to them"
        expected, got = "rows that all count alike", "validation.weight, validation.task or by_class"
        problems.append(Problem("validation", expected, got, hint))
    if is_connect(spark):
        hint = "run it with spark-submit: on Connect a batch's function has no access to this process"
        problems.append(Problem("spark", "a classic session", "Spark Connect", hint))
    if config.validation is None:
        hint = "validation rows arrive, training rows stay: give --validation FOLDER"
        problems.append(Problem("validation", "a table of its own", "self_validation", hint))
    elif not problems:
        return config.validation.reference()
    raise ConfigError(problems)


def _arriving(table: TableReference, schema_ddl: str | None, spark: SparkSession) -> DataFrame:
    """Return the validation table as a stream. Raises: InputError if it cannot be read."""
    if table.table is not None:
        return spark.readStream.table(table.table)
    if table.format == "csv" or table.embedding_file is not None:
        got = "embedding_file" if table.embedding_file is not None else "csv"
        raise InputError(
            Problem("validation.format", "a format of Spark's own streams", got, "let Parquet files arrive")
        )
    with suppress(ConfigError, OSError):  # a store that only Spark reads
        place = open_storage(str(table.path))
        if place.file_system.get_file_info(place.root).is_file:
            hint, got = "give the folder of this file, into which others may come", f"a file, {table.path}"
            raise InputError(Problem("validation.path", "a folder into which files come", got, hint))
    schema: Any = schema_ddl
    if schema is None:
        read = read_table(spark, reader_of("validation", table))
        if isinstance(read, list):
            raise InputError(read)
        assert read is not None  # noqa: S101 - formats that tasks read are refused above
        schema = read.frame.schema
    return spark.readStream.format(table.format).options(**STRICT).schema(schema).load(literal(str(table.path)))


@readable()  # Spark first opens a batch's files here
def _value_batch(config: JobConfig, storage: Storage, name: str, rows: DataFrame, id_name: str, number: int) -> None:
    """Publish the run of a batch; a batch without new rows publishes nothing."""
    parent = _latest(storage, name, lambda earlier: earlier < number)
    change = None if parent is None else "add"
    job = config.model_copy(update={"run_id": _run_id(name, number), "parent": parent, "change": change})
    rows = rows.persist()  # without this, each pass of a run would read the files again
    try:
        fresh = rows
        if parent is not None and config.on_bad_row == "reject":
            known = parent_rows(rows.sparkSession, storage.spark_path, parent_record(storage, parent))
            fresh = rows.join(known, rows[id_name] == known["id"], "left_anti")
        if fresh.isEmpty():
            log_event(f"batch {number}: all rows are valued already; nothing is published", batch=number)
            return
        pipeline.run(job, rows.sparkSession, arrived=rows)
    finally:
        rows.unpersist()


def _run_id(name: str, number: int) -> str:
    return f"{name}-{number:0{BATCH_DIGITS}}"


def _latest(storage: Storage, name: str, counts: Callable[[int], bool]) -> str | None:
    """Return the published run of the latest batch for which ``counts`` is true, or None."""
    runs = [re.fullmatch(rf"{re.escape(name)}-(\d{{{BATCH_DIGITS},}})", folder) for folder in storage.folders("runs")]
    numbers = sorted((number for run in runs if run and counts(number := int(run[1]))), reverse=True)
    published = (
        _run_id(name, number) for number in numbers if storage.exists(f"runs/{_run_id(name, number)}/run.json")
    )
    return next(published, None)
