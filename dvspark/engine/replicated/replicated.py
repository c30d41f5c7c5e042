"""The replicated plan on Spark: every host maps the whole index; tasks value chunks of validation rows."""

from __future__ import annotations

import atexit
import dataclasses
import functools
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from dvspark.engine.chunks import Cut, queries
from dvspark.engine.compared import compare_chunks
from dvspark.engine.index.host_cache import open_on_host
from dvspark.engine.index.manifest import MANIFEST, read_manifest
from dvspark.engine.index.train_index import IndexReference, TrainIndex, TrainKeys
from dvspark.engine.planning.cluster import read_hosts
from dvspark.engine.reduce import reduce_block, wave_of
from dvspark.engine.replicated.chunk_frames import frame_of_chunks, spark_session_of
from dvspark.engine.replicated.row_passes import passed_on_spark
from dvspark.engine.tasks import (
    ChunkWork,
    ListedRows,
    chunk_arrays,
    count_chunks,
    near_chunks,
    value_chunks,
)
from dvspark.errors import ComputeError, Problem
from dvspark.host.own_folder import OwnFolder
from dvspark.kernels import loops
from dvspark.kernels.gradients.head_gradients import AnyPiece
from dvspark.kernels.gradients.row_pass import Arrays, RowPass, taken
from dvspark.kernels.nearest.nearest import merge_nearest
from dvspark.kernels.ranking.ranking import RankingOptions
from dvspark.kernels.workspace import Workspace
from dvspark.methods.kinds import radius as methods_radius
from dvspark.methods.kinds.nearest import NearestMethod
from dvspark.methods.kinds.shared import labelled_rows
from dvspark.schemas import (
    NEIGHBOR_COUNTS,
    PARTIALS,
    TOTALS,
    Float64s,
    Int64s,
    TrainArrays,
    Wave,
)
from dvspark.schemas.compared import COMPARED
from dvspark.schemas.reviewing import NEAR_POINTS
from dvspark.spark import worker
from dvspark.spark.progress import watch_tasks
from dvspark.spark.session import is_same_host
from dvspark.units import show_bytes

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from dvspark.engine.local_chunks import Chunked
    from dvspark.local.rows import Frame

# Up to this size the index may travel with the job, which needs no shared storage, but is stored once more by
# the driver and sent to every executor; beyond it, each host copies it once from shared storage.
LARGEST_ARTIFACT_BYTES = 4 * 2**30

Batches = Iterator[pa.RecordBatch]


def choose_shipping(spark: SparkSession, index_bytes: int, *, shared: bool) -> str:
    """Return how an index reaches the hosts of executors, for `ship_index`; the first clause that holds decides.

    ``shared``: the index is packed in a folder that all hosts see under the same path.
    Raises: ComputeError if the index is too large to travel with the job and there is no such folder.
    """
    if is_same_host(spark):  # 1. local mode: the files are mapped where they lie
        return "in_place"
    if shared:  # 2. every host copies it from shared storage
        return "shared"
    if index_bytes <= LARGEST_ARTIFACT_BYTES:  # 3. it travels with the job
        return "artifact"
    expected = f"an index of at most {LARGEST_ARTIFACT_BYTES / 2**30:.0f} GiB, or a shared folder"
    hint = "set work_dir to a folder that the driver and all hosts see"
    raise ComputeError(Problem("shipping the index", expected, show_bytes(index_bytes), hint))


def ship_index(spark: SparkSession, reference: IndexReference, shipping: str) -> IndexReference:
    """Make the index reachable from every executor; return the reference that says how to reach it."""
    if shipping == "artifact":
        directory = Path(reference.directory)
        for name in [MANIFEST, *read_manifest(directory)["files"]]:
            link = _shipped_folder() / reference.artifact_name(name)
            if not link.exists():
                os.link(directory / name, link)
            spark.addArtifacts(str(link), file=True)
    return dataclasses.replace(reference, shipping=shipping)


@functools.cache
def _shipped_folder() -> Path:
    """Return a folder that lasts as long as this process.

    Classic Spark reads a given file when an executor asks for it, and an executor that joins later asks for every file
    ever given before it takes a task. So a file that is gone would make all its tasks fail.
    """
    own = OwnFolder.make_scratch(Path(tempfile.gettempdir()))
    atexit.register(own.remove)
    return own.path


def open_here(reference: IndexReference) -> TrainIndex:
    """Return the index, opened on the host that runs this, driver or executor."""
    return open_on_host(reference, lambda name: _source_of(reference, name))


def train_keys(reference: IndexReference) -> TrainKeys:
    """Return the ids, labels and, where known, owners of all training rows, as `TrainKeys`."""
    return open_here(reference).train_keys


def train_pieces(reference: IndexReference) -> Iterator[TrainArrays]:
    """Yield the training rows in id order, mapped on this host; here in one piece, the whole index."""
    yield open_here(reference).arrays


def listed_rows(reference: IndexReference, rows: list[int]) -> ListedRows:
    """Return the training rows at these places, read on this host."""
    index = open_here(reference)
    return ListedRows(rows, np.asarray(index.arrays.x[rows]), index.keys["id"].take(pa.array(rows, pa.int64())))


def row_pass(rows: Frame, reference: IndexReference, work: ChunkWork, asked: RowPass) -> list[Arrays]:  # noqa: ARG001
    """Return what a pass tells of each stretch of the training rows; ``rows``: any of the session that is to work."""
    return passed_on_spark(spark_session_of(rows), asked, reference.n_train, lambda *ends: between(reference, *ends))


def between(reference: IndexReference, start: int, stop: int) -> Iterator[AnyPiece]:
    """Yield the training rows from one place to another with their classes, mapped on this host."""
    yield taken(labelled_rows(open_here(reference).arrays), slice(start, stop))


def value_waves(
    chunks: Chunked,
    sizes: dict[int, int],
    reference: IndexReference,
    work: ChunkWork,
    report: Callable[[int, int], None] = lambda _done, _total: None,
    n_done: int = 0,
    n_tasks: int = 1,
    cut: Cut | None = None,
) -> Iterator[Wave]:
    """Yield the waves of chunks in ascending order, without those that are done; their pairwise sum is the result.

    ``sizes`` has the validation rows of all chunks, of which the first ``n_done`` are done. ``n_tasks`` run at once.
    ``cut`` has the places of the waves, by default as `chunks.queries` yields them.
    A task values one chunk after the other. Partials meet by wave and block of train rows, and are added pairwise in
    order. So tasks, retries, hosts and the sizes of waves change no bit.
    """
    spark, ids = spark_session_of(chunks), list(sizes)
    for places in cut or queries(len(ids), n_done, n_tasks):
        done, stop = places[0][0], places[-1][1]
        with watch_tasks(spark, stop - done, report, done, len(ids)):
            totals = _wave_totals(chunks, [ids[start:end] for start, end in places], reference, work).toArrow()
        report(stop, len(ids))
        firsts = np.array([row[0] for row in totals["chunk_ids"].to_pylist()], np.int64)
        for start, end in places:
            here = {chunk: sizes[chunk] for chunk in ids[start:end]}
            of_wave = totals.filter(pa.array(np.isin(firsts, ids[start:end])))
            yield wave_of(of_wave, work.n_values(reference), start, here)


def neighbor_counts(chunks: Chunked, sizes: dict[int, int], reference: IndexReference, work: ChunkWork) -> pa.Table:
    """Return `NEIGHBOR_COUNTS` of all validation rows, for `radius` methods; 16 bytes a row reach the driver."""

    def count(batches: Batches) -> Batches:
        worker.get_ready(loops.fastest)
        return count_chunks(batches, open_here(reference), work)

    placed = _placed(chunks, sorted(sizes))
    kind = placed.schema["id"].dataType.simpleString()
    return placed.mapInArrow(count, NEIGHBOR_COUNTS.ddl(id=kind)).toArrow()


def near_points(chunks: Chunked, sizes: dict[int, int], reference: IndexReference, work: ChunkWork) -> pa.Table:
    """Return `NEAR_POINTS` of training rows in chunks; 12 bytes a near row reach the driver."""

    def find(batches: Batches) -> Batches:
        worker.get_ready(loops.fastest)
        return near_chunks(batches, open_here(reference), work)

    return _placed(chunks, sorted(sizes)).mapInArrow(find, NEAR_POINTS.ddl()).toArrow()


def compared_points(chunks: Chunked, sizes: dict[int, int], reference: IndexReference, work: ChunkWork) -> pa.Table:
    """Return `COMPARED` of chunks of one point, valued by the kernel and by the reference.

    There are as many tasks as run at once: one for each point would take longer to begin than to compare.
    """
    n_tasks = read_hosts(spark_session_of(chunks), None).n_tasks

    def compare(batches: Batches) -> Batches:
        worker.get_ready(loops.fastest)
        return compare_chunks(batches, open_here(reference), work, value_chunks)

    return _placed(chunks, sorted(sizes)).coalesce(n_tasks).mapInArrow(compare, COMPARED.ddl()).toArrow()


def tenth_distances(
    validation_rows: object,  # noqa: ARG001 - blocks are asked through their session
    sample: pa.Table,
    reference: IndexReference,
    options: RankingOptions,
    *,
    self_validation: bool,
) -> Float64s:
    """Return each sampled validation row's distance to its tenth nearest training row, float64 (n_points,)."""
    opened = open_here(reference)
    points = chunk_arrays(sample, opened.train_keys, self_validation=self_validation)
    return methods_radius.tenth_distances(opened.arrays, points, options)


def nearest_rows(
    validation_rows: object,  # noqa: ARG001 - blocks are asked through their session
    sample: pa.Table,
    reference: IndexReference,
    work: ChunkWork,
    *,
    exact: bool,
) -> list[Int64s]:
    """Return for each sampled validation row the training rows that decide its values; ``exact``: not by an index."""
    opened, alone = open_here(reference), work.options.self_validation
    train = dataclasses.replace(opened.arrays, search=None) if exact else opened.arrays
    points = chunk_arrays(sample, opened.train_keys, self_validation=alone)
    options, n_players = work.options.ranking_options(work.parameters, train.n_train), train.n_train - alone
    method, asked = NearestMethod.of(work.method), work.method.n_asked(n_players, work.parameters)
    near = method.near(train, points, options, n_players, method.own(work.parameters), Workspace())
    return [merge_nearest([part], asked, options.metric).rows for part in near]


def _placed(chunks: Chunked, ids: list[int]) -> DataFrame:
    """Return the rows of some chunks, in id order, each chunk in a task of its own."""
    rows = frame_of_chunks(chunks, ids)
    return one_value_a_task(rows, "chunk_id", ids).sortWithinPartitions("chunk_id", "id")


def one_value_a_task(rows: DataFrame, column: str, values: list[int]) -> DataFrame:
    """Return the rows partitioned so that every value of an integer column has a task of its own.

    Hashed, a third of as many partitions would be empty. Spark 4.1 accepts partition numbers (docs/decisions/0005).
    """
    if len(values) == 1:
        return rows.repartition(1)
    if not hasattr(rows, "repartitionById"):
        return hashed_to_place(rows, column, values)
    places = ", ".join(f"{value}, {place}" for place, value in enumerate(values))
    placed = rows.selectExpr("*", f"map({places})[{column}] AS place")
    return placed.repartitionById(len(values), "place").drop("place")


def hashed_to_place(rows: DataFrame, column: str, values: list[int]) -> DataFrame:
    """Do the same in Spark 4.0: each value is replaced by a number that Spark itself hashes to the wanted partition."""
    n = len(values)
    draws = rows.sparkSession.range(32 * n).selectExpr("id AS number", f"pmod(hash(id), {n}) AS place")
    numbers = {
        row["place"]: row["number"]
        for row in draws.groupBy("place").agg({"number": "min"}).toDF("place", "number").collect()
    }
    routes = ", ".join(f"{value}, {numbers.get(place, place)}L" for place, value in enumerate(values))
    return rows.selectExpr("*", f"map({routes})[{column}] AS route").repartition(n, "route").drop("route")


def _wave_totals(chunks: Chunked, waves: list[list[int]], reference: IndexReference, work: ChunkWork) -> DataFrame:
    ids = [chunk for wave in waves for chunk in wave]
    numbers = " + ".join(["0", *(f"int(chunk_id >= {wave[0]})" for wave in waves[1:])])

    def value(batches: Batches) -> Batches:
        worker.get_ready(loops.fastest)
        return value_chunks(batches, open_here(reference), work)

    return (
        _placed(chunks, ids)
        .mapInArrow(value, PARTIALS.ddl())
        .selectExpr("*", f"{numbers} AS wave")
        .groupBy("train_block", "wave")
        .applyInArrow(reduce_block, TOTALS.ddl())
    )


def _source_of(reference: IndexReference, name: str) -> Path:
    if reference.shipping == "artifact":
        from pyspark import SparkFiles  # noqa: PLC0415 - only where files were shipped

        return Path(SparkFiles.get(reference.artifact_name(name)))
    return Path(reference.directory) / name
