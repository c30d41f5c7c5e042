"""Formats: one reader for each format of tables, in a module of its own."""

from __future__ import annotations

from dvspark.tables.sources.formats.csv_files import CsvReader
from dvspark.tables.sources.formats.delta import DeltaReader
from dvspark.tables.sources.formats.iceberg import IcebergReader
from dvspark.tables.sources.formats.numpy_files import NumpyReader
from dvspark.tables.sources.formats.parquet import ParquetReader
from dvspark.tables.sources.formats.spark_only import SparkReader
from dvspark.tables.sources.reader import Reader
from dvspark.tables.sources.reference import TableReference

READERS: dict[str, type[Reader]] = {
    "parquet": ParquetReader,
    "csv": CsvReader,
    "delta": DeltaReader,
    "iceberg": IcebergReader,
}


def reader_of(side: str, reference: TableReference, target: str = "label") -> Reader:
    """Return what reads a table; nothing is looked at yet."""
    kind = READERS.get(reference.format, SparkReader)
    if reference.embedding_file is not None:
        kind = NumpyReader
    elif reference.table is not None and kind is ParquetReader:  # the format of a path that is not given
        kind = SparkReader
    return kind(side, reference, target)
