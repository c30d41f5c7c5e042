"""Blocks of a tiny training table on disk, without Spark, and the same rows as one index."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from frames import Data, Side, draw_data

from dvspark.engine.index.block_writing import combine_blocks, finish_blocks, seal_blocks, write_blocks
from dvspark.engine.index.index_writing import IndexWriter
from dvspark.engine.index.train_blocks import BlocksReference
from dvspark.engine.index.train_index import TrainIndex, TrainKeys, open_index
from dvspark.engine.tasks import pack_rows, unpack_row
from dvspark.schemas import EXACT

TILE, N_TRAIN, N_VALIDATION, K = 8, 61, 21, 2


def planted_rows(**kinds: Any) -> Data:
    data = draw_data(N_TRAIN, N_VALIDATION, seed=61, **kinds)
    train = data.train.take(sorted(range(N_TRAIN), key=lambda row: data.train.ids[row]))
    # One row all over the table: guests that stand at one place, and a first copy with copies in two blocks.
    train.x[[1, 9, 17, 33, 60]] = train.x[1]
    train.x[[25, 41, 42]] = train.x[25]
    train.x[[5, 50]] = 0.5
    train.x[3, 0], train.x[59] = 0.0, train.x[3]
    train.x[59, 0] = -0.0
    return replace(data, train=train)


def batch_of(side: Side, rows: slice = slice(None)) -> pa.RecordBatch:
    some = side.take(rows)
    x = pa.array(list(some.x), pa.list_(pa.from_numpy_dtype(some.x.dtype)))
    return pa.table({"id": some.ids, "embedding": x, "label": some.labels}).combine_chunks().to_batches()[0]


def index_of(directory: Path, train: Side, metric: str) -> TrainIndex:
    dtype, (n_train, n_features) = str(train.x.dtype), train.x.shape
    writer = IndexWriter(directory, n_train, n_features, dtype)
    for packed in pack_rows(iter([batch_of(train)]), dtype):
        for row in packed.to_pylist():
            writer.append(*unpack_row(row["n_rows"], row["x"], row["keys"], dtype))
    writer.finish(metric)
    return open_index(directory)


def reference_of(directory: Path, train: Side, metric: str, block_rows: int) -> BlocksReference:
    directory.mkdir()
    keys = pa.Table.from_batches([batch_of(train)]).drop_columns(["embedding"])
    dtype, (n_train, n_features) = str(train.x.dtype), train.x.shape
    TrainKeys.of(keys, dtype).write(directory)
    return BlocksReference(str(directory), n_train, n_features, 0, metric, dtype, block_rows)


def block_batches(train: Side, reference: BlocksReference, block: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a block in batches, one of them empty."""
    first, end = reference.first_row(block), reference.first_row(block + 1)
    cut = (first + end) // 2
    for rows in (slice(first, cut), slice(cut, cut), slice(cut, end)):
        batch = batch_of(train, rows) if rows.start < rows.stop else batch_of(train, slice(1)).slice(0, 0)
        yield batch.append_column("block", pa.array([block] * len(batch), pa.int32()))


def built_blocks(directory: Path, train: Side, metric: str, block_rows: int, index: str = EXACT) -> BlocksReference:
    reference = replace(reference_of(directory, train, metric, block_rows), index=index)
    for block in range(reference.n_blocks):
        written = list(write_blocks(block_batches(train, reference, block), reference))
        assert [row["block"] for batch in written for row in batch.to_pylist()] == [block]
        (directory / written[0]["folder"][0].as_py()).rename(reference.folder(block))
    combine_blocks(reference)
    finished = finish_blocks(iter([block_column(reference)]), reference)
    return seal_blocks(reference, sum(batch["n_bytes"][0].as_py() for batch in finished))


def block_column(reference: BlocksReference) -> pa.RecordBatch:
    return pa.record_batch({"block": list(range(reference.n_blocks))})
