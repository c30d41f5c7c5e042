"""Decision 0005: how many tasks are empty when Spark hashes chunk ids, and with a place for each."""

from __future__ import annotations

import sys

from dvspark.engine.replicated.replicated import hashed_to_place, one_value_a_task
from dvspark.spark.session import open_session
from tests.bench.decisions import print_machine

SIZES = (8, 64)


def main() -> int:
    """Print for each number of chunks how they are spread over as many tasks."""
    print_machine()
    print(f"{'chunks':>6}  {'way':<22}  {'empty tasks':>11}  {'most chunks in a task':>21}")
    with open_session("local[2]", {}) as spark:
        for n in SIZES:
            chunks = spark.range(n).selectExpr("cast(id AS int) AS chunk_id", "id")
            ways = {
                "hashed": chunks.repartition(n, "chunk_id"),
                "hashed to their places": hashed_to_place(chunks, "chunk_id", [*range(n)]),
                "told their places": one_value_a_task(chunks, "chunk_id", [*range(n)]),
            }
            for way, spread in ways.items():
                tasks = spread.selectExpr("spark_partition_id() AS task").groupBy("task").count().toPandas()
                print(f"{n:>6}  {way:<22}  {n - len(tasks):>11}  {tasks['count'].max():>21}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
