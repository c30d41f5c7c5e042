"""Task values: the values of training rows by task, as a table that a run publishes beside its values."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from dvspark.schemas import BY_TASK, OWNER
from dvspark.schemas.arrow import arrow_type

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def by_task_table(tables: Sequence[tuple[str | int, pa.Table]], task_type: str) -> pa.Table:
    """Return `BY_TASK` from each task's table of values, with owners if these have them.

    ``task_type``: the Spark DDL of tasks. Cost: a copy of all tables.
    """
    parts = []
    for task, values in tables:
        names = [name for name in (*BY_TASK.names, OWNER.name) if name in values.column_names]
        tasks = pa.array([task], arrow_type(task_type)).take(pa.nulls(len(values), pa.int8()).fill_null(0))
        parts.append(values.select(names).add_column(0, "task", tasks))
    return pa.concat_tables(parts)


def by_task_frame(spark: SparkSession, by_task: pa.Table, types: dict[str, str]) -> DataFrame:
    """Return `BY_TASK` as a Spark DataFrame; ``types``: those of id, label, maybe owner, and task."""
    columns = tuple(column for column in (*BY_TASK.columns, OWNER) if column.name in by_task.column_names)
    return spark.createDataFrame(by_task, schema=dataclasses.replace(BY_TASK, columns=columns).ddl(**types))
