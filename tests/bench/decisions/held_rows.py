"""Decision 0049: what a job on Spark takes where the driver holds the validation rows, and where Spark keeps them."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from typing import Any

from dvspark.config.sources import load_config
from dvspark.engine.replicated import chunk_frames
from dvspark.run import pipeline
from dvspark.spark.session import open_session
from tests.bench.decisions import print_machine
from tests.bench.frame import apart
from tests.bench.jobs import write_tables
from tests.bench.rest_of_job import tree_cpu

SIZES = ((2_000, 64, 500), (50_000, 256, 4_000))
ROUNDS = 2
JOBS = 4


def main() -> int:
    """Print seconds, and CPU seconds of all processes, of the first job of a session and of the least later one."""
    print_machine()
    print(f"{'N':>7}  {'D':>4}  {'M':>6}  {'rows':>6}  jobs  first: s  CPU s  later: s  CPU s  load")
    for n, d, m in SIZES:
        with tempfile.TemporaryDirectory(prefix="dvspark-bench-") as folder:
            write_tables(folder, n, d, m)
            for number in range(ROUNDS):
                for where in ("spark", "driver"):
                    first, *later = apart(measured, folder=folder, where=where, number=number)
                    least = [min(job[what] for job in later) for what in ("s", "CPU s")]
                    told = f"{first['s']:8.1f}  {first['CPU s']:5.1f}  {least[0]:8.1f}  {least[1]:5.1f}"
                    sizes = f"{n:>7,}  {d:>4}  {m:>6,}"
                    print(f"{sizes}  {where:>6}  {first['jobs']:>4}  {told}  {os.getloadavg()[0]:4.1f}", flush=True)
    return 0


def measured(folder: str, where: str, number: int) -> list[dict[str, Any]]:
    """Return what each job of a session took, and how many jobs of Spark it was."""
    if where == "spark":
        chunk_frames.HELD_BYTES = 0
    given = {side: {"path": f"{folder}/{side}.parquet"} for side in ("train", "validation")}
    found = []
    with open_session("local[2]", {}) as spark:
        for job in range(JOBS):
            more = {"output": {"path": f"{folder}/{where}-{number}-{job}"}, "k": 10, "run_id": "run"}
            begun, before = time.monotonic(), tree_cpu()
            pipeline.run(load_config(None, {**given, **more}), spark)
            jobs = spark.sparkContext._jsc.sc().dagScheduler().nextJobId()
            found.append({"s": time.monotonic() - begun, "CPU s": tree_cpu() - before, "jobs": jobs})
    return found


if __name__ == "__main__":
    sys.exit(main())
