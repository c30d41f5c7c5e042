"""Exchange of `nearest` methods: blocks report their nearest rows, one task values a chunk, and blocks add values up.

All functions take and yield plain iterators of Arrow batches, as in `dvspark.engine.tasks`. For each validation row and
block, m rows with key and match travel. Values come back in files beside those of the chunks.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dvspark.engine.index.train_blocks import BlocksReference, block_numbers, open_block
from dvspark.engine.reduce import widest_of
from dvspark.engine.sharded.block_sums import require_all, sum_batch
from dvspark.engine.sharded.exchange import read_chunk
from dvspark.engine.tasks import ChunkWork, near_batch
from dvspark.kernels.nearest.near_values import NearValues
from dvspark.kernels.nearest.nearest import NearestRows, NearRows, merge_nearest
from dvspark.kernels.workspace import Workspace
from dvspark.methods.kinds.nearest import NearestMethod, add_near, match_flags
from dvspark.schemas import NEAR_PARTS, NEAR_VALUED, SCALARS, ChunkArrays, Partial, TrainBlock
from dvspark.schemas.arrow import arrow_schema

# What a block reports about each point of a chunk.
NearOf = Callable[[TrainBlock, ChunkArrays], Iterator[NearRows]]

NEAR_TYPES = arrow_schema(NEAR_PARTS)
VALUED_TYPES = arrow_schema(NEAR_VALUED)

_workspace = Workspace()


def method_near(reference: BlocksReference, work: ChunkWork) -> NearOf:
    """Return the function that gives what a method asks of a block."""
    options = work.options.ranking_options(work.parameters, reference.n_train)
    method, n_players = NearestMethod.of(work.method), reference.n_train - work.options.self_validation
    parameters = method.own(work.parameters)

    def near_of(block: TrainBlock, chunk: ChunkArrays) -> Iterator[NearRows]:
        return method.near(block.train, chunk, options, n_players, parameters, _workspace, block.first_row)

    return near_of


def chunk_of(block: TrainBlock, chunk: ChunkArrays) -> ChunkArrays:
    """Return the chunk with its own training rows, under self-validation, as places in the block."""
    rows = None if chunk.train_rows is None else chunk.train_rows - block.first_row
    return ChunkArrays(chunk.x, chunk.labels, rows)


def near_batches(
    batches: Iterator[pa.RecordBatch], reference: BlocksReference, folder: Path, chunk_ids: list[int], near_of: NearOf
) -> Iterator[pa.RecordBatch]:
    """Yield, for each block whose number is in the batches, the `NEAR_PARTS` of every point of the chunks."""
    for number in block_numbers(batches):
        block = open_block(reference, number)
        for chunk_id in chunk_ids:
            for point, near in enumerate(near_of(block, read_chunk(folder, chunk_id))):
                told = {
                    "chunk_id": chunk_id,
                    "point": point,
                    "block": number,
                    "n_matches": near.n_matches,
                    "rows": near.rows.tobytes(),
                    "keys": near.keys.tobytes(),
                    "matches": np.packbits(near.matches).tobytes(),
                }
                yield pa.RecordBatch.from_pylist([told], NEAR_TYPES)


def merged_points(
    rows: Iterator[dict[str, Any]], reference: BlocksReference, m: int, metric: str
) -> Iterator[tuple[int, NearestRows]]:
    """Yield (chunk_id, the m nearest rows of a point) from `NEAR_PARTS` that are in the order of chunks and points.

    Raises: ComputeError if a block is missing or there twice.
    """
    for (chunk_id, point), found in itertools.groupby(rows, key=lambda row: (row["chunk_id"], row["point"])):
        parts = list(found)
        require_all([part["block"] for part in parts], reference, f"chunk {chunk_id}, point {point}")
        yield chunk_id, merge_nearest([_near_of(part) for part in parts], m, metric)


def value_batches(
    batches: Iterator[pa.RecordBatch], reference: BlocksReference, folder: Path, work: ChunkWork
) -> Iterator[pa.RecordBatch]:
    """Yield the `NEAR_VALUED` of every chunk, from `NEAR_PARTS` that are sorted by (chunk_id, point, block).

    The values of each chunk go to a file in ``folder``. Memory: one batch, and the nearest rows of one chunk.
    """
    n_players = reference.n_train - work.options.self_validation
    method = NearestMethod.of(work.method)
    parameters = method.own(work.parameters)
    m = method.n_asked(n_players, parameters)
    rows = (row for batch in batches for row in batch.to_pylist())
    merged = merged_points(rows, reference, m, work.options.metric)
    for chunk_id, points in itertools.groupby(merged, key=lambda found: found[0]):
        total, found = Partial.zeros(0), []
        error = method.own_error(n_players, parameters)
        for _, near in points:
            utility, empty_utility = method.point_total(near, n_players, parameters)
            total.count(utility, empty_utility, error)
            found.append((near.rows, method.values(near, n_players, parameters)))
        # No other attempt at this chunk has the name; the driver hears of one attempt's only.
        name = f"values-{chunk_id}-{uuid.uuid4().hex}.npz"
        np.savez(
            folder / name,
            starts=np.cumsum([0] + [len(rows) for rows, _ in found]),
            rows=np.concatenate([rows for rows, _ in found]),
            values=np.concatenate([values.values for _, values in found]),
            others=np.array([(values.of_match, values.of_other) for _, values in found]),
        )
        told = {"chunk_id": chunk_id, "file": name, **{name: getattr(total, name) for name in SCALARS}}
        yield pa.RecordBatch.from_pylist([{**told, "widest": total.widest.tobytes()}], VALUED_TYPES)


def point_batches(
    batches: Iterator[pa.RecordBatch], reference: BlocksReference, folder: Path, work: ChunkWork
) -> Iterator[pa.RecordBatch]:
    """Yield the `NEAR_POINTS` of every chunk, from `NEAR_PARTS` that are sorted by (chunk_id, point, block)."""
    method = NearestMethod.of(work.method)
    m = method.n_asked(reference.n_train - 1, method.own(work.parameters))
    rows = (row for batch in batches for row in batch.to_pylist())
    merged = merged_points(rows, reference, m, work.options.metric)
    for chunk_id, points in itertools.groupby(merged, key=lambda found: found[0]):
        yield near_batch(read_chunk(folder, chunk_id), [near for _, near in points])


def sum_batches(
    batches: Iterator[pa.RecordBatch],
    reference: BlocksReference,
    folder: Path,
    valued: list[dict[str, Any]],
    *,
    row_bounds: bool = False,
) -> Iterator[pa.RecordBatch]:
    """Yield, for each block whose number is in the batches, the `BLOCK_SUMS` of every chunk that was valued.

    ``row_bounds``: with certificates, which are the same for all rows of a point.
    """
    for number in block_numbers(batches):
        block = open_block(reference, number)
        for told in valued:
            chunk = chunk_of(block, read_chunk(folder, told["chunk_id"]))
            sums = Partial.zeros(block.train.n_train, row_bounds=row_bounds)
            with np.load(folder / told["file"], allow_pickle=False) as arrays:
                starts, rows, values, others = (arrays[name] for name in ("starts", "rows", "values", "others"))
            for point in range(chunk.n_validation):
                near = slice(starts[point], starts[point + 1])
                _add_point(block, chunk, point, rows[near], values[near], others[point], sums)
            for name in SCALARS:
                setattr(sums, name, told[name])
            sums.widest = widest_of(told["widest"])
            if sums.row_bounds is not None:
                sums.row_bounds += sums.error_bound
            yield sum_batch(told["chunk_id"], number, sums.centered(), [])


def _add_point(
    block: TrainBlock,
    chunk: ChunkArrays,
    point: int,
    rows: np.ndarray[tuple[int], np.dtype[np.int64]],
    values: np.ndarray[tuple[int], np.dtype[np.float64]],
    others: np.ndarray[tuple[int], np.dtype[np.float64]],
    sums: Partial,
) -> None:
    here = (rows >= block.first_row) & (rows < block.first_row + block.train.n_train)
    flags = match_flags(block.train, chunk, point) if others.any() else None
    own = None if chunk.train_rows is None else int(chunk.train_rows[point])
    near = NearValues(values[here], *others.tolist())
    add_near(rows[here] - block.first_row, near, flags, own, sums)


def _near_of(part: dict[str, Any]) -> NearRows:
    rows = np.frombuffer(part["rows"], np.int64)
    matches = np.unpackbits(np.frombuffer(part["matches"], np.uint8), count=len(rows)).astype(np.bool_)
    return NearRows(rows, np.frombuffer(part["keys"]), matches, part["n_matches"])
