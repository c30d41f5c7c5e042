"""By workers: chunks go to workers of this machine, and their partials are added as Spark's are."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa

from dvspark.engine.by_workers.worker import request
from dvspark.engine.chunks import Cut, queries
from dvspark.engine.index.index_writing import Gather, IndexWriter, checked_keys
from dvspark.engine.index.train_index import IndexReference, finished_index
from dvspark.engine.local_chunks import LocalChunks
from dvspark.engine.reduce import WaveSum, chunk_partial
from dvspark.engine.replicated.replicated import (
    between,
    listed_rows,
    nearest_rows,
    tenth_distances,
    train_keys,
    train_pieces,
)
from dvspark.engine.replicated.row_passes import arrays_batch, in_order
from dvspark.engine.tasks import ChunkWork
from dvspark.errors import ComputeError, Problem
from dvspark.kernels.gradients.row_pass import Arrays, RowPass, passed_here, stretches
from dvspark.local.rows import LocalRows
from dvspark.schemas import EXACT, Partial, Wave
from dvspark.schemas.columns import from_ipc

if TYPE_CHECKING:
    from dvspark.local.session import LocalSession
    from dvspark.local.workers import Workers

__all__ = [
    "LocalIndex",
    "build_index",
    "compared_points",
    "finished",
    "listed_rows",
    "near_points",
    "nearest_rows",
    "neighbor_counts",
    "row_pass",
    "tenth_distances",
    "train_keys",
    "train_pieces",
    "value_waves",
]


@dataclasses.dataclass(frozen=True)
class LocalIndex(IndexReference):
    """An index that this process has built for its workers, mapped where it lies."""


def build_index(
    *,
    gather: Gather,
    n_train: int,
    n_features: int,
    dtype: str,
    metric: str,
    directory: Path,
    index: str = EXACT,
    keys: pa.Table,
    with_rows: bool = False,
) -> LocalIndex:
    """Pack train rows into an index, in id order; ``keys``: all they have but embeddings; ``index``: of a search.

    ``with_rows``: as of `IndexWriter`.
    Raises: ComputeError when the rows are not those of the keys.
    """
    writer = IndexWriter(directory, n_train, n_features, dtype, with_rows=with_rows)
    writer.write_keys(checked_keys([keys], n_train))
    if not with_rows:
        writer.place(gather)
    return _local(writer.finish(metric, index))


def finished(directory: Path, digest: str) -> LocalIndex | None:
    """Return the index that was finished in ``directory``, None if it is not there whole; reads every byte."""
    found = finished_index(directory, digest)
    return None if found is None else _local(found)


def _local(index: IndexReference) -> LocalIndex:
    fields: dict[str, Any] = {one.name: getattr(index, one.name) for one in dataclasses.fields(index)}
    return LocalIndex(**{**fields, "shipping": "in_place"})


def value_waves(
    chunks: LocalChunks,
    sizes: dict[int, int],
    reference: IndexReference,
    work: ChunkWork,
    report: Callable[[int, int], None] = lambda _done, _total: None,
    n_done: int = 0,
    n_tasks: int = 1,
    cut: Cut | None = None,
) -> Iterator[Wave]:
    """Yield the waves of chunks, ascending, but those that are done; their pairwise sum is the result.

    ``sizes``: validation rows of all chunks, of which the first ``n_done`` are done; ``n_tasks`` run at once. ``cut``:
    the places of the waves, by default as `chunks.queries` yields them.
    Memory: log2 of a wave's chunks as partials, and one more for each worker.
    """
    ids = list(sizes)
    for places in cut or queries(len(ids), n_done, n_tasks):
        partials = _partials(chunks, ids[places[0][0] : places[-1][1]], reference, work)
        for start, end in places:
            yield _wave(partials, start, {chunk: sizes[chunk] for chunk in ids[start:end]}, len(ids), report)


def row_pass(rows: LocalRows, reference: IndexReference, work: ChunkWork, asked: RowPass) -> list[Arrays]:
    """Return what a pass tells of each stretch of the training rows; one stretch alone is read here."""
    cut = stretches(reference.n_train)
    if len(cut) == 1:
        return passed_here(asked, reference.n_train, lambda *ends: between(reference, *ends))

    def requests() -> Iterator[bytes]:
        for number, ends in enumerate(cut):
            told = arrays_batch(number, {**asked.arrays(), "ends": np.array(ends, np.float64)})
            yield request(asked.task, pa.Table.from_batches([told]), reference, work)

    answers = _workers(rows).map(requests())
    return in_order(asked, len(cut), (from_ipc(answer).to_batches() for answer in answers))


def neighbor_counts(chunks: LocalChunks, sizes: dict[int, int], reference: IndexReference, work: ChunkWork) -> pa.Table:
    """Return `NEIGHBOR_COUNTS` of all validation rows, for a `radius` method."""
    asked = (request("count", chunks.take([chunk]), reference, work) for chunk in sizes)
    return pa.concat_tables([from_ipc(told) for told in _workers(chunks.rows).map(asked)])


def near_points(chunks: LocalChunks, sizes: dict[int, int], reference: IndexReference, work: ChunkWork) -> pa.Table:
    """Return `NEAR_POINTS` of training rows in chunks."""
    asked = (request("near", chunks.take([chunk]), reference, work) for chunk in sizes)
    return pa.concat_tables([from_ipc(told) for told in _workers(chunks.rows).map(asked)])


def compared_points(chunks: LocalChunks, sizes: dict[int, int], reference: IndexReference, work: ChunkWork) -> pa.Table:
    """Return `COMPARED` of chunks, each valued by the kernel and by the reference in a worker."""
    asked = (request("compare", chunks.take([chunk]), reference, work) for chunk in sizes)
    return pa.concat_tables([from_ipc(told) for told in _workers(chunks.rows).map(asked)])


def _workers(rows: LocalRows) -> Workers:
    return cast("LocalSession", rows.session).workers


def _partials(chunks: LocalChunks, ids: list[int], reference: IndexReference, work: ChunkWork) -> Iterator[Partial]:
    asked = (request("value", chunks.take([chunk]), reference, work) for chunk in ids)
    for chunk, told in zip(ids, _workers(chunks.rows).map(asked), strict=True):
        yield chunk_partial(from_ipc(told)).of_chunk(chunk)


def _wave(
    partials: Iterator[Partial],
    start: int,
    sizes: dict[int, int],
    n_chunks: int,
    report: Callable[[int, int], None],
) -> Wave:
    """Return the next chunks as a wave. Raises: ComputeError when the rows valued are not those assigned."""
    added = WaveSum()
    for place, (chunk, n_rows) in enumerate(sizes.items(), start):
        part = next(partials)
        if part.n_validation != n_rows:
            expected, got = f"{n_rows} validation rows", f"{part.n_validation}"
            hint = "did the validation table change meanwhile?"
            raise ComputeError(Problem(f"chunk {chunk}", expected, got, hint))
        added.add(part)
        report(place + 1, n_chunks)
    return added.wave(start, sizes)
