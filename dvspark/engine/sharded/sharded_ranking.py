"""The sharded plan for `ranking` methods, sorted or binned: all keys meet where a chunk is valued, or only bins do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dvspark.engine.index.train_blocks import BlocksReference
from dvspark.engine.reduce import TOTAL_TYPES, assemble, reduce_block
from dvspark.engine.replicated.replicated import one_value_a_task
from dvspark.engine.sharded import binned_exchange
from dvspark.engine.sharded.block_sums import chunk_sums
from dvspark.engine.sharded.exchange import (
    Halves,
    PartsOf,
    keep_points,
    merge_chunks,
    method_halves,
    part_batches,
)
from dvspark.engine.sharded.sharded_blocks import block_numbers_of
from dvspark.engine.tasks import ChunkWork
from dvspark.kernels.binning.binned import near_rounds
from dvspark.schemas import BINNED_PARTS, BLOCK_SUMS, PARTIALS, PARTS, POINT_VALUES, Int64s, Partial, Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Batches = Iterator[pa.RecordBatch]


def by_all_keys(
    spark: SparkSession,
    sizes: dict[int, int],
    reference: BlocksReference,
    folder: Path,
    *,
    halves: Halves,
    n_values: int,
) -> dict[int, Partial]:
    """Return the partial of each chunk that has a file in ``folder``; one task values and adds up a chunk's points."""

    def merge(batches: Batches) -> Batches:
        return merge_chunks(batches, reference, folder, halves.partial_of)

    found = where_parts_meet(spark, [*sizes], reference, folder, halves.parts_of, merge, PARTIALS).toArrow()
    return {chunk: _of_chunk(found, chunk, n_rows, n_values) for chunk, n_rows in sizes.items()}


def where_parts_meet(
    spark: SparkSession,
    chunk_ids: list[int],
    reference: BlocksReference,
    folder: Path,
    parts_of: PartsOf,
    merge: Callable[[Batches], Batches],
    made: Table,
) -> DataFrame:
    """Return what ``merge`` makes of the `PARTS` of chunks, in the form ``made``; those of a chunk meet in one task."""

    def tell(batches: Batches) -> Batches:
        return part_batches(batches, reference, folder, chunk_ids, parts_of)

    return (
        block_numbers_of(spark, reference)
        .mapInArrow(tell, PARTS.ddl())
        .transform(lambda parts: one_value_a_task(parts, "chunk_id", chunk_ids))
        .sortWithinPartitions("chunk_id", "point", "block")
        .mapInArrow(merge, made.ddl())
    )


def by_bins(
    spark: SparkSession,
    sizes: dict[int, int],
    reference: BlocksReference,
    folder: Path,
    *,
    work: ChunkWork,
    n_tasks: int,
) -> dict[int, Partial]:
    """Return the partial of each chunk by rounds of the binned exchange; the last points go by the exchange of keys.

    As in `kernels.binning.binned`, a point that bins do not serve with one number of near rows comes again with more
    near rows. ``n_tasks`` run at once.
    """
    options = work.options.ranking_options(work.parameters, reference.n_train)
    left = {chunk: np.arange(n_rows) for chunk, n_rows in sizes.items()}
    found: dict[int, Partial] = {}
    for n_near in near_rounds(reference.n_train, options):
        if left:
            now = binned_exchange.BinnedRound(reference, work, folder, left, n_near)
            asked = {chunk: len(points) for chunk, points in left.items()}
            sums = chunk_sums(_binned_sums(spark, now, n_tasks).toArrow(), reference, asked)
            for chunk, (of_round, _) in sums.items():
                found[chunk] = found[chunk].plus(of_round) if chunk in found else of_round
            left = {chunk: failed for chunk, (_, failed) in sums.items() if len(failed)}
    if left:
        keep_points(folder, left)
        last = {chunk: len(points) for chunk, points in left.items()}
        halves, n_values = method_halves(reference, work), reference.n_train
        for chunk, rest in by_all_keys(spark, last, reference, folder, halves=halves, n_values=n_values).items():
            placed = rest.placed(left[chunk])
            found[chunk] = found[chunk].plus(placed) if chunk in found else placed
    return found


def _binned_sums(spark: SparkSession, now: binned_exchange.BinnedRound, n_tasks: int) -> DataFrame:
    """Return the `BLOCK_SUMS` of a round: parts go to tasks that value points, values go back to the blocks."""
    blocks = [*range(now.reference.n_blocks)]
    return (
        block_numbers_of(spark, now.reference)
        .mapInArrow(lambda batches: binned_exchange.part_batches(batches, now), BINNED_PARTS.ddl())
        .transform(lambda parts: _by_points(parts, now.points, n_tasks))
        .sortWithinPartitions("chunk_id", "point", "block")
        .mapInArrow(lambda batches: binned_exchange.value_batches(batches, now), POINT_VALUES.ddl())
        .transform(lambda values: one_value_a_task(values, "block", blocks))
        .sortWithinPartitions("block", "chunk_id", "point")
        .mapInArrow(lambda batches: binned_exchange.sum_batches(batches, now), BLOCK_SUMS.ddl())
    )


def _by_points(parts: DataFrame, points: dict[int, Int64s], n_tasks: int) -> DataFrame:
    """Return the parts of all blocks, those of a point in one task: as many tasks as run at once, a chunk's own each.

    A job of many training rows has one chunk, for whose parts all but one core would wait (docs/decisions/0054).
    """
    n_each = max(1, min(n_tasks // len(points), max(map(len, points.values()))))
    first = ", ".join(f"{chunk}, {place * n_each}" for place, chunk in enumerate(points))
    placed = parts.selectExpr("*", f"map({first})[chunk_id] + point % {n_each} AS meeting")
    return one_value_a_task(placed, "meeting", [*range(len(points) * n_each)]).drop("meeting")


def _of_chunk(partials: pa.Table, chunk: int, n_rows: int, n_values: int) -> Partial:
    """Return the partial of one chunk, checked."""
    rows = partials.filter(pc.equal(partials["chunk_id"], chunk))
    totals = [reduce_block(rows.slice(place, 1)) for place in range(len(rows))]
    return assemble(pa.concat_tables([TOTAL_TYPES.empty_table(), *totals]), n_values, {chunk: n_rows})
