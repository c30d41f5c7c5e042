"""Threads: the products of a task use as many as Spark gives it cores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark


def test_worker__multiplies_with_as_many_threads_as_the_task_has_cores(spark: SparkSession) -> None:
    def threads(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import numpy  # noqa: F401 - brings the library whose threads are counted
        from threadpoolctl import threadpool_info

        found = [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]
        for batch in batches:
            yield pa.RecordBatch.from_pydict({"threads": pa.array(found * len(batch), pa.int32())})

    found = spark.range(1).mapInArrow(threads, "threads int").collect()
    assert {row["threads"] for row in found} == {int(spark.conf.get("spark.task.cpus", "1"))}
