"""Exchange of keys: blocks report keys and matches of their rows for each point, and one task merges a chunk's points.

All functions take and yield plain iterators of Arrow batches, as in `dvspark.engine.tasks`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from dvspark.engine.index.train_blocks import BlocksReference, block_numbers, open_block
from dvspark.engine.reduce import partial_batches
from dvspark.engine.sharded.block_sums import require_all
from dvspark.engine.sharded.stored_keys import stored_keys
from dvspark.engine.tasks import ChunkWork
from dvspark.kernels.blocks.merged import BlockPart, MergedPoint, block_parts
from dvspark.kernels.formulas.kinds import Parameters
from dvspark.methods.base import RankedMethod
from dvspark.schemas import PARTS, ChunkArrays, Floats, Int64s, Partial, TrainBlock
from dvspark.schemas.arrow import arrow_schema

PartsOf = Callable[[TrainBlock, ChunkArrays], Iterator[BlockPart]]
PartialOf = Callable[[Iterator[MergedPoint]], Partial]


@dataclass(frozen=True)
class Halves:
    """The two halves of a computation: what a block reports of each point, and what one task makes of a chunk."""

    parts_of: PartsOf
    partial_of: PartialOf


PART_TYPES = arrow_schema(PARTS)


def method_halves(reference: BlocksReference, work: ChunkWork) -> Halves:
    """Return the two halves of a method under ``ranking: sorted``."""
    n_train = reference.n_train
    options = work.options.ranking_options(work.parameters, n_train)
    n_players, method = n_train - work.options.self_validation, RankedMethod[Parameters].of(work.method)

    def merged(points: Iterator[MergedPoint]) -> Partial:
        columns = reference.train_keys().columns  # mapped where the task runs
        return method.merged_partial(points, columns, n_train, n_players, options, method.own(work.parameters))

    return Halves(partial(block_parts, options=options, n_train=n_train), merged)


def write_chunk(folder: Path, chunk_id: int, chunk: ChunkArrays) -> None:
    """Write the file of a chunk, which the tasks of all blocks read."""
    codes, n_codes = np.concatenate(chunk.labels), np.array([len(row) for row in chunk.labels])
    optional = {name: getattr(chunk, name) for name in ("train_rows", "targets", "counts")}
    given = {name: array for name, array in optional.items() if array is not None}
    np.savez(_chunk_path(folder, chunk_id), x=chunk.x, codes=codes, n_codes=n_codes, **given)


def read_chunk(folder: Path, chunk_id: int) -> ChunkArrays:
    """Return the chunk that `write_chunk` wrote."""
    with np.load(_chunk_path(folder, chunk_id), allow_pickle=False) as arrays:
        labels = np.split(arrays["codes"], np.cumsum(arrays["n_codes"])[:-1])
        train_rows, targets, counts = (arrays.get(name) for name in ("train_rows", "targets", "counts"))
        return ChunkArrays(arrays["x"], labels, train_rows, targets, counts=counts)


def keep_points(folder: Path, points: dict[int, Int64s]) -> None:
    """Write the files of these chunks again with only the points at these places."""
    for chunk_id, kept in points.items():
        write_chunk(folder, chunk_id, read_chunk(folder, chunk_id).take(kept))


def part_batches(
    batches: Iterator[pa.RecordBatch],
    reference: BlocksReference,
    folder: Path,
    chunk_ids: list[int],
    parts_of: PartsOf,
) -> Iterator[pa.RecordBatch]:
    """Yield, for each block whose number is in the batches, the `PARTS` of every point of the chunks."""
    for number in block_numbers(batches):
        block = open_block(reference, number)
        for chunk_id in chunk_ids:
            chunk = read_chunk(folder, chunk_id)
            for point, part in enumerate(parts_of(block, chunk)):
                row = {
                    "chunk_id": chunk_id,
                    "point": point,
                    "block": number,
                    "train_row": None if chunk.train_rows is None else int(chunk.train_rows[point]),
                    "target": None if chunk.targets is None else float(chunk.targets[point]),
                    "counts": None if chunk.counts is None else chunk.counts[point].tobytes(),
                    "keys": part.keys.tobytes(),
                    "matches": np.packbits(part.matches).tobytes(),
                }
                yield pa.RecordBatch.from_pylist([row], PART_TYPES)


def merge_chunks(
    batches: Iterator[pa.RecordBatch], reference: BlocksReference, folder: Path, partial_of: PartialOf
) -> Iterator[pa.RecordBatch]:
    """Yield the `PARTIALS` of every chunk, from `PARTS` that are sorted by (chunk_id, point, block).

    Memory: one batch, the parts and keys of one point (10 bytes a training row), and what ``partial_of`` takes.
    """
    for chunk_id, points in merged_chunks(batches, reference, folder):
        yield from partial_batches(chunk_id, partial_of(points))


def merged_chunks(
    batches: Iterator[pa.RecordBatch], reference: BlocksReference, folder: Path
) -> Iterator[tuple[int, Iterator[MergedPoint]]]:
    """Yield every chunk's id and its points, one after the other, from `PARTS` as `merge_chunks` takes them."""
    merged = _merged_points(batches, reference, folder)
    for chunk_id, points in itertools.groupby(merged, key=lambda found: found[0]):
        yield chunk_id, (point for _, point in points)


def _merged_points(
    batches: Iterator[pa.RecordBatch], reference: BlocksReference, folder: Path
) -> Iterator[tuple[int, MergedPoint]]:
    """Yield (chunk id, point); keys and matches of a point hold until the next one. Chunk files are in ``folder``."""
    opened: tuple[int, ChunkArrays] | None = None
    keys: Floats = np.empty(0, np.float32)
    matches = np.empty(reference.n_train, np.bool_)
    for (chunk_id, point), found in itertools.groupby(_part_rows(batches), key=lambda row: row[:2]):
        parts = [part for _, _, part in found]
        require_all([part["block"].as_py() for part in parts], reference, f"chunk {chunk_id}, point {point}")
        if opened is None or opened[0] != chunk_id:
            opened = chunk_id, read_chunk(folder, chunk_id)
        for block, part in enumerate(parts):
            n_rows = reference.n_rows(block)
            here = slice(reference.first_row(block), reference.first_row(block) + n_rows)
            of_block = np.frombuffer(part["keys"].as_buffer(), f"<f{len(part['keys'].as_buffer()) // n_rows}")
            if len(keys) == 0:
                keys = np.empty(reference.n_train, of_block.dtype)
            keys[here] = of_block
            matches[here] = np.unpackbits(np.frombuffer(part["matches"].as_buffer(), np.uint8), count=n_rows)
        absent, target = parts[0]["train_row"].as_py(), parts[0]["target"].as_py() or 0.0
        noisy = parts[0]["counts"].as_buffer() if parts[0]["counts"].is_valid else None
        counts = None if noisy is None else np.frombuffer(noisy, np.int64)
        near = stored_keys(reference, opened[1].x[point]) if keys.dtype == np.float32 else None
        yield chunk_id, MergedPoint(keys, matches, near, absent, target, counts)


def _part_rows(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[int, int, dict[str, pa.Scalar]]]:
    """Yield (chunk id, point, row); the row refers to memory of its batch."""
    for batch in batches:
        names = batch.schema.names
        for place in range(len(batch)):
            row = {name: batch.column(name)[place] for name in names}
            yield row["chunk_id"].as_py(), row["point"].as_py(), row


def _chunk_path(folder: Path, chunk_id: int) -> Path:
    return folder / f"chunk-{chunk_id}.npz"
