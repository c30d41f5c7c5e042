"""Chunks: validation rows are cut by a hash of their id, never by partition or cluster size."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

# Rows of a chunk. One product takes 256 points; a larger chunk makes fewer partials, a smaller one spreads
# better over tasks.
CHUNK_ROWS = 256
# Chunks of one wave: a reducer holds one block of each, 1 MB; a wave is what is lost when a run is stopped.
WAVE_CHUNKS = 64


def count_chunks(n_validation: int, chunk_rows: int) -> int:
    """Return into how many chunks that many validation rows are cut."""
    return max(1, -(-n_validation // chunk_rows))


def chunk_expression(n_chunks: int) -> str:
    """Return the Spark SQL expression that assigns a row to a chunk by its id."""
    return f"cast(pmod(xxhash64(id), {n_chunks}) as int)"


def waves(chunk_ids: list[int]) -> list[list[int]]:
    """Return the chunks in waves of `WAVE_CHUNKS`, ascending."""
    ordered = sorted(chunk_ids)
    return [ordered[start : start + WAVE_CHUNKS] for start in range(0, len(ordered), WAVE_CHUNKS)]


def sizes_of(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield `CHUNK_SIZES` of each batch."""
    for batch in batches:
        chunks, n_rows = np.unique(batch.column("chunk_id"), return_counts=True)
        yield pa.RecordBatch.from_pydict({"chunk_id": chunks, "n_rows": n_rows})


def whole_chunks(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[int, pa.Table]]:
    """Yield (chunk id, its rows) from batches sorted by chunk; batch borders do not matter.

    Memory: one chunk and one batch.
    """
    pending: list[pa.RecordBatch] = []
    for batch in batches:
        ids = batch.column("chunk_id").to_numpy()
        borders = np.flatnonzero(np.diff(ids)) + 1
        for begin, end in zip([0, *borders], [*borders, len(ids)], strict=True):
            piece = batch.slice(int(begin), int(end - begin))
            if len(piece) and pending and _chunk_id(pending[0]) != _chunk_id(piece):
                yield _chunk_id(pending[0]), pa.Table.from_batches(pending).combine_chunks()
                pending = []
            pending += [piece] if len(piece) else []
    if pending:
        yield _chunk_id(pending[0]), pa.Table.from_batches(pending).combine_chunks()


def _chunk_id(batch: pa.RecordBatch) -> int:
    return int(batch.column("chunk_id")[0].as_py())
