"""Whole tables: all columns of a table, also those that no stage of a run needs, read by this process in its format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from dvspark.errors import ConfigError, InputError, Problem
from dvspark.tables.sources.folders import WHOLE, Folders, folders_of
from dvspark.tables.sources.numpy_files import numpy_file
from dvspark.tables.sources.parts import opened_csv
from dvspark.tables.sources.pinned import VERSIONED, Pinned, pinned
from dvspark.tables.sources.plain import Seen, look

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
    root: str = ""
    file_system: fs.FileSystem | None = None


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
    seen = look(reference.path)
    if seen is None or not seen.files:
        raise InputError(Problem(where, "the table that was reviewed", "no files that this process sees", HINT))
    folders = folders_of(where, seen.names())
    if isinstance(folders, list):
        raise InputError(folders)
    with told_by(where):
        whole = (_csv if reference.format == "csv" else _parquet)(where, seen, folders)
    return whole if reference.embedding_file is None else _beside(whole, reference)


@contextmanager
def told_by(where: str) -> Iterator[None]:
    """Raise what a library says of files that it cannot read as InputError."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise InputError(Problem(where, "the table that was reviewed", str(error), HINT)) from None


def _parquet(where: str, seen: Seen, folders: Folders) -> WholeTable:
    """Return Parquet files with the columns of all of them, and those of their folders' names."""
    paths = [seen.path(name) for name in folders.files]
    files, schemas = seen.storage.file_system, list[pa.Schema]()
    for path in paths:
        with files.open_input_file(path) as file:
            schemas.append(pq.read_schema(file))
    expected, hint = "files with one type for each column", "write the files again, from one table"
    try:
        schema = pa.unify_schemas(schemas, promote_options="permissive")
    except pa.ArrowException as error:
        raise InputError(Problem(where, expected, str(error), hint)) from None
    for path, of_file in zip(paths, schemas, strict=True):
        if changed := [field for field in of_file if not _keeps(field.type, schema.field(field.name).type)]:
            raise InputError(
                Problem(where, expected, f"column {changed[0].name!r} as {changed[0].type} in {path}", hint)
            )
    schema, told = _with_folders(where, schema, folders, _folder_type)

    def read(columns: list[str] | None) -> Iterator[pa.RecordBatch]:
        for path, of_file in zip(paths, told, strict=True):
            with files.open_input_file(path) as file:
                yield from _rows_of(pq.ParquetFile(file), schema, columns, of_file)

    return WholeTable("parquet", schema, read, files=tuple(paths), root=seen.storage.root, file_system=files)


def _csv(where: str, seen: Seen, folders: Folders) -> WholeTable:
    """Return CSV files, whose cells are texts: an empty cell is null, an empty text in quotes is a text."""
    paths = [seen.path(name) for name in folders.files]
    with opened_csv(paths[0], {}) as reader:
        stored = pa.schema([(name, pa.string()) for name in reader.schema.names])
    schema, told = _with_folders(where, stored, folders, lambda _: pa.string())

    def read(columns: list[str] | None) -> Iterator[pa.RecordBatch]:
        asked = schema if columns is None else pa.schema([schema.field(name) for name in columns])
        for path, of_file in zip(paths, told, strict=True):
            with opened_csv(path, {}, texts=stored.names) as reader:
                for batch in reader:
                    if columns is not None:
                        yield pa.RecordBatch.from_arrays([_column(batch, f, of_file) for f in asked], schema=asked)
                        continue
                    added = [_column(batch, field, of_file) for field in list(schema)[len(stored) :]]
                    yield pa.RecordBatch.from_arrays([*batch.columns, *added], schema=schema)

    return WholeTable(
        "csv", schema, read, files=tuple(paths), root=seen.storage.root, file_system=seen.storage.file_system
    )


def _with_folders(
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


def _folder_type(texts: list[str | None]) -> pa.DataType:
    """Return the type that keeps texts of folder names: as for Spark, 1 is an integer, and 01 a text."""
    numbers = [text for text in texts if text is not None]
    if not numbers or not all(WHOLE.fullmatch(text) for text in numbers):
        return pa.string()
    return pa.int32() if all(abs(int(text)) < 2**31 for text in numbers) else pa.int64()


def _keeps(stored: pa.DataType, kind: pa.DataType) -> bool:
    """Return whether a type holds what another one does: no integers as floating-point numbers."""
    return stored == kind or pa.types.is_integer(stored) == pa.types.is_integer(kind) or pa.types.is_null(stored)


def _beside(rows: WholeTable, reference: TableReference) -> WholeTable:
    """Return Parquet rows with the embeddings of a NumPy file, as lists of its numbers."""
    file, name = numpy_file("train", str(reference.embedding_file)), reference.embedding
    kind = pa.list_(pa.from_numpy_dtype(file.dtype), file.n_features)
    field = pa.field(name, kind)

    def read(columns: list[str] | None) -> Iterator[pa.RecordBatch]:
        asked = rows.schema.names if columns is None else [one for one in columns if one != name]
        numbers, first = np.load(file.path, mmap_mode="r", allow_pickle=False), 0
        for batch in rows.read(asked):
            some = np.ascontiguousarray(numbers[first : first + len(batch)], file.dtype.newbyteorder("="))
            first += len(batch)
            lists = pa.FixedSizeListArray.from_arrays(pa.array(some.ravel()), file.n_features)
            yield batch.append_column(field, lists) if columns is None or name in columns else batch
        if first != file.n_rows:
            got, hint = f"{first} rows beside {file.n_rows} embeddings", "write both from the same rows"
            raise InputError(Problem("train.embedding_file", "an embedding a row", got, hint))

    return replace(
        rows,
        format="numpy",
        schema=rows.schema.append(field),
        read=read,
        embedding=name,
        files=(*rows.files, file.path),
    )


def _lake(name: str, found: Pinned) -> WholeTable:
    """Return one state of a Delta or Iceberg table."""
    by_file = [{}] * len(found.files) if found.partitions is None else found.partitions.to_pylist()
    stored_as = dict[str, str]()
    if name == "iceberg":
        from dvspark.tables.sources.iceberg_files import stored_names  # noqa: PLC0415 - an extra

        stored_as = stored_names(found.schema.names)

    def read(columns: list[str] | None) -> Iterator[pa.RecordBatch]:
        for path, told in zip(found.files, by_file, strict=True):
            with pq.ParquetFile(path.removeprefix("file://")) as file:
                yield from _rows_of(file, found.schema, columns, told, stored_as)

    partitions = () if found.partitions is None else tuple(found.partitions.column_names)
    return WholeTable(name, found.schema, read, partitions=partitions)


def _rows_of(
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
        yield pa.RecordBatch.from_arrays([_column(batch, field, told) for field in asked], schema=asked)


def _column(batch: pa.RecordBatch, field: pa.Field, told: dict[str, Any]) -> pa.Array:
    """Return a column of a batch: as stored, as the table's log tells, or null in files that are older than it."""
    if field.name in told:
        return pa.array([told[field.name]] * len(batch), field.type)
    if field.name not in batch.schema.names:
        return pa.nulls(len(batch), field.type)
    return batch.column(field.name).cast(field.type)
