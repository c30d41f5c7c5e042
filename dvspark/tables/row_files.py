"""Row files: Parquet files that tasks read by Arrow itself, past Java, which takes rows apart number by number."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from dvspark import worker
from dvspark.tables.listing import is_hidden
from dvspark.tables.types import arrow_type, spark_type
from dvspark.tables.unreadable import unreadable_file
from dvspark.worker import Batches, OverBatches

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Row groups that one task reads, by their bytes in memory, of all columns.
PART_BYTES = 32 * 2**20
# A batch of this size stays in cache while it is decoded, and is looked at as a whole.
BATCH_BYTES = 4 * 2**20
# A column's bytes are read from its file in pieces of this size, not row group by row group.
BUFFER_BYTES = 2**20
# Footers are small, and may be far away: most of the time of each is waiting.
FOOTER_THREADS = 16


@dataclass(frozen=True)
class Part:
    """What one task reads: some row groups of a file, ``n_rows`` in batches of ``batch_rows``."""

    path: str
    row_groups: tuple[int, ...]
    n_rows: int
    batch_rows: int


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
        """Return what ``function`` makes of batches with these columns, of which a task reads one part."""

        def read_and_apply(numbers: Batches) -> Batches:
            for batch in numbers:
                for number in batch.column("id").to_pylist():
                    yield from function(self.read(self.parts[number], columns))

        return worker.map_batches(spark.range(0, len(self.parts), 1, len(self.parts)), read_and_apply, ["id"], ddl)

    def read(self, part: Part, columns: list[str]) -> Batches:
        """Yield the rows of a part as Spark would hand them to Python. Memory: a batch, and a page of each column.

        Raises: InputError with the name of a file that cannot be read.
        """
        names = [self.names[column] for column in columns]
        schema = pa.schema([(column, arrow_type(self.types[column])) for column in columns])
        try:
            with pq.ParquetFile(part.path, buffer_size=BUFFER_BYTES, pre_buffer=False) as file:
                groups, n_rows = list(part.row_groups), part.batch_rows
                for batch in file.iter_batches(n_rows, row_groups=groups, columns=names, use_threads=False):
                    given = [batch.column(name) for name in names]
                    # Not safe: Spark rounds integers that a double does not hold, too.
                    arrays = [one.cast(kind, safe=False) for one, kind in zip(given, schema.types, strict=True)]
                    yield pa.RecordBatch.from_arrays(arrays, schema=schema)
        except (OSError, pa.ArrowException) as error:
            raise unreadable_file(f"{part.path}: {error}") from error


def row_files(frame: DataFrame, names: dict[str, str], types: dict[str, str]) -> RowFiles | None:
    """Return the files whose rows ``frame`` is, all of them, or None where Spark has to read it.

    Arrow reads files of this host's file system, or one that all hosts mount, with every column in every file, of the
    type that Spark sees. Cost: the files' footers.
    """
    if "connect" in type(frame).__module__:  # the server may see other files under the same paths
        return None
    # Spark lists `_metadata`, too, which holds no rows of its own.
    listed = [uri for uri in frame.inputFiles() if not is_hidden(uri.rsplit("/", 1)[-1])]
    paths = [_local_path(uri) for uri in listed]
    given = {field.name: field.dataType.simpleString() for field in frame.schema.fields}
    stored = {name: given[name] for name in names.values()}
    if not paths or None in paths:
        return None
    with ThreadPoolExecutor(FOOTER_THREADS) as pool:
        found = list(pool.map(partial(parts_of, stored=stored), sorted(filter(None, paths))))
    known = [parts for parts in found if parts is not None]
    parts = tuple(part for parts in known for part in parts)
    return RowFiles(parts, names, types) if parts and len(known) == len(paths) else None


def _local_path(uri: str) -> str | None:
    """Return the path of a file that Spark names, None if it is on another file system or not seen here."""
    split = urlsplit(uri)
    path = unquote(split.path)
    return path if split.scheme == "file" and not split.netloc and Path(path).is_file() else None


def parts_of(path: str, stored: Mapping[str, str]) -> list[Part] | None:
    """Return the parts of a file, None where one of the columns ``stored`` (name to Spark's type) is not in it so."""
    try:
        footer = pq.read_metadata(path)
        schema = footer.schema.to_arrow_schema()
    except (OSError, pa.ArrowException):
        return None  # Spark says what is wrong with it, or reads it
    for name, kind in stored.items():
        if schema.names.count(name) != 1 or _type(schema.field(name)) != kind:
            return None
    return _cut(path, [footer.row_group(number) for number in range(footer.num_row_groups)])


def _type(field: pa.Field) -> str | None:
    # Doubles of decimals are rounded by Spark in its own way.
    return None if pa.types.is_decimal(field.type) else spark_type(field.type)


def _cut(path: str, groups: list[Any]) -> list[Part]:
    """Return row groups in parts of about PART_BYTES, in their order, without those that have no rows."""
    held = [(number, group.num_rows) for number, group in enumerate(groups) if group.num_rows]
    if not held:
        return []
    ends = list(accumulate(_decoded_bytes(groups[number]) for number, _ in held))
    batch_rows = max(1, BATCH_BYTES * sum(n_rows for _, n_rows in held) // ends[-1])
    parts = []
    for _, members in groupby(zip(held, ends, strict=True), key=lambda member: (member[1] - 1) // PART_BYTES):
        numbers, n_rows = zip(*(group for group, _ in members), strict=True)
        parts.append(Part(path, numbers, sum(n_rows), batch_rows))
    return parts


def _decoded_bytes(group: Any) -> int:
    """Return about how large a row group is in memory: repeated numbers take next to nothing in a file."""
    columns = [group.column(number) for number in range(group.num_columns)]
    return sum(max(column.total_uncompressed_size, 4 * column.num_values) for column in columns)
