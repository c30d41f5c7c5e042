"""Packing: the training rows become an index, on local storage or on storage that all hosts see."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from dvspark.engine.index.index_writing import Gather, IndexWriter, checked_keys
from dvspark.engine.index.train_index import IndexReference
from dvspark.engine.index.train_pieces import PackedRow, read_pieces, write_pieces
from dvspark.engine.tasks import pack_keys, pack_rows, unpack_row
from dvspark.schemas import EXACT, PACKED_KEYS, PACKED_ROWS, PIECES
from dvspark.schemas.columns import from_ipc
from dvspark.schemas.tables import Table
from dvspark.spark import worker
from dvspark.spark.session import is_same_host
from dvspark.spark.worker import OverBatches

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# Embeddings in a partition that streams through the driver, whose heap holds several at once and in several forms. With
# partitions of 50 MB the second job of a session ran out of 2 GB, shared with the executors. Java keeps some 1.6 times
# what was streamed until the session ends (53 MiB, then 284, 441, 607 after 98 MiB each), prefetched or not.
PARTITION_BYTES = 8 * 2**20

# Embeddings in a partition whose task writes a file: no process holds more of it than a batch.
PIECE_BYTES = 64 * 2**20

# Up to so many keys are collected at once, some 60 MB; more stream by. Spark keeps the shuffle files behind a stream
# until the session ends (3 files a task of the sort), those behind a collected table not.
KEYS_AT_ONCE = 1_000_000


def build_index(
    train_rows: DataFrame,
    *,
    n_train: int,
    n_features: int,
    dtype: str,
    metric: str,
    directory: Path,
    shared: bool = False,
    index: str = EXACT,
    keys: pa.Table | None = None,
    gather: Gather | None = None,
    with_rows: bool = False,
) -> IndexReference:
    """Pack train rows (`ROWS` format) into an index, in id order; ``index`` as in `IndexWriter.finish`.

    - In local mode, tasks write the rows to their places. Tasks get the rows from ``gather``, or else from Spark.
      The driver has the ``keys``, or asks Spark for them. ``with_rows``: the rows are in their places already.
    - If all hosts see ``directory`` under the same path (``shared``), the rows travel in order through files beside it.
    - Otherwise the rows stream in order through Spark's driver process, a few partitions of PARTITION_BYTES at a time.
    Memory besides: 40 bytes a row.
    Raises: ComputeError if the rows are not those that were counted, or hosts do not see the directory.
    """
    writer = IndexWriter(directory, n_train, n_features, dtype, with_rows=with_rows)
    if is_same_host(train_rows.sparkSession):
        writer.write_keys(sorted_keys(train_rows, n_train, keys))
        if not with_rows:
            writer.place(gather or partial(gathered, train_rows))
        return writer.finish(metric, index)
    n_bytes = n_train * n_features * np.dtype(dtype).itemsize
    if not shared:
        for row in _packed_rows(train_rows, n_bytes, PARTITION_BYTES, dtype).toLocalIterator(prefetchPartitions=True):
            writer.append(*unpack_row(row["n_rows"], row["x"], row["keys"], dtype))
        return writer.finish(metric, index)
    with tempfile.TemporaryDirectory(prefix="pieces-", dir=directory.parent) as folder:
        for packed in _through_files(_packed_rows(train_rows, n_bytes, PIECE_BYTES, dtype), Path(folder)):
            writer.append(*unpack_row(packed["n_rows"], packed["x"], packed["keys"], dtype))
    return writer.finish(metric, index)


def sorted_keys(train_rows: DataFrame, n_train: int, keys: pa.Table | None = None) -> pa.Table:
    """Return ids, labels and, where known, owners of train rows (`ROWS` format) in id order; ``keys`` if given.

    Raises: ComputeError if the rows are not those that were counted.
    """
    if keys is not None:
        return checked_keys([keys], n_train)
    packed = train_rows.drop("embedding").orderBy("id").mapInArrow(pack_keys, PACKED_KEYS.ddl())
    if n_train <= KEYS_AT_ONCE:
        return checked_keys([from_ipc(keys) for keys in packed.toArrow()["keys"].to_pylist()], n_train)
    return checked_keys([from_ipc(row["keys"]) for row in packed.toLocalIterator(prefetchPartitions=True)], n_train)


def gathered(train_rows: DataFrame, function: OverBatches, columns: list[str], told: Table) -> pa.Table:
    """Return what ``function`` tells, as the table ``told``, of batches with these columns of all rows from Spark."""
    return worker.map_batches(train_rows, function, columns, told.ddl()).toArrow()


def _packed_rows(train_rows: DataFrame, n_bytes: int, partition_bytes: int, dtype: str) -> DataFrame:
    """Return the `PACKED_ROWS` of all rows, which have ``n_bytes``; in id order across and within partitions."""
    ordered = train_rows.repartitionByRange(-(-n_bytes // partition_bytes), "id").sortWithinPartitions("id")
    return ordered.mapInArrow(lambda batches: pack_rows(batches, dtype), PACKED_ROWS.ddl())


def _through_files(packed: DataFrame, folder: Path) -> Iterator[PackedRow]:
    """Yield the rows in order. They travel through files; only names and digests of the files travel through Spark."""
    written = packed.mapInArrow(lambda batches: write_pieces(batches, folder), PIECES.ddl())
    return read_pieces(written.toArrow().to_pylist(), folder)
