"""The sharded plan for `radius` methods: blocks count neighbors, and add up values where the rows are."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from dvspark.engine.chunks import pieces, rows_of_chunk
from dvspark.engine.index.train_blocks import BlocksReference
from dvspark.engine.replicated.chunk_frames import spark_session_of, table_of_chunks
from dvspark.engine.sharded import radius_exchange
from dvspark.engine.sharded.block_sums import chunk_sums
from dvspark.engine.sharded.exchange import read_chunk, write_chunk
from dvspark.engine.sharded.sharded_blocks import block_numbers_of, chunk_files
from dvspark.engine.tasks import ChunkWork, counts_table
from dvspark.schemas import BLOCK_SUMS, COUNTS, Int64s, Partial

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from dvspark.engine.local_chunks import Chunked

Batches = Iterator[pa.RecordBatch]


def neighbor_counts(chunks: Chunked, sizes: dict[int, int], reference: BlocksReference, work: ChunkWork) -> pa.Table:
    """Return `NEIGHBOR_COUNTS` of all validation rows, for methods of the kind `radius`, some chunks at a time."""
    found = []
    for wave in pieces(list(sizes)):
        rows = table_of_chunks(chunks, wave)
        with chunk_files(rows, reference, self_validation=work.options.self_validation) as folder:
            n_points = {chunk: sizes[chunk] for chunk in wave}
            for chunk, counts in _counts(spark_session_of(chunks), n_points, reference, folder, work).items():
                found.append(counts_table(rows_of_chunk(rows, chunk)["id"], counts))
    return pa.concat_tables(found)


def by_counts(
    spark: SparkSession, sizes: dict[int, int], reference: BlocksReference, folder: Path, *, work: ChunkWork
) -> dict[int, Partial]:
    """Return the partial of each chunk. Neighbors are counted, unless the chunk's file has counts, and then valued."""
    if read_chunk(folder, next(iter(sizes))).counts is None:
        for chunk, counts in _counts(spark, sizes, reference, folder, work).items():
            write_chunk(folder, chunk, dataclasses.replace(read_chunk(folder, chunk), counts=counts))

    def add_up(batches: Batches) -> Batches:
        return radius_exchange.sum_batches(batches, reference, folder, [*sizes], work)

    sums = block_numbers_of(spark, reference).mapInArrow(add_up, BLOCK_SUMS.ddl()).toArrow()
    return {chunk: of_chunk for chunk, (of_chunk, _) in chunk_sums(sums, reference, sizes).items()}


def _counts(
    spark: SparkSession, sizes: dict[int, int], reference: BlocksReference, folder: Path, work: ChunkWork
) -> dict[int, Int64s]:
    def count(batches: Batches) -> Batches:
        return radius_exchange.count_batches(batches, reference, folder, [*sizes], work)

    told = block_numbers_of(spark, reference).mapInArrow(count, COUNTS.ddl()).toArrow()
    return radius_exchange.chunk_counts(told, reference, sizes, work)
