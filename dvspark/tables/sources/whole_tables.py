"""Whole tables: all columns of a table, also those that no stage of a run needs, read by this process in its format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from dvspark.errors import ConfigError, InputError, Problem
from dvspark.tables.sources.numpy_files import numpy_file
from dvspark.tables.sources.parts import BATCH_BYTES
from dvspark.tables.sources.pinned import VERSIONED, Pinned, pinned

if TYPE_CHECKING:
    from dvspark.tables.sources.reference import TableReference

# Rows that are read at a time.
BATCH_ROWS = 65_536
HINT = "put it back; a path that is not absolute is meant from the folder in which the review was started"


@dataclass(frozen=True)
class WholeTable:
    """A table of one ``format``: parquet, csv, delta, iceberg, or numpy, which is Parquet with a NumPy file beside it.

    ``read`` yields batches of some columns of ``schema``, None for all, in the order of the table's rows. Cells of CSV
    files are texts. ``embedding`` is the column whose numbers lie in the NumPy file. ``partitions`` are columns by
    which a Delta table has its files in folders. ``files`` are those that make up the table, if copies of them are one.
    """

    format: str
    schema: pa.Schema
    read: Callable[[list[str] | None], Iterator[pa.RecordBatch]]
    embedding: str | None = None
    partitions: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


def whole_table(reference: TableReference, state: int | None = None) -> WholeTable:
    """Return a table with all its columns; ``state``: the version or snapshot of a Delta or Iceberg table.

    Raises: ConfigError for a format that this process cannot write again, InputError where the table is not there.
    """
    where = f"train table {reference}"
    if reference.format in VERSIONED and (reference.path is not None or reference.format == "iceberg"):
        version, snapshot = (state, None) if reference.format == "delta" else (None, state)
        chosen = replace(reference, timestamp=None, version=version, snapshot=snapshot)
        return _lake(reference.format, pinned("train", chosen))
    if reference.path is None or reference.format not in ("parquet", "csv"):
        got = f"table {reference.table} of Spark's catalogs" if reference.table else f"format {reference.format}"
        hint = "join the review table with your table by id, and drop or relabel by its column decision"
        raise ConfigError(Problem("train table", "parquet, csv, delta or iceberg files", got, hint))
    try:
        if reference.format == "csv":
            return _csv(reference.path)
        found = ds.dataset(reference.path, format="parquet", partitioning="hive")
    except (OSError, pa.ArrowException) as error:
        raise InputError(Problem(where, "the table that was reviewed", str(error), HINT)) from None
    whole = WholeTable("parquet", found.schema, partial(_batches, found), files=tuple(found.files))
    return whole if reference.embedding_file is None else _beside(whole, reference)


def _batches(dataset: ds.Dataset, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
    return dataset.to_batches(columns=columns, batch_size=BATCH_ROWS)


def _csv(path: str) -> WholeTable:
    """Return CSV files, whose cells are texts: an empty cell is null, an empty text in quotes is a text."""
    parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
    names = ds.dataset(path, format=ds.CsvFileFormat(parse_options=parse), partitioning="hive").schema.names
    convert = pyarrow.csv.ConvertOptions(
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        column_types=dict.fromkeys(names, pa.string()),
    )
    read = pyarrow.csv.ReadOptions(use_threads=False, block_size=BATCH_BYTES)
    texts = ds.CsvFileFormat(parse_options=parse, convert_options=convert, read_options=read)
    found = ds.dataset(path, format=texts, partitioning="hive")
    return WholeTable("csv", found.schema, partial(_batches, found), files=tuple(found.files))


def _beside(rows: WholeTable, reference: TableReference) -> WholeTable:
    """Return Parquet rows with the embeddings of a NumPy file, as lists of its numbers."""
    file, name = numpy_file("train", str(reference.embedding_file)), reference.embedding
    kind = pa.list_(pa.from_numpy_dtype(file.dtype), file.n_features)
    field = pa.field(name, kind)

    def read(columns: list[str] | None) -> Iterator[pa.RecordBatch]:
        asked = rows.schema.names if columns is None else [one for one in columns if one != name]
        numbers, first = np.load(file.path, mmap_mode="r"), 0
        for batch in rows.read(asked):
            some = np.ascontiguousarray(numbers[first : first + len(batch)], file.dtype.newbyteorder("="))
            first += len(batch)
            lists = pa.FixedSizeListArray.from_arrays(pa.array(some.ravel()), file.n_features)
            yield batch.append_column(field, lists) if columns is None or name in columns else batch
        if first != file.n_rows:
            got, hint = f"{first} rows beside {file.n_rows} embeddings", "write both from the same rows"
            raise InputError(Problem("train.embedding_file", "an embedding a row", got, hint))

    return WholeTable("numpy", rows.schema.append(field), read, embedding=name, files=(*rows.files, file.path))


def _lake(name: str, found: Pinned) -> WholeTable:
    """Return one state of a Delta or Iceberg table."""
    by_file = [{}] * len(found.files) if found.partitions is None else found.partitions.to_pylist()

    def read(columns: list[str] | None) -> Iterator[pa.RecordBatch]:
        asked = found.schema.names if columns is None else columns
        schema = pa.schema([found.schema.field(name) for name in asked])
        for path, told in zip(found.files, by_file, strict=True):
            with pq.ParquetFile(path.removeprefix("file://")) as file:
                stored = [name for name in asked if name not in told and name in file.schema_arrow.names]
                for batch in file.iter_batches(BATCH_ROWS, columns=stored):
                    yield pa.RecordBatch.from_arrays([_column(batch, field, told) for field in schema], schema=schema)

    partitions = () if found.partitions is None else tuple(found.partitions.column_names)
    return WholeTable(name, found.schema, read, partitions=partitions)


def _column(batch: pa.RecordBatch, field: pa.Field, told: dict[str, Any]) -> pa.Array:
    """Return a column of a batch: as stored, as the table's log tells, or null in files that are older than it."""
    if field.name in told:
        return pa.array([told[field.name]] * len(batch), field.type)
    if field.name not in batch.schema.names:
        return pa.nulls(len(batch), field.type)
    return batch.column(field.name).cast(field.type)
