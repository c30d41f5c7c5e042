"""Head passes on Spark: tasks add up stretches of training rows in a head, and value their rows.

Each stretch is added up by itself, wherever; the driver adds them in order. So tasks, hosts and retries change no bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from dvspark.engine.planning.cluster import read_hosts
from dvspark.errors import ComputeError, Problem
from dvspark.kernels import loops
from dvspark.kernels.gradients.head_gradients import Piece
from dvspark.kernels.gradients.head_pass import HeadPass, PassSums, stretches
from dvspark.kernels.one_thread import one_thread
from dvspark.schemas import HEAD_SUMS, Float64s
from dvspark.schemas.arrow import arrow_schema
from dvspark.spark import worker

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Yields the training rows from one place to another, mapped on the host that runs it.
Between = Callable[[int, int], Iterator[Piece]]
TYPES = arrow_schema(HEAD_SUMS)


def passed_on_spark(spark: SparkSession, asked: HeadPass, n_train: int, between: Between) -> PassSums:
    """Return the sums over all ``n_train`` rows, and their values; one stretch alone is added up here.

    Bytes that travel: the pass to each task; of each stretch its sums, and 8 a row valued.
    """
    cut = stretches(n_train)
    if len(cut) == 1:
        return passed_here(asked, n_train, between)

    def passed(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        worker.get_ready(loops.fastest)
        for batch in batches:
            for number in batch.column("id").to_pylist():
                yield arrays_batch(number, asked.over(between(*cut[number])).arrays())

    n_parts = min(len(cut), read_hosts(spark, None).n_tasks)
    told = spark.range(0, len(cut), 1, n_parts).mapInArrow(passed, HEAD_SUMS.ddl()).toArrow()
    found: dict[int, pa.Table] = {}
    numbers = np.asarray(told["stretch"])
    for number in range(len(cut)):
        found[number] = told.filter(pa.array(numbers == number))
    return joined(len(cut), (found[number].to_batches() for number in range(len(cut))))


def passed_here(asked: HeadPass, n_train: int, between: Between) -> PassSums:
    """Return the same by this process."""
    with one_thread():
        return PassSums.joined([asked.over(between(start, stop)).arrays() for start, stop in stretches(n_train)])


def joined(n_stretches: int, told: Iterable[Iterable[pa.RecordBatch]]) -> PassSums:
    """Return the sums of all stretches, told in their order. Raises: ComputeError if one has not been added up once."""
    parts = [arrays_of(batches) for batches in told]
    whole = set(PassSums.names())
    if len(parts) != n_stretches or any(set(part) != whole for part in parts):
        raise ComputeError(Problem("sums of training rows", f"{n_stretches} stretches, each once", "others"))
    return PassSums.joined(parts)


def arrays_batch(stretch: int, arrays: Mapping[str, Float64s]) -> pa.RecordBatch:
    """Return arrays as `HEAD_SUMS`."""
    told = [
        {"stretch": stretch, "part": name, "shape": one.shape, "numbers": np.ascontiguousarray(one).tobytes()}
        for name, one in arrays.items()
    ]
    return pa.RecordBatch.from_pylist(told, TYPES)


def arrays_of(batches: Iterable[pa.RecordBatch]) -> dict[str, Float64s]:
    """Return the arrays of one stretch by name."""
    return {
        row["part"]: np.frombuffer(row["numbers"], np.float64).reshape(row["shape"])
        for batch in batches
        for row in batch.to_pylist()
    }
