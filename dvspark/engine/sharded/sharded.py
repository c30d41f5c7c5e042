"""The sharded plan on Spark: training rows stay in blocks on shared storage; validation rows go to the blocks.

Under ``ranking: sorted`` every block reports its keys of every point, which meet where the chunk is valued: 4 bytes
travel for each training row and point. Under ``ranking: binned`` only counts of bins and near rows travel, and values
are computed where the rows are. The values have the same bits as under the replicated plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa

from dvspark.engine.chunks import Cut, chunks_of_job, queries, singly
from dvspark.engine.index.train_blocks import BlocksReference, open_block, rows_of
from dvspark.engine.index.train_index import TrainKeys
from dvspark.engine.reduce import WaveSum
from dvspark.engine.replicated.chunk_frames import spark_session_of, table_of_chunks
from dvspark.engine.replicated.row_passes import passed_on_spark
from dvspark.engine.sharded import binned_exchange
from dvspark.engine.sharded.exchange import Halves, method_halves
from dvspark.engine.sharded.sharded_blocks import build_blocks, chunk_files, finished_blocks, small_batches
from dvspark.engine.sharded.sharded_compared import compared
from dvspark.engine.sharded.sharded_nearest import by_nearest, near_points, nearest_rows, tenth_distances
from dvspark.engine.sharded.sharded_radius import by_counts, neighbor_counts
from dvspark.engine.sharded.sharded_ranking import by_all_keys, by_bins
from dvspark.engine.tasks import ChunkWork, ListedRows
from dvspark.kernels.gradients.head_gradients import AnyPiece
from dvspark.kernels.gradients.row_pass import Arrays, RowPass, taken
from dvspark.methods.kinds.shared import labelled_rows
from dvspark.schemas import Partial, TrainArrays, Wave

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from dvspark.engine.local_chunks import Chunked
    from dvspark.local.rows import Frame

__all__ = [
    "build_blocks",
    "compared_points",
    "exchanged_waves",
    "finished_blocks",
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

# Maps (session, validation rows of each chunk, blocks, folder of the chunks' files) to the partial of each chunk.
PartialsOf = Callable[["SparkSession", dict[int, int], BlocksReference, Path], dict[int, Partial]]


class Exchange(Protocol):
    """What blocks exchange to value some chunks; ``sizes``: the validation rows of each."""

    def __call__(
        self, spark: SparkSession, sizes: dict[int, int], reference: BlocksReference, folder: Path, *, work: ChunkWork
    ) -> dict[int, Partial]:
        """Return the partial of each chunk, whose files are in the folder."""


# By kind; kinds that are not here exchange keys or bins.
EXCHANGES: dict[str, Exchange] = {"radius": by_counts, "nearest": by_nearest}


def train_keys(reference: BlocksReference) -> TrainKeys:
    """Return the ids, labels and, where known, owners of all training rows, as `TrainKeys`, mapped."""
    return reference.train_keys()


def train_pieces(reference: BlocksReference) -> Iterator[TrainArrays]:
    """Yield the training rows in id order, block by block; a block is mapped on this host while the caller uses it."""
    for block in range(reference.n_blocks):
        yield open_block(reference, block).train


def listed_rows(reference: BlocksReference, rows: list[int]) -> ListedRows:
    """Return the training rows at these places, read on this host."""
    x = rows_of(reference, np.array(rows, np.int64))
    return ListedRows(rows, x, train_keys(reference).keys["id"].take(pa.array(rows, pa.int64())))


def row_pass(rows: Frame, reference: BlocksReference, work: ChunkWork, asked: RowPass) -> list[Arrays]:  # noqa: ARG001
    """Return what a pass tells of each stretch of training rows, as `replicated.row_pass` does, with the same bits."""
    return passed_on_spark(spark_session_of(rows), asked, reference.n_train, lambda *ends: between(reference, *ends))


def between(reference: BlocksReference, start: int, stop: int) -> Iterator[AnyPiece]:
    """Yield the training rows from one place to another with their classes, block by block, mapped on this host."""
    for block in range(start // reference.block_rows, -(-stop // reference.block_rows)):
        first, train = reference.first_row(block), open_block(reference, block).train
        here = slice(max(0, start - first), min(stop - first, train.n_train))
        yield taken(labelled_rows(train), here)


def value_waves(
    chunks: Chunked,
    sizes: dict[int, int],
    reference: BlocksReference,
    work: ChunkWork,
    report: Callable[[int, int], None] = lambda _done, _total: None,
    n_done: int = 0,
    n_tasks: int = 1,
    cut: Cut | None = None,
) -> Iterator[Wave]:
    """Yield the waves of chunks, as `replicated.value_waves` does, with the same bits."""
    yield from _waves(
        chunks,
        sizes,
        reference,
        _exchanged(reference, work, n_tasks),
        self_validation=work.options.self_validation,
        report=report,
        n_done=n_done,
        n_tasks=n_tasks,
        cut=cut,
    )


def compared_points(chunks: Chunked, sizes: dict[int, int], reference: BlocksReference, work: ChunkWork) -> pa.Table:
    """Return `COMPARED` of chunks of one point, valued as all of a run are, and by the reference.

    What the engine found of a point has arrived here before it is compared.
    """
    waves = value_waves(chunks, sizes, reference, work, cut=singly(len(sizes)))
    return compared(waves, chunks, sizes, reference, work)


def exchanged_waves(
    chunks: Chunked,
    sizes: dict[int, int],
    reference: BlocksReference,
    halves: Halves,
    n_values: int,
    *,
    self_validation: bool,
    cut: Cut | None = None,
) -> Iterator[Wave]:
    """Yield the waves; ``halves`` says what a block reports and what one task makes of a chunk's points."""
    exchanged = partial(by_all_keys, halves=halves, n_values=n_values)
    yield from _waves(chunks, sizes, reference, exchanged, self_validation=self_validation, cut=cut)


def _exchanged(reference: BlocksReference, work: ChunkWork, n_tasks: int) -> PartialsOf:
    """Return what makes partials of chunks: by nearest rows or counts, by bins, or by the keys of all rows."""
    if (exchange := EXCHANGES.get(work.method.kind)) is not None:
        return partial(exchange, work=work)
    n_players = reference.n_train - work.options.self_validation
    if work.options.ranking_options(work.parameters, reference.n_train).is_binned(n_players):
        binned_exchange.write_sample(reference)
        return partial(by_bins, work=work, n_tasks=n_tasks)
    return partial(by_all_keys, halves=method_halves(reference, work), n_values=work.n_values(reference))


def _waves(
    chunks: Chunked,
    sizes: dict[int, int],
    reference: BlocksReference,
    partials_of: PartialsOf,
    *,
    self_validation: bool,
    report: Callable[[int, int], None] = lambda _done, _total: None,
    n_done: int = 0,
    n_tasks: int = 1,
    cut: Cut | None = None,
) -> Iterator[Wave]:
    """Yield the waves. Their chunks are valued in jobs of several chunks, and added pairwise in order.

    A job may have chunks of two waves of a query. Its chunks are reported when it ends: it reads the blocks for all of
    them before the first one is done.
    Memory of the driver: the validation rows and partials of one job, and 16 N bytes for each doubling of a wave.
    """
    spark, ids, done = spark_session_of(chunks), list(sizes), n_done
    for places in cut or queries(len(ids), n_done, n_tasks):
        starts, ends = [start for start, _ in places], {end for _, end in places}
        added = WaveSum()
        for some in _cut(ids[starts[0] : places[-1][1]], sizes, reference.n_train):
            rows = table_of_chunks(chunks, some)
            with (
                chunk_files(rows, reference, self_validation=self_validation) as folder,
                small_batches(spark, reference),
            ):
                found = partials_of(spark, {chunk: sizes[chunk] for chunk in some}, reference, folder)
            report(done + len(some), len(ids))
            for chunk in some:
                added.add(found[chunk])
                done += 1
                if done in ends:
                    start = starts.pop(0)
                    yield added.wave(start, {chunk: sizes[chunk] for chunk in ids[start:done]})
                    added = WaveSum()


def _cut(ids: list[int], sizes: dict[int, int], n_train: int) -> Iterator[list[int]]:
    """Yield the chunks of a query in jobs."""
    step = chunks_of_job(n_train, max(sizes[chunk] for chunk in ids))
    for start in range(0, len(ids), step):
        yield ids[start : start + step]
