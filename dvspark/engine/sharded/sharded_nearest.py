"""The sharded plan for `nearest` methods: blocks report their nearest rows, and add up values where the rows are."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from dvspark.engine.chunks import pieces
from dvspark.engine.index.train_blocks import BlocksReference
from dvspark.engine.replicated.chunk_frames import spark_session_of, table_of_chunks
from dvspark.engine.replicated.replicated import one_value_a_task
from dvspark.engine.sharded import nearest_exchange
from dvspark.engine.sharded.block_sums import chunk_sums
from dvspark.engine.sharded.nearest_exchange import NearOf
from dvspark.engine.sharded.sharded_blocks import block_numbers_of, chunk_files
from dvspark.engine.tasks import ChunkWork
from dvspark.kernels.nearest.nearest import NearestRows, NearRows, near_rows
from dvspark.kernels.ranking.ranking import RankingOptions
from dvspark.kernels.workspace import Workspace
from dvspark.methods.kinds.radius import SAMPLE_NEIGHBORS
from dvspark.schemas import BLOCK_SUMS, NEAR_PARTS, NEAR_VALUED, ChunkArrays, Float64s, Int64s, Partial, TrainBlock
from dvspark.schemas.reviewing import NEAR_POINTS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from dvspark.engine.local_chunks import Chunked
    from dvspark.local.rows import Frame

Batches = Iterator[pa.RecordBatch]
PART_ORDER = [(name, "ascending") for name in ("chunk_id", "point", "block")]


def by_nearest(
    spark: SparkSession, sizes: dict[int, int], reference: BlocksReference, folder: Path, *, work: ChunkWork
) -> dict[int, Partial]:
    """Return the partial of each chunk: one task for each chunk values its points, then blocks add up the values."""

    def value(batches: Batches) -> Batches:
        return nearest_exchange.value_batches(batches, reference, folder, work)

    near_of = nearest_exchange.method_near(reference, work)
    parts = _near_parts(spark, [*sizes], reference, folder, near_of)
    parts = one_value_a_task(parts, "chunk_id", [*sizes]).sortWithinPartitions("chunk_id", "point", "block")
    valued = parts.mapInArrow(value, NEAR_VALUED.ddl()).toArrow().to_pylist()

    def add_up(batches: Batches) -> Batches:
        return nearest_exchange.sum_batches(batches, reference, folder, valued, row_bounds=work.options.row_bounds)

    sums = block_numbers_of(spark, reference).mapInArrow(add_up, BLOCK_SUMS.ddl()).toArrow()
    return {chunk: of_chunk for chunk, (of_chunk, _) in chunk_sums(sums, reference, sizes).items()}


def near_points(chunks: Chunked, sizes: dict[int, int], reference: BlocksReference, work: ChunkWork) -> pa.Table:
    """Return `NEAR_POINTS` of training rows in chunks, some chunks at a time; 12 bytes a near row reach the driver."""
    spark, near_of, found = spark_session_of(chunks), nearest_exchange.method_near(reference, work), []
    for wave in pieces(list(sizes)):
        rows = table_of_chunks(chunks, wave)
        with chunk_files(rows, reference, self_validation=True) as folder:

            def merge(batches: Batches, folder: Path = folder) -> Batches:
                return nearest_exchange.point_batches(batches, reference, folder, work)

            parts = _near_parts(spark, wave, reference, folder, near_of)
            parts = one_value_a_task(parts, "chunk_id", wave).sortWithinPartitions("chunk_id", "point", "block")
            found.append(parts.mapInArrow(merge, NEAR_POINTS.ddl()).toArrow())
    return pa.concat_tables(found)


def tenth_distances(
    validation_rows: Frame,
    sample: pa.Table,
    reference: BlocksReference,
    options: RankingOptions,
    *,
    self_validation: bool,
) -> Float64s:
    """Return each sampled validation row's distance to its tenth nearest training row, float64 (n_points,)."""

    def near_of(block: TrainBlock, chunk: ChunkArrays) -> Iterator[NearRows]:
        return near_rows(block.train, chunk, options, SAMPLE_NEIGHBORS, Workspace(), block.first_row)

    given = (near_of, SAMPLE_NEIGHBORS, options.metric)
    found = _nearest_of(spark_session_of(validation_rows), sample, reference, *given, self_validation=self_validation)
    return np.array([near.farthest for near in found])


def nearest_rows(
    validation_rows: Frame, sample: pa.Table, reference: BlocksReference, work: ChunkWork, *, exact: bool
) -> list[Int64s]:
    """Return for each validation row of the sample the training rows that decide its values.

    ``exact``: search all rows, even if the run has an approximate index.
    """
    near_of, alone = nearest_exchange.method_near(reference, work), work.options.self_validation

    def exactly(block: TrainBlock, chunk: ChunkArrays) -> Iterator[NearRows]:
        return near_of(dataclasses.replace(block, train=dataclasses.replace(block.train, search=None)), chunk)

    m = work.method.n_asked(reference.n_train - alone, work.parameters)
    asked = exactly if exact else near_of
    found = _nearest_of(
        spark_session_of(validation_rows), sample, reference, asked, m, work.options.metric, self_validation=alone
    )
    return [near.rows for near in found]


def _nearest_of(
    spark: SparkSession,
    sample: pa.Table,
    reference: BlocksReference,
    near_of: NearOf,
    m: int,
    metric: str,
    *,
    self_validation: bool,
) -> list[NearestRows]:
    """Return the m nearest rows of each validation row of the sample."""
    rows = sample.append_column("chunk_id", pa.array(np.zeros(len(sample), np.int32)))
    with chunk_files(rows, reference, self_validation=self_validation) as folder:
        told = _near_parts(spark, [0], reference, folder, near_of).toArrow().sort_by(PART_ORDER).to_pylist()
    merged = nearest_exchange.merged_points(iter(told), reference, m, metric)
    return [near for _, near in merged]


def _near_parts(
    spark: SparkSession, chunk_ids: list[int], reference: BlocksReference, folder: Path, near_of: NearOf
) -> DataFrame:
    def tell(batches: Batches) -> Batches:
        return nearest_exchange.near_batches(batches, reference, folder, chunk_ids, near_of)

    return block_numbers_of(spark, reference).mapInArrow(tell, NEAR_PARTS.ddl())
