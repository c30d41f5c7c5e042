"""Row passes on Spark: tasks read stretches of training rows, and tell what was asked.

Each stretch is read by itself, wherever; the driver gets them in order. So tasks, hosts and retries change no bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from dvspark.engine.planning.cluster import read_hosts
from dvspark.errors import ComputeError, Problem
from dvspark.kernels import loops
from dvspark.kernels.gradients.row_pass import Arrays, Between, RowPass, passed_here, stretches
from dvspark.schemas import HEAD_SUMS, Float64s
from dvspark.schemas.arrow import arrow_schema
from dvspark.spark import worker

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TYPES = arrow_schema(HEAD_SUMS)


def passed_on_spark(spark: SparkSession, asked: RowPass, n_train: int, between: Between) -> list[Arrays]:
    """Return what is told of each stretch of all ``n_train`` rows, in order; one stretch alone is read here.

    Bytes that travel: the pass to each task; what is told of each stretch.
    """
    cut = stretches(n_train)
    if len(cut) == 1:
        return passed_here(asked, n_train, between)

    def passed(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        worker.get_ready(loops.fastest)
        for batch in batches:
            for number in batch.column("id").to_pylist():
                yield arrays_batch(number, asked.answer(between(*cut[number])))

    n_parts = min(len(cut), read_hosts(spark, None).n_tasks)
    told = spark.range(0, len(cut), 1, n_parts).mapInArrow(passed, HEAD_SUMS.ddl()).toArrow()
    found: dict[int, pa.Table] = {}
    numbers = np.asarray(told["stretch"])
    for number in range(len(cut)):
        found[number] = told.filter(pa.array(numbers == number))
    return in_order(asked, len(cut), (found[number].to_batches() for number in range(len(cut))))


def in_order(asked: RowPass, n_stretches: int, told: Iterable[Iterable[pa.RecordBatch]]) -> list[Arrays]:
    """Return what is told of all stretches, in their order. Raises: ComputeError if one has not been read once."""
    parts = [arrays_of(batches) for batches in told]
    whole = set(asked.told)
    if len(parts) != n_stretches or any(set(part) != whole for part in parts):
        raise ComputeError(Problem("sums of training rows", f"{n_stretches} stretches, each once", "others"))
    return parts


def arrays_batch(stretch: int, arrays: Mapping[str, Float64s]) -> pa.RecordBatch:
    """Return arrays as `HEAD_SUMS`."""
    told = [
        {"stretch": stretch, "part": name, "shape": one.shape, "numbers": np.ascontiguousarray(one).tobytes()}
        for name, one in arrays.items()
    ]
    return pa.RecordBatch.from_pylist(told, TYPES)


def arrays_of(batches: Iterable[pa.RecordBatch]) -> Arrays:
    """Return the arrays of one stretch by name."""
    return {
        row["part"]: np.frombuffer(row["numbers"], np.float64).reshape(row["shape"])
        for batch in batches
        for row in batch.to_pylist()
    }
