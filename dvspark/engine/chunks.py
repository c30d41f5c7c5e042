"""Chunks: validation rows are cut by a hash of their id, never by partition or cluster size."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dvspark.schemas.pairwise import nodes

# The places of waves, from one to another, a query at a time.
Cut = Iterator[list[tuple[int, int]]]

# Rows of a chunk. One product takes 256 points; a larger chunk makes fewer partials, a smaller one spreads
# better over tasks.
CHUNK_ROWS = 256
# Most chunks of one wave, and of the waves that one query values: a reducer holds one block of each, 1 MB.
WAVE_CHUNKS = 64
# How long the waves of one query are to take: what is lost when a run is stopped.
QUERY_SECONDS = 60.0
# Chunks of the first query, or as many as there are tasks at once: nobody knows yet how long they take.
FIRST_CHUNKS = 4


def count_chunks(n_validation: int, chunk_rows: int) -> int:
    """Return into how many chunks that many validation rows are cut."""
    return max(1, -(-n_validation // chunk_rows))


def chunk_expression(n_chunks: int) -> str:
    """Return the Spark SQL expression that assigns a row to a chunk by its id."""
    return f"cast(pmod(xxhash64(id), {n_chunks}) as int)"


def in_chunks(chunk_ids: Iterable[int]) -> str:
    """Return the Spark SQL expression that is true of the rows of these chunks."""
    return f"chunk_id IN ({', '.join(map(str, chunk_ids))})"


def rows_of_chunk(rows: pa.Table, chunk_id: int) -> pa.Table:
    """Return the rows of one chunk, in id order."""
    return rows.filter(pc.equal(rows["chunk_id"], chunk_id)).sort_by("id")


def pieces(chunk_ids: list[int]) -> list[list[int]]:
    """Return the chunks in pieces of `WAVE_CHUNKS`, ascending."""
    ordered = sorted(chunk_ids)
    return [ordered[start : start + WAVE_CHUNKS] for start in range(0, len(ordered), WAVE_CHUNKS)]


def queries(n_chunks: int, n_done: int = 0, n_tasks: int = 1) -> Cut:
    """Yield the places of all chunks that are not done, a query at a time: its waves, each from a place to another.

    A query is to take QUERY_SECONDS, by how long the one before took; ``n_tasks`` run at once. How waves are cut
    decides no bit of their sum, see `dvspark.schemas.pairwise`.
    """
    size, place = max(FIRST_CHUNKS, n_tasks), n_done
    while place < n_chunks:
        size = max(1, min(size, WAVE_CHUNKS))
        stop = place + size
        if stop < n_chunks:  # where fewer waves end
            stop = max(place + 1, stop - stop % (1 << (size.bit_length() - 1)))
        stop = min(stop, n_chunks)
        started = time.monotonic()
        yield nodes(place, stop, n_chunks)
        seconds = max(time.monotonic() - started, 1e-3)
        size, place = max(n_tasks, int((stop - place) * QUERY_SECONDS / seconds)), stop


def singly(n_chunks: int) -> Cut:
    """Yield the places of all chunks as `queries` does: one query, in which each chunk is a wave."""
    yield [(place, place + 1) for place in range(n_chunks)]


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
