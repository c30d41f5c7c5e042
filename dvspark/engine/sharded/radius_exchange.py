"""Exchange of `radius` methods: blocks count the neighbors of a point, the totals go back, and blocks add values up.

All functions take and yield plain iterators of Arrow batches, as in `dvspark.engine.tasks`. Two numbers travel for each
validation row and block.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from dvspark.engine.index.train_blocks import BlocksReference, block_numbers, open_block
from dvspark.engine.sharded.block_sums import require_all, sum_batch
from dvspark.engine.sharded.exchange import read_chunk
from dvspark.engine.tasks import ChunkWork, with_sample
from dvspark.errors import ComputeError, Problem
from dvspark.kernels.radius.owner_counts import owner_counts
from dvspark.kernels.ranking.ordered import given
from dvspark.kernels.workspace import Workspace
from dvspark.methods.kinds.private import PrivateMethod
from dvspark.methods.kinds.radius import RadiusMethod
from dvspark.schemas import COUNTS, Int64s, TrainArrays
from dvspark.schemas.arrow import arrow_schema

COUNT_TYPES = arrow_schema(COUNTS)

# A Python worker runs many tasks, one after the other.
_workspace = Workspace()


def count_batches(
    batches: Iterator[pa.RecordBatch], reference: BlocksReference, folder: Path, chunk_ids: list[int], work: ChunkWork
) -> Iterator[pa.RecordBatch]:
    """Yield, for each block whose number is in the batches, the `COUNTS` of every chunk."""
    options, method = work.options.ranking_options(work.parameters, reference.n_train), RadiusMethod.of(work.method)
    parameters = method.own(work.parameters)
    told_of = method.counts if _most_of_owner(work) is None else PrivateMethod.of(work.method).counted
    for number, train, first_row in _blocks(batches, reference, work):
        for chunk_id in chunk_ids:
            chunk = read_chunk(folder, chunk_id)
            counts = told_of(train, chunk, options, parameters, _workspace, first_row)
            told = {"chunk_id": chunk_id, "block": number, "counts": counts.tobytes()}
            yield pa.RecordBatch.from_pylist([told], COUNT_TYPES)


def chunk_counts(
    told: pa.Table, reference: BlocksReference, n_points: dict[int, int], work: ChunkWork
) -> dict[int, Int64s]:
    """Return how many neighbors each point of each chunk has, (n_validation, 2) int64, from all blocks' `COUNTS`.

    Raises: ComputeError if a block is missing or there twice, or has counted for other points.
    """
    rows = sorted(told.to_pylist(), key=lambda row: (row["chunk_id"], row["block"]))
    found = {}
    for chunk_id, expected in n_points.items():
        of_chunk = [row for row in rows if row["chunk_id"] == chunk_id]
        require_all([row["block"] for row in of_chunk], reference, f"chunk {chunk_id}")
        if (most := _most_of_owner(work)) is not None:
            found_rows = [np.frombuffer(row["counts"], np.int64).reshape(-1, 3) for row in of_chunk]
            found[chunk_id] = owner_counts(found_rows, expected, most)
            continue
        counts = [np.frombuffer(row["counts"], np.int64).reshape(-1, 2) for row in of_chunk]
        if {len(of_block) for of_block in counts} != {expected}:
            where, got = f"chunk {chunk_id}", f"{sorted({len(of_block) for of_block in counts})}"
            raise ComputeError(Problem(where, f"counts of {expected} validation rows", got, "run it again"))
        found[chunk_id] = np.sum(counts, axis=0)
    return found


def sum_batches(
    batches: Iterator[pa.RecordBatch], reference: BlocksReference, folder: Path, chunk_ids: list[int], work: ChunkWork
) -> Iterator[pa.RecordBatch]:
    """Yield, for each block whose number is in the batches, the `BLOCK_SUMS` of every chunk, whose file has counts."""
    options, method = work.options.ranking_options(work.parameters, reference.n_train), RadiusMethod.of(work.method)
    parameters = method.own(work.parameters)
    for number, train, first_row in _blocks(batches, reference, work):
        for chunk_id in chunk_ids:
            chunk = read_chunk(folder, chunk_id)
            partial = method.partial(train, chunk, options, parameters, _workspace, first_row)
            yield sum_batch(chunk_id, number, partial, [])


def _most_of_owner(work: ChunkWork) -> int | None:
    """Return with how many rows an owner may count at a point, and then blocks tell the rows; None for any number."""
    if not work.method.is_private:
        return None
    method = PrivateMethod.of(work.method)
    return method.most_of_owner(method.own(work.parameters))


def _blocks(
    batches: Iterator[pa.RecordBatch], reference: BlocksReference, work: ChunkWork
) -> Iterator[tuple[int, TrainArrays, int]]:
    """Yield (number, training rows, place of the first row) of each block whose number is in the batches."""
    for number in block_numbers(batches):
        block = open_block(reference, number)
        known, here = reference.train_keys(), slice(block.first_row, block.first_row + block.train.n_train)
        train = block.train
        if _most_of_owner(work) is not None:
            owners = given(known.columns.owners, "owners")[here]
            train = dataclasses.replace(train, columns=dataclasses.replace(train.columns, owners=owners))
        ids = known.keys["id"].slice(block.first_row, block.train.n_train)
        yield number, with_sample(train, ids, work), block.first_row
