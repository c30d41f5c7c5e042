"""Building blocks on Spark: training rows go into files that all hosts see, one task a block, or in place."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from dvspark.engine.chunks import rows_of_chunk
from dvspark.engine.index.block_writing import (
    begin_blocks,
    combine_blocks,
    finish_blocks,
    look_through_blocks,
    place_in_blocks,
    seal_blocks,
    write_blocks,
)
from dvspark.engine.index.index_writing import Gather, require_every_place
from dvspark.engine.index.train_blocks import BlocksReference, damaged_blocks, sealed_blocks
from dvspark.engine.index.train_index import TrainKeys
from dvspark.engine.replicated.packing import gathered, sorted_keys
from dvspark.engine.replicated.replicated import one_value_a_task
from dvspark.engine.sharded.exchange import write_chunk
from dvspark.engine.tasks import chunk_arrays
from dvspark.errors import ComputeError, Problem
from dvspark.kernels.distances.distances import TILE_ROWS
from dvspark.schemas import BLOCKS, DAMAGE, EXACT, PLACES
from dvspark.spark.session import is_same_host

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row, SparkSession

# Bytes of the exchange that Spark hands to a task at a time. Spark's default number of rows would be gigabytes.
BATCH_BYTES = 64 * 2**20
BATCH_ROWS = "spark.sql.execution.arrow.maxRecordsPerBatch"


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
    keys: pa.Table | None = None,
    gather: Gather | None = None,
) -> BlocksReference:
    """Write train rows (`ROWS` format) as blocks of ``block_rows`` below ``directory``; return the reference.

    ``block_rows`` is a multiple of `distances.TILE_ROWS`, so blocks are cut where tiles are. ``shared``: all hosts see
    the directory under the same path. ``index`` as in `BlocksReference`, ``keys`` as in `packing.sorted_keys`.
    In local mode, tasks write rows to their places, as they come from ``gather``, or else from Spark. Elsewhere Spark
    brings the rows of a block to one task, in order.
    The rows never go through the driver, which holds the keys and 60 bytes a row.
    Raises: ComputeError if the rows are not those that were counted, or hosts do not see the directory.
    """
    if not shared and not is_same_host(train_rows.sparkSession):
        hint = "set work_dir to a folder that the driver and all hosts see"
        raise ComputeError(Problem("writing the blocks", "a folder that all hosts see", "none", hint))
    if block_rows % TILE_ROWS and block_rows < n_train:
        raise ValueError(f"blocks of {block_rows} rows cut a tile of {TILE_ROWS}")
    directory.mkdir(parents=True, exist_ok=True)
    keys = sorted_keys(train_rows, n_train, keys)
    known = TrainKeys.of(keys, dtype)
    known.write(directory)
    reference = BlocksReference(str(directory), n_train, n_features, 0, metric, dtype, block_rows)
    reference = dataclasses.replace(reference, n_owners=known.columns.n_owners, index=index)
    if is_same_host(train_rows.sparkSession):
        _place_rows(train_rows, gather or partial(gathered, train_rows), reference)
    else:
        firsts = [keys["id"][reference.first_row(block)].as_py() for block in range(reference.n_blocks)]
        for row in _each_once(_write_blocks(train_rows, firsts, reference), reference):
            (directory / row["folder"]).rename(reference.folder(row["block"]))
    combine_blocks(reference)
    finished = _each_once(_finish_blocks(train_rows.sparkSession, reference), reference)
    return seal_blocks(reference, sum(row["n_bytes"] for row in finished))


def finished_blocks(spark: SparkSession, directory: Path, digest: str, block_rows: int) -> BlocksReference | None:
    """Return the blocks of ``block_rows`` rows that were finished in ``directory``; None if any is missing or damaged.

    Tasks read every byte of each block.
    """
    reference = sealed_blocks(directory, digest)
    if reference is None or reference.block_rows != block_rows:
        return None
    told = block_numbers_of(spark, reference).mapInArrow(
        lambda batches: damaged_blocks(batches, reference), DAMAGE.ddl()
    )
    return None if any(row["damaged"] for row in _each_once(told, reference)) else reference


def block_numbers_of(spark: SparkSession, reference: BlocksReference) -> DataFrame:
    """Return a DataFrame with the numbers of the blocks, each in a partition of its own."""
    return spark.range(0, reference.n_blocks, 1, reference.n_blocks).withColumnRenamed("id", "block")


@contextmanager
def chunk_files(rows: pa.Table, reference: BlocksReference, *, self_validation: bool) -> Iterator[Path]:
    """Yield a folder beside the blocks with one file for each chunk in the rows. The folder is removed afterward."""
    with tempfile.TemporaryDirectory(prefix="chunks-", dir=reference.directory) as folder:
        keys = reference.train_keys()
        for chunk_id in pc.unique(rows["chunk_id"]).to_pylist():
            chunk = chunk_arrays(rows_of_chunk(rows, chunk_id), keys, self_validation=self_validation)
            write_chunk(Path(folder), chunk_id, chunk)
        yield Path(folder)


@contextmanager
def small_batches(spark: SparkSession, reference: BlocksReference) -> Iterator[None]:
    """Let Spark hand tasks about BATCH_BYTES of keys at a time, a row being those of a block, while the block runs."""
    before = spark.conf.get(BATCH_ROWS)
    spark.conf.set(BATCH_ROWS, max(1, BATCH_BYTES // (8 * min(reference.block_rows, reference.n_train))))
    try:
        yield
    finally:
        spark.conf.set(BATCH_ROWS, str(before))


def _place_rows(train_rows: DataFrame, gather: Gather, reference: BlocksReference) -> None:
    """Have tasks put all rows in their places, then look through each block. Raises: ComputeError for other rows."""
    begin_blocks(reference)
    placed = gather(lambda batches: place_in_blocks(batches, reference), ["id", "embedding"], PLACES)
    require_every_place(placed["place"].to_numpy(), reference.n_train)
    numbers = block_numbers_of(train_rows.sparkSession, reference)
    _each_once(numbers.mapInArrow(lambda batches: look_through_blocks(batches, reference), BLOCKS.ddl()), reference)


def _write_blocks(train_rows: DataFrame, firsts: list[Any], reference: BlocksReference) -> DataFrame:
    """Return the `BLOCKS` rows of the blocks that tasks wrote; ``firsts`` are the ids of the blocks' first rows."""
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
    return block_numbers_of(spark, reference).mapInArrow(
        lambda batches: finish_blocks(batches, reference), BLOCKS.ddl()
    )


def _each_once(blocks: DataFrame, reference: BlocksReference) -> list[Row]:
    rows = sorted(blocks.collect(), key=lambda row: row["block"])
    found = [row["block"] for row in rows]
    if found != [*range(reference.n_blocks)]:
        expected, hint = f"{reference.n_blocks} blocks, each once", "run it again; if it stays, report it"
        raise ComputeError(Problem("writing the blocks", expected, f"the blocks {found}", hint))
    return rows
