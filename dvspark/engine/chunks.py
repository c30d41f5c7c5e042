"""Chunks: validation rows are cut by a hash of their id, so partitions and cluster size play no part."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dvspark.schemas.pairwise import forest

# The waves of each query: pairs of places, the first and the one past the last.
Cut = Iterator[list[tuple[int, int]]]

# Rows of a chunk. One product takes 256 points; a larger chunk makes fewer partials, a smaller one spreads
# better over tasks.
CHUNK_ROWS = 256
# Most chunks of one wave, and of the waves that one query values: a reducer holds one block of each, 1 MB.
WAVE_CHUNKS = 64
# How long one query should take. A run that is stopped loses at most that much.
QUERY_SECONDS = 60.0
# Chunks of the first query (more if more tasks run at once), because nobody knows yet how long a chunk takes.
FIRST_CHUNKS = 4
# Twice as many if they are of no more pairs of rows than this, 4 s at a microsecond a pair. Another query takes 0.4 s:
# 1,797 digits by each other are eight chunks.
QUICK_PAIRS = 2**22

# What one job of the sharded plan may exchange: the executors' disks hold it.
EXCHANGE_BYTES = 16 * 2**30
# What one such job may return to the driver in partials, well under Spark's limit of 1 GiB.
PARTIAL_BYTES = 256 * 2**20


def count_chunks(n_validation: int, chunk_rows: int) -> int:
    """Return the number of chunks for so many validation rows."""
    return max(1, -(-n_validation // chunk_rows))


def chunks_of_job(n_train: int, chunk_rows: int) -> int:
    """Return how many chunks one job of the sharded plan values: by what it may exchange and return, at least one."""
    return max(1, min(EXCHANGE_BYTES // (8 * n_train * chunk_rows), PARTIAL_BYTES // (16 * n_train)))


def chunk_expression(n_chunks: int) -> str:
    """Return the Spark SQL expression for the chunk of a row, an integer that follows from the row's id."""
    return f"cast(pmod(xxhash64(id), {n_chunks}) as int)"


def in_chunks(chunk_ids: Iterable[int]) -> str:
    """Return the Spark SQL expression that is true of the rows of these chunks."""
    return f"chunk_id IN ({', '.join(map(str, chunk_ids))})"


def rows_of_chunk(rows: pa.Table, chunk_id: int) -> pa.Table:
    """Return the rows of one chunk, in id order."""
    return rows.filter(pc.equal(rows["chunk_id"], chunk_id)).sort_by("id")


def pieces(chunk_ids: list[int]) -> list[list[int]]:
    """Return the chunks, ascending, in lists of at most `WAVE_CHUNKS`."""
    ordered = sorted(chunk_ids)
    return [ordered[start : start + WAVE_CHUNKS] for start in range(0, len(ordered), WAVE_CHUNKS)]


def first_chunks(chunk_rows: int, n_train: int) -> int:
    """Return how many chunks of so many validation rows the first query values, if no more tasks run at once."""
    return FIRST_CHUNKS * (2 if 2 * FIRST_CHUNKS * chunk_rows * n_train <= QUICK_PAIRS else 1)


def queries(
    n_chunks: int, n_done: int = 0, n_tasks: int = 1, ends: Sequence[int] = (), first: int = FIRST_CHUNKS
) -> Cut:
    """Yield, for each query, the waves of chunks that are not done; a wave is a pair: its first place and its end.

    A query should take QUERY_SECONDS, judged by the time of the query before. ``n_tasks`` is how many tasks run at
    once. ``ends``: the places at which groups of chunks end, which no wave crosses; by default all are one group.
    ``first``: the chunks of the first query, see `first_chunks`.
    The cut into waves changes no bit of the sum, see `dvspark.schemas.pairwise`.
    """
    size, place = max(first, n_tasks), n_done
    while place < n_chunks:
        size = max(1, min(size, WAVE_CHUNKS))
        stop = place + size
        if stop < n_chunks:  # where fewer waves end
            stop = max(place + 1, stop - stop % (1 << (size.bit_length() - 1)))
        stop = min(stop, n_chunks)
        started = time.monotonic()
        yield forest(place, stop, ends or (n_chunks,))
        seconds = max(time.monotonic() - started, 1e-3)
        size, place = max(n_tasks, int((stop - place) * QUERY_SECONDS / seconds)), stop


def singly(n_chunks: int) -> Cut:
    """Yield one query in which each chunk is a wave of its own; otherwise as `queries`."""
    yield [(place, place + 1) for place in range(n_chunks)]


def sizes_of(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield for each batch its `CHUNK_SIZES`: how many rows it has of each chunk."""
    for batch in batches:
        chunks, n_rows = np.unique(batch.column("chunk_id"), return_counts=True)
        yield pa.RecordBatch.from_pydict({"chunk_id": chunks, "n_rows": n_rows})


def whole_chunks(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[int, pa.Table]]:
    """Yield (chunk id, rows of the chunk) from batches that are sorted by chunk; a chunk may lie in several batches.

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
