"""The sharded plan on Spark: training rows stay in blocks on shared storage; validation rows go to the blocks.

Under ``ranking: sorted`` every block tells its keys of every point, which meet where the point's chunk is valued:
4 bytes a training row and point travel. Under ``ranking: binned`` only counts of bins and near rows do, and values come
out where the rows are. The values are those of the replicated plan, bit for bit.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dvspark.engine import binned_exchange
from dvspark.engine.block_sums import chunk_sums
from dvspark.engine.chunks import waves
from dvspark.engine.exchange import Halves, keep_points, merge_chunks, method_halves, part_batches, write_chunk
from dvspark.engine.progress import watch_tasks
from dvspark.engine.reduce import TOTAL_TYPES, assemble, reduce_block
from dvspark.engine.replicated import one_value_a_task, sorted_keys
from dvspark.engine.session import is_same_host
from dvspark.engine.tasks import ChunkWork, ListedRows, chunk_arrays
from dvspark.engine.train_blocks import BlocksReference, combine_blocks, finish_blocks, rows_of, write_blocks
from dvspark.engine.train_index import TrainKeys
from dvspark.errors import ComputeError, Problem
from dvspark.kernels.binned import near_rounds
from dvspark.kernels.distances import TILE_ROWS
from dvspark.methods.search_index import EXACT
from dvspark.schemas import BINNED_PARTS, BLOCK_SUMS, BLOCKS, PARTIALS, PARTS, POINT_VALUES, Partial

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row, SparkSession

# What one job may exchange: the executors' disks hold it.
EXCHANGE_BYTES = 16 * 2**30
# What one job may return to the driver in partials, well under Spark's limit of 1 GiB.
PARTIAL_BYTES = 256 * 2**20
# Rows of the exchange that Spark hands to a task at once: its default number of rows would be gigabytes.
BATCH_BYTES = 64 * 2**20
BATCH_ROWS = "spark.sql.execution.arrow.maxRecordsPerBatch"

Batches = Iterator[pa.RecordBatch]
# (session, validation rows of each chunk, blocks, folder of the chunks' files) to the partial of each chunk.
PartialsOf = Callable[["SparkSession", dict[int, int], BlocksReference, Path], dict[int, Partial]]


def build_blocks(
    train_rows: DataFrame,
    *,
    n_train: int,
    n_features: int,
    dtype: str,
    metric: str,
    directory: Path,
    block_rows: int,
    shared: bool,
    index: str = EXACT,
) -> BlocksReference:
    """Write train rows (`ROWS` format) as blocks of ``block_rows`` below ``directory``.

    ``block_rows`` a multiple of `kernels.distances.TILE_ROWS`: blocks are cut where tiles are. ``shared``: all hosts
    see the directory under the same path. ``index``: as in `BlocksReference`.
    The rows go from task to task, never through the driver, which holds the keys and 60 bytes a row.
    Raises: ComputeError when the rows are not the ones that were counted, or hosts do not see the directory.
    """
    if not shared and not is_same_host(train_rows.sparkSession):
        hint = "set work_dir to a folder that the driver and all hosts see"
        raise ComputeError(Problem("writing the blocks", "a folder that all hosts see", "none", hint))
    if block_rows % TILE_ROWS and block_rows < n_train:
        raise ValueError(f"blocks of {block_rows} rows cut a tile of {TILE_ROWS}")
    directory.mkdir(parents=True, exist_ok=True)
    keys = sorted_keys(train_rows, n_train)
    known = TrainKeys.of(keys, dtype)
    known.write(directory)
    reference = BlocksReference(str(directory), n_train, n_features, 0, metric, dtype, block_rows, index=index)
    reference = dataclasses.replace(reference, n_owners=known.columns.n_owners)
    firsts = [keys["id"][reference.first_row(block)].as_py() for block in range(reference.n_blocks)]
    written = _write_blocks(train_rows, firsts, reference)
    for row in _each_once(written, reference):
        (directory / row["folder"]).rename(reference.folder(row["block"]))
    combine_blocks(reference)
    finished = _each_once(_finish_blocks(train_rows.sparkSession, reference), reference)
    return dataclasses.replace(reference, n_bytes=sum(row["n_bytes"] for row in finished))


def train_keys(reference: BlocksReference) -> TrainKeys:
    """Return id, label and, where known, owner of all training rows, and what follows from them, mapped."""
    return reference.train_keys()


def listed_rows(reference: BlocksReference, rows: list[int]) -> ListedRows:
    """Return a few training rows, read on this host."""
    x = rows_of(reference, np.array(rows, np.int64))
    return ListedRows(rows, x, train_keys(reference).keys["id"].take(pa.array(rows, pa.int64())))


def value_waves(
    chunks: DataFrame,
    sizes: dict[int, int],
    reference: BlocksReference,
    work: ChunkWork,
    report: Callable[[int, int], None] = lambda _done, _total: None,
) -> Iterator[Partial]:
    """Yield the partial of each wave of chunks, ascending; their sum in this order is the result.

    As `replicated.value_waves`, with the same bits.
    """
    alone = work.options.self_validation
    if work.options.ranking_options(work.parameters, reference.n_train).is_binned(reference.n_train - alone):
        binned_exchange.write_sample(reference)
        yield from _waves(chunks, sizes, reference, partial(_binned, work=work), self_validation=alone, report=report)
        return
    halves, n_values = method_halves(reference, work), work.n_values(reference)
    yield from exchanged_waves(chunks, sizes, reference, halves, n_values, self_validation=alone, report=report)


def exchanged_waves(
    chunks: DataFrame,
    sizes: dict[int, int],
    reference: BlocksReference,
    halves: Halves,
    n_values: int,
    *,
    self_validation: bool,
    report: Callable[[int, int], None] = lambda _done, _total: None,
) -> Iterator[Partial]:
    """Yield the partial of each wave; ``halves`` say what a block tells and what becomes of a chunk's points."""
    exchanged = partial(_exchanged, halves=halves, n_values=n_values)
    yield from _waves(chunks, sizes, reference, exchanged, self_validation=self_validation, report=report)


def _waves(
    chunks: DataFrame,
    sizes: dict[int, int],
    reference: BlocksReference,
    partials_of: PartialsOf,
    *,
    self_validation: bool,
    report: Callable[[int, int], None],
) -> Iterator[Partial]:
    """Yield the partial of each wave, whose chunks are valued in jobs of some of them and added in their order.

    Memory of the driver: the validation rows and partials of one job.
    """
    spark, done = chunks.sparkSession, 0
    for wave in waves(list(sizes)):
        total: Partial | None = None
        for some in _cut(wave, sizes, reference.n_train):
            rows = chunks.where(f"chunk_id IN ({', '.join(map(str, some))})").toArrow()
            with (
                _chunk_files(rows, reference, self_validation=self_validation) as folder,
                _small_batches(spark, 8 * min(reference.block_rows, reference.n_train)),
                watch_tasks(spark, len(some), report, done, len(sizes)),
            ):
                found = partials_of(spark, {chunk: sizes[chunk] for chunk in some}, reference, folder)
            for chunk in some:
                total = found[chunk] if total is None else total.plus(found[chunk])
            done += len(some)
            report(done, len(sizes))
        if total is not None:
            yield total


def _exchanged(
    spark: SparkSession,
    sizes: dict[int, int],
    reference: BlocksReference,
    folder: Path,
    *,
    halves: Halves,
    n_values: int,
) -> dict[int, Partial]:
    """Return the partial of each chunk, of which there is a file in ``folder``: one task adds up a chunk's points."""
    found = _partials(spark, [*sizes], reference, folder, halves).toArrow()
    return {chunk: _of_chunk(found, chunk, n_rows, n_values) for chunk, n_rows in sizes.items()}


def _binned(
    spark: SparkSession, sizes: dict[int, int], reference: BlocksReference, folder: Path, *, work: ChunkWork
) -> dict[int, Partial]:
    """Return the partial of each chunk by rounds of the binned exchange, the last points by the sorted one.

    As `kernels.binned` does: points that one number of near rows does not serve come again with more of them.
    """
    options = work.options.ranking_options(work.parameters, reference.n_train)
    left = {chunk: np.arange(n_rows) for chunk, n_rows in sizes.items()}
    found: dict[int, Partial] = {}
    for n_near in near_rounds(reference.n_train, options):
        if left:
            now = binned_exchange.BinnedRound(reference, work, folder, left, n_near)
            asked = {chunk: len(points) for chunk, points in left.items()}
            sums = chunk_sums(_binned_sums(spark, now).toArrow(), reference, asked)
            for chunk, (of_round, _) in sums.items():
                found[chunk] = found[chunk].plus(of_round) if chunk in found else of_round
            left = {chunk: failed for chunk, (_, failed) in sums.items() if len(failed)}
    if left:
        keep_points(folder, left)
        last = {chunk: len(points) for chunk, points in left.items()}
        halves, n_values = method_halves(reference, work), reference.n_train
        for chunk, rest in _exchanged(spark, last, reference, folder, halves=halves, n_values=n_values).items():
            found[chunk] = found[chunk].plus(rest) if chunk in found else rest
    return found


def _binned_sums(spark: SparkSession, now: binned_exchange.BinnedRound) -> DataFrame:
    """Return the `BLOCK_SUMS` of a round: out to the chunks, where points are valued, and back to the blocks."""
    blocks = [*range(now.reference.n_blocks)]
    return (
        _numbers(spark, now.reference)
        .mapInArrow(lambda batches: binned_exchange.part_batches(batches, now), BINNED_PARTS.ddl())
        .transform(lambda parts: one_value_a_task(parts, "chunk_id", [*now.points]))
        .sortWithinPartitions("chunk_id", "point", "block")
        .mapInArrow(lambda batches: binned_exchange.value_batches(batches, now), POINT_VALUES.ddl())
        .transform(lambda values: one_value_a_task(values, "block", blocks))
        .sortWithinPartitions("block", "chunk_id", "point")
        .mapInArrow(lambda batches: binned_exchange.sum_batches(batches, now), BLOCK_SUMS.ddl())
    )


def _write_blocks(train_rows: DataFrame, firsts: list[Any], reference: BlocksReference) -> DataFrame:
    """Return the `BLOCKS` written, a task each; ``firsts``: the ids of the blocks' first rows."""
    from pyspark.sql import functions  # noqa: PLC0415 - an extra

    number = functions.when(functions.lit(False), 0)
    for block, following in enumerate(firsts[1:]):
        number = number.when(functions.col("id") < functions.lit(following), block)
    rows = train_rows.select("id", "embedding", number.otherwise(len(firsts) - 1).alias("block"))
    return (
        rows.transform(lambda rows: one_value_a_task(rows, "block", [*range(reference.n_blocks)]))
        .sortWithinPartitions("id")
        .mapInArrow(lambda batches: write_blocks(batches, reference), BLOCKS.ddl())
    )


def _finish_blocks(spark: SparkSession, reference: BlocksReference) -> DataFrame:
    return _numbers(spark, reference).mapInArrow(lambda batches: finish_blocks(batches, reference), BLOCKS.ddl())


def _numbers(spark: SparkSession, reference: BlocksReference) -> DataFrame:
    """Return the numbers of the blocks, a partition each."""
    return spark.range(0, reference.n_blocks, 1, reference.n_blocks).withColumnRenamed("id", "block")


def _each_once(blocks: DataFrame, reference: BlocksReference) -> list[Row]:
    rows = sorted(blocks.collect(), key=lambda row: row["block"])
    found = [row["block"] for row in rows]
    if found != [*range(reference.n_blocks)]:
        expected, hint = f"{reference.n_blocks} blocks, each once", "run it again; if it stays, report it"
        raise ComputeError(Problem("writing the blocks", expected, f"the blocks {found}", hint))
    return rows


def _cut(wave: list[int], sizes: dict[int, int], n_train: int) -> Iterator[list[int]]:
    """Yield the chunks of a wave in jobs that keep to EXCHANGE_BYTES and PARTIAL_BYTES, a chunk at least."""
    exchanged = EXCHANGE_BYTES // (8 * n_train * max(sizes[chunk] for chunk in wave))
    step = max(1, min(exchanged, PARTIAL_BYTES // (16 * n_train)))
    for start in range(0, len(wave), step):
        yield wave[start : start + step]


@contextmanager
def _chunk_files(rows: pa.Table, reference: BlocksReference, *, self_validation: bool) -> Iterator[Path]:
    """Yield a folder beside the blocks with a file for each chunk in the rows; removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="chunks-", dir=reference.directory) as folder:
        keys = reference.train_keys()
        for chunk_id in pc.unique(rows["chunk_id"]).to_pylist():
            chunk = rows.filter(pc.equal(rows["chunk_id"], chunk_id)).sort_by("id")
            write_chunk(Path(folder), chunk_id, chunk_arrays(chunk, keys, self_validation=self_validation))
        yield Path(folder)


def _partials(
    spark: SparkSession, wave: list[int], reference: BlocksReference, folder: Path, halves: Halves
) -> DataFrame:
    def tell(batches: Batches) -> Batches:
        return part_batches(batches, reference, folder, wave, halves.parts_of)

    def merge(batches: Batches) -> Batches:
        return merge_chunks(batches, reference, halves.partial_of)

    return (
        _numbers(spark, reference)
        .mapInArrow(tell, PARTS.ddl())
        .transform(lambda parts: one_value_a_task(parts, "chunk_id", wave))
        .sortWithinPartitions("chunk_id", "point", "block")
        .mapInArrow(merge, PARTIALS.ddl())
    )


@contextmanager
def _small_batches(spark: SparkSession, row_bytes: int) -> Iterator[None]:
    """Let Spark hand tasks BATCH_BYTES of such rows at once while the block runs."""
    before = spark.conf.get(BATCH_ROWS)
    spark.conf.set(BATCH_ROWS, max(1, BATCH_BYTES // row_bytes))
    try:
        yield
    finally:
        spark.conf.set(BATCH_ROWS, str(before))


def _of_chunk(partials: pa.Table, chunk: int, n_rows: int, n_values: int) -> Partial:
    """Return one chunk's partial, checked."""
    rows = partials.filter(pc.equal(partials["chunk_id"], chunk))
    totals = [reduce_block(rows.slice(place, 1)) for place in range(len(rows))]
    return assemble(pa.concat_tables([TOTAL_TYPES.empty_table(), *totals]), n_values, {chunk: n_rows})
