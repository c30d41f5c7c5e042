"""Read: table references become rows under fixed column names, on Spark and without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from dvspark.errors import ConfigError, InputError, Problem
from dvspark.local.rows import Batches, LocalRows
from dvspark.local.session import LocalSession
from dvspark.schemas import OWNED, VALIDATION_ROWS
from dvspark.spark.session import is_connect
from dvspark.tables.sources.canonical import canonical_columns
from dvspark.tables.sources.epochs import with_epochs
from dvspark.tables.sources.folders import literal
from dvspark.tables.sources.formats import reader_of
from dvspark.tables.sources.not_local import LOCAL, NotLocalError
from dvspark.tables.sources.other_files import hint_for
from dvspark.tables.sources.owned import with_owned
from dvspark.tables.sources.plain import STRICT
from dvspark.tables.sources.reader import Reader, SparkTable, TableFiles
from dvspark.tables.sources.reference import TableReference
from dvspark.tables.sources.row_files import RowFiles, row_files
from dvspark.tables.sources.rows import Rows, canonical_rows
from dvspark.tables.sources.typed_bytes import DTYPES, decoded
from dvspark.tables.sources.types import ddl_of
from dvspark.tables.sources.unreadable import condition_of, is_missing, spark_errors, unreadable

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from dvspark.local.rows import Frame
    from dvspark.local.session import Session


def read_rows(session: Session, side: str, reference: TableReference, target: str = "label") -> Rows | list[Problem]:
    """Return the rows of a table, with the owned ones, under fixed names and types, or everything wrong with it.

    Raises: ConfigError where nothing that is installed knows the format; NotLocalError for what only Spark reads.
    """
    reader = reader_of(side, reference, target)
    rows = _rows_of(session, reader)
    if reference.epoch is not None:
        rows = with_epochs(rows)
    if reference.owned is None:
        return rows
    owned = reader_of(OWNED.name, reference.owned, target)
    return with_owned(rows, _rows_of(session, owned))


def _rows_of(session: Session, reader: Reader) -> Rows | list[Problem]:
    """Return the rows of one table: as this process reads its files, as tasks of Spark do, or as Spark itself does."""
    if isinstance(session, LocalSession):
        return _rows_here(session, reader)
    table = read_table(session, reader)
    if table is None:
        return _rows_in_tasks(session, reader)
    return table if isinstance(table, list) else _rows_by_spark(table, reader)


def _rows_here(session: LocalSession, reader: Reader) -> Rows | list[Problem]:
    """Return the rows of a table that this process reads."""
    found = _files(reader)
    if isinstance(found, list):
        return found
    table, files = found
    frame = _local_rows(session, files, reader.bytes_dtype)
    return _rows_in_files(reader, table, files, frame, frame.types)


def _rows_in_tasks(spark: SparkSession, reader: Reader) -> Rows | list[Problem]:
    """Return the rows of a table that Spark has tasks read with Arrow, in formats that Spark itself reads otherwise."""
    hint = "put the files where all hosts see them under one path, or write the rows as Parquet"
    if is_connect(spark):
        return [Problem(reader.where, "a classic session, whose files are seen here", "Spark Connect", hint)]
    try:
        found = _files(reader)
    except NotLocalError as error:
        return [replace(one, expected=one.expected.removesuffix(LOCAL), hint=hint) for one in error.problems]
    if isinstance(found, list):
        return found
    table, files = found
    ddl = ddl_of(files.types)
    frame = files.map_batches(spark, _as_it_is, list(files.types), ddl)
    return _rows_in_files(reader, table, files, frame, files.types)


def _rows_by_spark(table: SparkTable, reader: Reader) -> Rows | list[Problem]:
    """Return the rows of a table that Spark reads; where these are Parquet files, tasks may read these instead."""
    rows = canonical_rows(reader.side, table.frame, reader.reference, reader.target)
    if isinstance(rows, list):
        return rows
    in_files = table.in_files and reader.bytes_dtype in (None, "float32")
    files = row_files(table.frame, reader.reference.columns(), rows.types) if in_files else None
    return replace(rows, source=table.source, listing=table.listing, files=files)


def _files(reader: Reader) -> tuple[TableFiles, RowFiles] | list[Problem]:
    """Return the files of a table that this process sees, or everything wrong with it."""
    try:
        table, given = reader.files(), replace(reader.reference, embedding_dtype=reader.bytes_dtype)
        types = canonical_columns(reader.side, given, reader.target, list(table.types.items()), tells_case=False)
        if isinstance(types, list):
            return types
        return table, table.row_files(reader.where, reader.reference.columns(), types)
    except InputError as error:
        return list(error.problems)


def _rows_in_files(reader: Reader, table: TableFiles, files: RowFiles, frame: Frame, types: dict[str, str]) -> Rows:
    return Rows(
        reader.side,
        frame,
        types,
        str(reader.reference),
        table.source,
        table.listing,
        files,
        bytes_declared=reader.bytes_dtype is not None,
        beside=reader.reference.embedding_file,
    )


def _local_rows(session: LocalSession, files: RowFiles, dtype: str | None) -> LocalRows:
    """Return the rows of files; ``dtype``: declared, of embeddings in bytes."""
    types = dict(files.types)
    if dtype is not None and DTYPES[dtype] != "binary":
        types["embedding"] = DTYPES[dtype]
    is_decoded = types != files.types
    rows = LocalRows(session, types, lambda _: iter(()))
    empty = pa.RecordBatch.from_pylist([], rows.schema)

    def read(columns: list[str]) -> Batches:
        if not files.parts:
            yield empty.select(columns)
        for part in files.parts:
            batches = files.read(part, columns)
            yield from decoded(batches, str(dtype)) if is_decoded and "embedding" in columns else batches

    return replace(rows, read=read)


def _as_it_is(batches: Batches) -> Batches:
    yield from batches


def read_table(spark: SparkSession, reader: Reader) -> SparkTable | list[Problem] | None:
    """Return a table as Spark reads it, or the problems of its reference; None where tasks read its files.

    Of files, only the columns that are used are read.
    Raises: ConfigError if nothing that is installed knows the format.
    """
    try:
        table = reader.frame(spark)
        if table is not None:
            _ = table.frame.schema  # Spark Connect looks a table up only when something about the table is asked
    except InputError as error:
        return list(error.problems)
    except spark_errors() as error:
        if is_missing(error):
            expected, got = "a format this Spark can read", reader.reference.format
            hint = hint_for(reader.side, got) or "check the spelling, or start Spark with its connector"
            return [Problem(f"{reader.side}.format", expected, got, hint)]
        return [unreadable(reader.side, reader.reference, error)]
    return table


def published_rows(spark: SparkSession, spark_path: Callable[[str], str], run_id: str) -> DataFrame:
    """Return (id, row_hash) of the validation rows on which a published run rests.

    Raises: ConfigError if the rows are gone, or not as they were written.
    """
    place = spark_path(f"{VALIDATION_ROWS.name}/run_id={run_id}")
    try:
        return spark.read.options(**STRICT).parquet(literal(place)).select("id", "row_hash")
    except spark_errors() as error:
        problem = Problem(
            f"run {run_id}", f"its validation rows in {place}", condition_of(error)[1], "value all rows at once"
        )
        raise ConfigError(problem) from error
