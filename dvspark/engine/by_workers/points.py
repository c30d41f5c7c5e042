"""Points here: what stages ask of validation rows that this process holds; see `engine.points.Points`."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dvspark.engine.groups import Groups
from dvspark.engine.local_chunks import LocalChunks
from dvspark.engine.tasks import ListedRows, nearest_validation
from dvspark.local.hashes import xxhash64
from dvspark.local.rows import LocalRows
from dvspark.schemas import NEIGHBORS
from dvspark.schemas.arrow import arrow_schema

# Validation rows of one batch in the search for neighbors of the extremes, which takes memory by the batch.
BATCH_ROWS = 10_000


def chunked(validation_rows: LocalRows, n_chunks: int, groups: Groups | None = None) -> LocalChunks:
    """Return the rows by their chunk, which depends on the id alone, and on the group where rows have one."""
    table = validation_rows.table
    hashes = xxhash64([table["id"].combine_chunks()])
    numbers = np.mod(hashes, n_chunks).astype(np.int32) if groups is None else groups.chunk_ids(table, hashes)
    places = np.argsort(numbers, kind="stable")
    places = places[np.searchsorted(numbers[places], 0) :]
    return LocalChunks(validation_rows, table, places, numbers[places])


def chunk_sizes(chunks: LocalChunks) -> dict[int, int]:
    """Return how many validation rows each chunk has; chunks without rows do not appear."""
    ids, sizes = np.unique(chunks.ids, return_counts=True)
    return dict(zip(ids.tolist(), sizes.tolist(), strict=True))


def chunk_rows(chunks: LocalChunks, ids: list[int]) -> pa.Table:
    """Return the rows of some chunks, with their chunk_id."""
    return chunks.take(ids)


def rows_of(chunks: LocalChunks, chunk_id: int) -> LocalRows:
    """Return the rows of a chunk."""
    rows = chunks.rows
    return LocalRows.of_table(rows.session, rows.types, chunks.take([chunk_id]).drop_columns(["chunk_id"]))


def n_rows(rows: LocalRows) -> int:
    """Return how many rows there are."""
    return len(rows.table)


def sample_rows(validation_rows: LocalRows, n_points: int) -> pa.Table:
    """Return a few validation rows, drawn by a hash of their ids, in id order."""
    table = validation_rows.table
    ids = table["id"].combine_chunks()
    draws = xxhash64([ids, pa.array(["sample"]).take(pa.array(np.zeros(len(ids), np.int8)))])
    drawn = np.argsort(draws, kind="stable")[:n_points]  # of equal draws the lower id
    return table.take(pa.array(np.sort(drawn)))


def rows_at(
    validation_rows: LocalRows, n_chunks: int, places: list[tuple[int, int]], groups: Groups | None = None
) -> pa.Table:
    """Return the rows at these places, each a chunk and a row's place in it in id order; those that are there."""
    chunks = chunked(validation_rows, n_chunks, groups)
    found = [chunks.places_of(chunk)[place : place + 1] for chunk, place in places]
    return chunks.table.take(pa.array(np.concatenate(found)))


def each_a_chunk(rows: pa.Table, like: LocalRows) -> LocalChunks:
    """Return rows of a table, each as a chunk of its own, in their order."""
    return LocalChunks(like, rows, np.arange(len(rows)), np.arange(len(rows), dtype=np.int32))


def with_counts(validation_rows: LocalRows, noisy: pa.Table) -> LocalRows:
    """Return validation rows with their noisy counts, `NEIGHBOR_COUNTS`."""
    table, counts = validation_rows.table, ("n_matches", "n_others")
    places = pc.index_in(table["id"], value_set=noisy["id"].combine_chunks().cast(table["id"].type))
    for name in counts:
        table = table.append_column(name, noisy[name].take(places))
    types = {**validation_rows.types, **dict.fromkeys(counts, "bigint")}
    return LocalRows.of_table(validation_rows.session, types, table)


def neighbors(validation_rows: LocalRows, listed: ListedRows, metric: str, n_nearest: int) -> pa.Table:
    """Return `NEIGHBORS`: of each batch of validation rows the nearest ones of some train rows."""
    table = validation_rows.table.select(["id", "embedding", "label"])
    found = nearest_validation(iter(table.to_batches(BATCH_ROWS)), listed, metric, n_nearest)
    return pa.Table.from_batches(found, arrow_schema(NEIGHBORS, label=validation_rows.types["label"]))
