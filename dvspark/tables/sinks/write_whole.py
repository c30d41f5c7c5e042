"""Whole tables, written again by this process in the format in which they were read."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from pyarrow import fs

from dvspark.errors import ConfigError
from dvspark.tables.sources.formats.delta import path_problem
from dvspark.tables.sources.reader import WholeTable

ROWS, NUMBERS = "part-00000.parquet", "embeddings.npy"


def write_whole(table: WholeTable, rows: Iterator[pa.RecordBatch], folder: Path, place: Path) -> None:
    """Write rows of a table, with all its columns, into a new ``folder``, in the table's format.

    ``place``: where the folder will be moved to; an Iceberg table has its own place in its metadata. Of Iceberg the
    columns and rows are kept, of Delta the partitions too. Memory: some batches of rows.
    Raises: OSError where the folder cannot be written.
    """
    write = {"parquet": _parquet, "csv": _csv, "numpy": _numpy, "delta": _delta, "iceberg": _iceberg}[table.format]
    write(table, rows, folder, place)


def copy_whole(table: WholeTable, folder: Path, place: Path) -> None:
    """Write a table as it is: the same files, as they lie below its root; of Delta and Iceberg one state's rows."""
    if table.file_system is None:
        write_whole(table, table.read(None), folder, place)
        return
    root = Path(table.root)
    for file in map(Path, table.files):
        inside = file.relative_to(root) if root in file.parents else Path(file.name)
        (folder / inside).parent.mkdir(parents=True, exist_ok=True)
        # The embeddings' own file is always local.
        files = fs.LocalFileSystem() if file.suffix == ".npy" else table.file_system
        with files.open_input_file(str(file)) as source, (folder / inside).open("wb") as copy:
            shutil.copyfileobj(source, copy)


def _parquet(table: WholeTable, rows: Iterator[pa.RecordBatch], folder: Path, _: Path) -> None:
    folder.mkdir()
    with pq.ParquetWriter(folder / ROWS, table.schema) as writer:
        for batch in rows:
            writer.write_batch(batch)


def _csv(table: WholeTable, rows: Iterator[pa.RecordBatch], folder: Path, _: Path) -> None:
    folder.mkdir()
    with pyarrow.csv.CSVWriter(folder / "part-00000.csv", table.schema) as writer:
        for batch in rows:
            writer.write_batch(batch)


def _numpy(table: WholeTable, rows: Iterator[pa.RecordBatch], folder: Path, _: Path) -> None:
    """Write Parquet and the NumPy file beside it, whose header leaves room for any number of rows."""
    folder.mkdir()
    at = table.schema.get_field_index(table.embedding)
    kind, n_rows = table.schema.field(at).type, 0
    dtype = np.dtype(kind.value_type.to_pandas_dtype())

    def header(file: Any) -> None:
        told = {"descr": dtype.str, "fortran_order": False, "shape": (n_rows, kind.list_size)}
        np.lib.format.write_array_header_1_0(file, told)

    with pq.ParquetWriter(folder / ROWS, table.schema.remove(at)) as writer, (folder / NUMBERS).open("wb") as file:
        header(file)
        for batch in rows:
            n_rows += len(batch)
            file.write(np.ascontiguousarray(batch.column(at).flatten().to_numpy(zero_copy_only=False), dtype).data)
            writer.write_batch(batch.remove_column(at))
        file.seek(0)
        header(file)


def _delta(table: WholeTable, rows: Iterator[pa.RecordBatch], folder: Path, place: Path) -> None:
    from deltalake import write_deltalake  # noqa: PLC0415 - an extra
    from deltalake.exceptions import DeltaError  # noqa: PLC0415

    if problem := path_problem("--output", str(place)):
        raise ConfigError(problem)
    reader = pa.RecordBatchReader.from_batches(table.schema, rows)
    try:
        write_deltalake(str(folder), reader, partition_by=[*table.partitions] or None)
    except DeltaError as error:  # of a disk that is full, among others
        raise OSError(str(error)) from error


def _iceberg(table: WholeTable, rows: Iterator[pa.RecordBatch], folder: Path, place: Path) -> None:
    from dvspark.tables.sinks.iceberg_folder import write_iceberg_folder  # noqa: PLC0415 - an extra

    write_iceberg_folder(table.schema, rows, folder, place)
