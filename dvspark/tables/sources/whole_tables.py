"""Whole tables: all columns of a table, also those that no stage of a run needs, read by this process in its format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dvspark.errors import ConfigError, InputError, Problem
from dvspark.tables.sources.folders import Folders
from dvspark.tables.sources.plain import Seen, folder_columns, look
from dvspark.tables.sources.reader import Reader

# Rows that are read at a time.
BATCH_ROWS = 65_536
HINT = "put it back; a path that is not absolute is meant from the folder in which the review was started"


def unwritable(reader: Reader) -> ConfigError:
    """Return the refusal of a table that this process cannot write again."""
    reference = reader.reference
    got = f"table {reference.table} of Spark's catalogs" if reference.table else f"format {reference.format}"
    hint = "join the review table with your table by id, and drop or relabel by its column decision"
    return ConfigError(Problem("train table", "parquet, csv, delta or iceberg files", got, hint))


def whole_files(reader: Reader) -> tuple[Seen, Folders]:
    """Return the files of a plain table, wherever this process sees them. Raises: ConfigError, InputError."""
    if reader.only_spark():
        raise unwritable(reader)
    seen = look(str(reader.reference.path))
    if seen is None or not seen.files:
        raise InputError(Problem(reader.where, "the table that was reviewed", "no files that this process sees", HINT))
    return seen, folder_columns(reader, seen.names())


@contextmanager
def told_by(where: str) -> Iterator[None]:
    """Raise what a library says of files that it cannot read as InputError."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise InputError(Problem(where, "the table that was reviewed", str(error), HINT)) from None


def with_folders(
    where: str, schema: pa.Schema, folders: Folders, kind_of: Callable[[list[str | None]], pa.DataType]
) -> tuple[pa.Schema, list[dict[str, Any]]]:
    """Return the schema with the columns of folders' names, and what each file's folders tell.

    Raises: InputError for a column that is in the files, too.
    """
    if both := [name for name in folders.values if name in schema.names]:
        expected, hint = "one meaning: from the files or from folder names", "rename one of them"
        raise InputError(Problem(f"{where}, column {both[0]!r}", expected, "in the files and in folder names", hint))
    told = [dict[str, Any]() for _ in folders.files]
    for name, texts in folders.values.items():
        kind = kind_of(texts)
        schema = schema.append(pa.field(name, kind))
        for of_file, value in zip(told, pa.array(texts, pa.string()).cast(kind).to_pylist(), strict=True):
            of_file[name] = value
    return schema, told


def rows_of(
    file: pq.ParquetFile,
    schema: pa.Schema,
    columns: list[str] | None,
    told: dict[str, Any],
    stored_as: dict[str, str] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yield a file's rows in the columns of a table; ``told``: those that are not in it.

    ``stored_as``: what columns are called in a file that has none of their own name.
    """
    asked = schema if columns is None else pa.schema([schema.field(name) for name in columns])
    there = set(file.schema_arrow.names)
    own = {name: name if name in there else (stored_as or {}).get(name, name) for name in asked.names}
    stored = {name: as_stored for name, as_stored in own.items() if name not in told and as_stored in there}
    for found in file.iter_batches(BATCH_ROWS, columns=[*stored.values()]):
        columns_of = [found.column(as_stored) for as_stored in stored.values()]
        batch = found if not stored else pa.RecordBatch.from_arrays(columns_of, [*stored])
        yield pa.RecordBatch.from_arrays([column_of(batch, field, told) for field in asked], schema=asked)


def column_of(batch: pa.RecordBatch, field: pa.Field, told: dict[str, Any]) -> pa.Array:
    """Return a column of a batch: as stored, as the table's log tells, or null in files that are older than it."""
    if field.name in told:
        return pa.array([told[field.name]] * len(batch), field.type)
    if field.name not in batch.schema.names:
        return pa.nulls(len(batch), field.type)
    return batch.column(field.name).cast(field.type)
