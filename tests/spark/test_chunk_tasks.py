"""Every chunk has a task of its own, whichever way Spark is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from dvspark.engine.replicated.replicated import hashed_to_place, one_value_a_task

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark


@pytest.mark.parametrize("placed", [one_value_a_task, hashed_to_place])
def test_one_value_a_task__no_two_values_share_one(spark: SparkSession, placed: Callable[..., Any]) -> None:
    values = [3, 5, 8, 13, 21, 34, 55, 89]  # hashed into as many partitions, some meet
    rows = spark.range(1_000).selectExpr("id", "cast(array(3, 5, 8, 13, 21, 34, 55, 89)[id % 8] AS int) AS chunk_id")
    found = placed(rows, "chunk_id", values)
    assert found.columns == rows.columns
    tasks = found.selectExpr("spark_partition_id() AS task", "chunk_id").groupBy("task", "chunk_id").count().collect()
    assert sorted(row["chunk_id"] for row in tasks) == values
    assert sorted(row["task"] for row in tasks) == [*range(len(values))]
    assert sum(row["count"] for row in tasks) == 1_000
