"""Row files: Parquet files that tasks read by Arrow itself, because Java would take rows apart number by number."""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dvspark.errors import InputError, Problem
from dvspark.schemas.arrow import arrow_type
from dvspark.spark import worker
from dvspark.spark.worker import Batches, OverBatches
from dvspark.tables.sources.listing import is_hidden
from dvspark.tables.sources.parts import BATCH_BYTES, ParquetPart, Part
from dvspark.tables.sources.types import spark_type
from dvspark.tables.sources.unreadable import unreadable_file

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# A task reads row groups of about so many bytes in memory, in the columns that are used.
PART_BYTES = 32 * 2**20
# Most numbers in a row, in the mean of a row group. More come from a file built to explode, maybe of only a kilobyte.
MOST_NUMBERS = 2**22
# What the words of one batch may take. If 100,000 rows repeat a word of 50 MB, no memory holds them.
MOST_WORD_BYTES = 2**28
# Footers are small and may be far away, so reading one is mostly waiting.
FOOTER_THREADS = 16


@dataclass(frozen=True)
class RowFiles:
    """The files of a table's rows; ``names`` and ``types`` (Spark DDL) are those of its columns, by role."""

    parts: tuple[Part, ...]
    names: dict[str, str]
    types: dict[str, str]

    @property
    def n_rows(self) -> int:
        """How many rows the files have."""
        return sum(part.n_rows for part in self.parts)

    def map_batches(self, spark: SparkSession, function: OverBatches, columns: list[str], ddl: str) -> DataFrame:
        """Return what ``function`` yields for batches with these columns; a task reads one part."""

        def read_and_apply(numbers: Batches) -> Batches:
            for batch in numbers:
                for number in batch.column("id").to_pylist():
                    yield from function(self.read(self.parts[number], columns))

        numbers = spark.range(0, len(self.parts), 1, max(1, len(self.parts)))
        return worker.map_batches(numbers, read_and_apply, ["id"], ddl)

    def read(self, part: Part, columns: list[str]) -> Batches:
        """Yield the rows of a part in the form in which Spark would give them to Python.

        Memory: that of `Part.stored`.
        Raises: InputError with the name of a file that cannot be read.
        """
        names, told = [self.names[column] for column in columns], dict(part.told)
        stored = [name for name in names if name not in told]
        schema = pa.schema([(column, arrow_type(self.types[column])) for column in columns])
        try:
            for batch in part.stored(stored):
                given = [
                    pa.array([told[name]]).take(pa.array(np.zeros(len(batch), np.int8)))
                    if name in told
                    else _unpacked(batch.column(name), part.path)
                    for name in names
                ]
                # An unsafe cast, as in Spark, which also rounds integers that a double cannot hold.
                arrays = [one.cast(kind, safe=False) for one, kind in zip(given, schema.types, strict=True)]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise unreadable_file(f"{part.path}: {error}") from error


def _unpacked(column: pa.Array, path: str) -> pa.Array:
    """Return a column with each word in its row. Raises: InputError if the words of the batch are too long."""
    if not pa.types.is_dictionary(column.type):
        return column
    if pa.types.is_primitive(column.type.value_type):
        return column.dictionary_decode()
    lengths = pc.binary_length(column.dictionary).take(column.indices)
    n_bytes = pc.sum(lengths.cast(pa.int64())).as_py() or 0
    if n_bytes > MOST_WORD_BYTES:
        got, hint = f"{n_bytes} bytes in {len(column)} rows of {path}", "give rows short ids and labels"
        raise InputError(Problem("a table's files", f"words of at most {MOST_WORD_BYTES} bytes a batch", got, hint))
    return column.dictionary_decode()


def row_files(frame: DataFrame, names: dict[str, str], types: dict[str, str]) -> RowFiles | None:
    """Return the files that hold exactly the rows of ``frame``, or None if Spark has to read them.

    Arrow can read files that are on this host's file system, or on one that all hosts mount, if every file has every
    column in the type that Spark sees. Cost: the files' footers.
    """
    if "connect" in type(frame).__module__:  # the server may see other files under the same paths
        return None
    # Spark lists `_metadata`, too, which holds no rows of its own.
    listed = [uri for uri in frame.inputFiles() if not is_hidden(uri.rsplit("/", 1)[-1])]
    paths = [_local_path(uri) for uri in listed]
    given = {field.name: field.dataType.simpleString() for field in frame.schema.fields}
    stored = {name: given[name] for name in names.values()}
    if not paths or None in paths or any("." in name for name in stored):  # Arrow reads a dot as a step into a struct
        return None
    with ThreadPoolExecutor(FOOTER_THREADS) as pool:
        found = list(pool.map(partial(parts_of, stored=stored), sorted(filter(None, paths))))
    known = [parts for parts in found if parts is not None]
    parts = tuple(part for parts in known for part in parts)
    return RowFiles(parts, names, types) if parts and len(known) == len(paths) else None


def _local_path(uri: str) -> str | None:
    """Return the path of a file that Spark names; None if it is on another file system or not seen here."""
    split = urlsplit(uri)
    path = unquote(split.path)
    return path if split.scheme == "file" and not split.netloc and Path(path).is_file() else None


def local_path(place: str) -> str | None:
    """Return the path of a file from a path or an unescaped URI; None if the file is not of this machine."""
    path = re.sub(r"^file:/*", "/", place)
    return path if path.startswith("/") and Path(path).is_file() else None


def parts_of(path: str, stored: Mapping[str, str]) -> list[ParquetPart] | None:
    """Return the parts of a file; None if a column in ``stored`` (name to Spark's type) is missing or differs."""
    try:
        footer = pq.read_metadata(path)
        schema = footer.schema.to_arrow_schema()
    except (OSError, pa.ArrowException):
        return None  # Spark will read it, or say what is wrong
    for name, kind in stored.items():
        if schema.names.count(name) != 1 or _type(schema.field(name)) != kind:
            return None
    return _cut(path, footer, list(stored))


def parts_with(path: str, names: list[str]) -> list[ParquetPart]:
    """Return the parts of a file that has these columns, of whatever types. Raises: InputError if it cannot be read."""
    try:
        return _cut(path, pq.read_metadata(path), names)
    except (OSError, pa.ArrowException) as error:
        raise unreadable_file(f"{path}: {error}") from error


def _type(field: pa.Field) -> str | None:
    # Spark has its own way of rounding decimals to doubles.
    kind = spark_type(field.type)
    return None if kind is None or kind.startswith("decimal") else kind


def _cut(path: str, footer: Any, names: list[str]) -> list[ParquetPart]:
    """Return row groups in parts of about PART_BYTES, in order, without row groups that have no rows.

    Raises: InputError for rows with more numbers than any embedding has.
    """
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    held = [(number, group.num_rows) for number, group in enumerate(groups) if group.num_rows]
    if not held:
        return []
    leaves = [n for n in range(footer.num_columns) if footer.schema.column(n).path.split(".", 1)[0] in names]
    for number, n_rows in held:
        most = max(groups[number].column(leaf).num_values for leaf in leaves)
        if most > MOST_NUMBERS * n_rows:
            got, hint = f"{most} in {n_rows} rows of {path}", "leave such rows out"
            raise InputError(Problem("a table's files", f"at most {MOST_NUMBERS} numbers a row", got, hint))
    ends = list(accumulate(_decoded_bytes(groups[number], leaves) for number, _ in held))
    batch_rows = max(1, BATCH_BYTES * sum(n_rows for _, n_rows in held) // ends[-1])
    parts = []
    for _, members in groupby(zip(held, ends, strict=True), key=lambda member: (member[1] - 1) // PART_BYTES):
        numbers, n_rows = zip(*(group for group, _ in members), strict=True)
        parts.append(ParquetPart(path, sum(n_rows), batch_rows, row_groups=numbers))
    return parts


def _decoded_bytes(group: Any, leaves: list[int]) -> int:
    """Return about how many bytes columns of a row group take in memory.

    In the file, repeated numbers take almost none.
    """
    columns = [group.column(number) for number in leaves]
    return sum(max(column.total_uncompressed_size, 4 * column.num_values) for column in columns)
