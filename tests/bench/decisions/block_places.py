"""Decision 0052: what the index of the sharded plan takes by tasks that place rows, and from task to task."""

from __future__ import annotations

import os
import sys
import tempfile
from typing import Any
from unittest import mock

from tests.bench.decisions import print_machine

import pyarrow.parquet as pq  # isort: skip

from dvspark.engine.sharded import sharded_blocks
from dvspark.spark.session import open_session
from tests.bench.jobs import write_tables
from tests.bench.rest_of_job import job_stages

SIZES = ((100_000, 4_096, 64), (1_000_000, 64, 64))
WAYS = {"from task to task": False, "in place": True}
ROUNDS = 2


def main() -> int:
    """Print seconds and CPU seconds of the stage index, by turns, after one job that nobody counts; local[2]."""
    print_machine()
    print(f"{'N':>9}  {'D':>5}  {'':17}  {'s':>6}  {'CPU s':>6}  load")
    for n, d, m in SIZES:
        with tempfile.TemporaryDirectory(prefix="dvspark-bench-") as folder:
            write_tables(folder, n, d, m)
            with open_session("local[2]", {"spark.driver.memory": "4g"}) as spark:
                more: dict[str, Any] = {"plan": "sharded", "work_dir": f"{folder}/work"}
                job_stages(folder, spark, "first", **more)
                for number in range(ROUNDS):
                    for way, same_host in WAYS.items():
                        with mock.patch.object(sharded_blocks, "is_same_host", lambda _, same=same_host: same):
                            seconds, cpu = job_stages(folder, spark, f"{way} {number}", **more)
                        told = f"{n:>9,}  {d:>5,}  {way:17}  {seconds['index']:6.1f}  {cpu['index']:6.1f}"
                        print(f"{told}  {os.getloadavg()[0]:4.1f}", flush=True)
            places = [f"{folder}/first", *(f"{folder}/{way} {number}" for way in WAYS for number in range(ROUNDS))]
            values = [pq.read_table(f"{place}/values")["value"] for place in places]
            assert all(value.equals(values[0]) for value in values)
    return 0


if __name__ == "__main__":
    sys.exit(main())
