"""The audit under the sharded plan: what the engine found lies beside the blocks, where the reference meets it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from dvspark.audit.reference import merged_reference_partial, reference_parts
from dvspark.engine.chunks import EXCHANGE_BYTES
from dvspark.engine.compared import compared_batch
from dvspark.engine.index.train_blocks import BlocksReference
from dvspark.engine.replicated.chunk_frames import spark_session_of, table_of_chunks
from dvspark.engine.sharded.exchange import Halves, merged_chunks
from dvspark.engine.sharded.sharded_blocks import chunk_files, small_batches
from dvspark.engine.sharded.sharded_ranking import where_parts_meet
from dvspark.engine.tasks import ChunkWork, sampled_columns
from dvspark.kernels.blocks.merged import MergedPoint
from dvspark.schemas import Partial, Wave
from dvspark.schemas.compared import COMPARED

if TYPE_CHECKING:
    from dvspark.engine.local_chunks import Chunked

NOTHING = np.empty(0)


def reference_halves(reference: BlocksReference, work: ChunkWork) -> Halves:
    """Return the two halves of the audit's reference: distances where the blocks are, values where they meet."""
    options, parameters, n_train = work.options, work.parameters, reference.n_train

    def partial_of(points: Iterator[MergedPoint]) -> Partial:
        known = reference.train_keys()  # mapped where the task runs
        columns = sampled_columns(known.columns, known.keys["id"], work)
        return merged_reference_partial(points, columns, n_train, options, parameters)

    return Halves(lambda block, chunk: reference_parts(block.train, chunk, options.metric), partial_of)


def compared(
    waves: Iterator[Wave], chunks: Chunked, sizes: dict[int, int], reference: BlocksReference, work: ChunkWork
) -> pa.Table:
    """Return `COMPARED` of chunks of one point; ``waves`` has what the engine found, a wave a chunk.

    The reference reads the blocks once for all points that one job may exchange. Beside the blocks lie 8 bytes for each
    training row and point meanwhile. Memory of a task: 82 bytes a training row.
    """
    spark, halves = spark_session_of(chunks), reference_halves(reference, work)
    own_error = work.method.own_error(reference.n_train - work.options.self_validation, work.parameters)
    found, tables, ids = dict[int, Partial](), list[pa.Table](), list(sizes)
    step = max(1, EXCHANGE_BYTES // (8 * reference.n_train))
    with tempfile.TemporaryDirectory(prefix="compared-", dir=reference.directory) as place:
        for wave in waves:
            (chunk,) = wave.chunk_rows
            np.save(_path(place, chunk), wave.totals.value)
            found[chunk] = replace(wave.totals, value=NOTHING, value_squared=NOTHING, row_bounds=None)
        for some in (ids[start : start + step] for start in range(0, len(ids), step)):
            rows = table_of_chunks(chunks, some)
            with (
                chunk_files(rows, reference, self_validation=work.options.self_validation) as folder,
                small_batches(spark, reference),
            ):

                def compare(batches: Iterator[pa.RecordBatch], folder: Path = folder) -> Iterator[pa.RecordBatch]:
                    for chunk, points in merged_chunks(batches, reference, folder):
                        by_engine = replace(found[chunk], value=np.load(_path(place, chunk), "r", allow_pickle=False))
                        yield compared_batch(chunk, by_engine, halves.partial_of(points), own_error)

                told = where_parts_meet(spark, some, reference, folder, halves.parts_of, compare, COMPARED)
                tables.append(told.toArrow())
    return pa.concat_tables(tables)


def _path(folder: str, chunk: int) -> Path:
    return Path(folder, f"{chunk}.npy")
