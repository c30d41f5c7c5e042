"""What many small jobs leave behind in one long-lived session: `python -m tests.bench.soak`."""

from __future__ import annotations

import gc
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from dvspark.config.sources import load_config
from dvspark.run import pipeline
from dvspark.spark.session import open_session
from tests.bench.frame import Result, Row, apart, at_most, result, run, say
from tests.bench.jobs import write_tables

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

QUESTION = "What do many small jobs leave behind in one session?"
METHOD = """\
Jobs one after the other in one session in local[2], each with an output of its own. After every fifth of them,
garbage is collected in Python and in the JVM, the session is left alone for 65 seconds, and what is still there is
counted: resident memory of the driver, bytes in use of the JVM's heap, threads of both, files in the folders for
temporary files and for shuffles, and what Spark has stored. The first fifth of the jobs is the start, which loads code.
Spark's record of past queries, of which it keeps 1,000 by default, is cut to 20, so that it is full by then.

"At work" is counted as a job ends. Spark starts a thread for each exchange and each result of a query, even where
others of the pool are idle, up to 1,024 a pool, and up to 200 to remove blocks; each goes when it was idle for 60
seconds. So they follow the queries of the last minute, not the jobs so far. Idle Python workers go as soon."""
N_JOBS, TINY_JOBS = 200, 3
SIZES = (2_000, 16, 100)
SAMPLES = 5
RETAINED = {f"spark.{what}": "20" for what in ("sql.ui.retainedExecutions", "ui.retainedJobs", "ui.retainedStages")}
# Spark's pools keep an idle thread for 60 seconds.
IDLE_SECONDS = 65.0
# Spark removes a query's shuffle files and broadcasts some time after its plan was collected, in a thread of its own.
CLEAN_SECONDS = 1.0
MIB = 2**20
# What may be more at the end than after the start: memory in MiB, else a number.
LARGEST_GROWTH = {
    "driver, MiB": 20.0,
    "JVM heap, MiB": 20.0,
    "driver threads": 0,
    "JVM threads": 5,  # of the heartbeat and the like, which come and go
    "Python workers at work": 0,
    "temporary files": 0,
    "shuffle files": 20,  # of the last query
    "stored by Spark": 0,
}


def main(tiny: bool = False) -> Result:
    """Measure; about half an hour."""
    return measure(TINY_JOBS, 0.0) if tiny else measure(N_JOBS, IDLE_SECONDS)


def measure(n_jobs: int, idle_seconds: float) -> Result:
    """Return what is there in the course of so many jobs, each time after the session was left alone."""
    with tempfile.TemporaryDirectory(prefix="dvspark-bench-") as folder:
        apart(write_tables, folder=folder, n=SIZES[0], d=SIZES[1], m=SIZES[2])
        temporary = Path(folder) / "temporary"
        temporary.mkdir()
        say(f"soak: {n_jobs} jobs")
        variables = {"TMPDIR": str(temporary)}
        samples = apart(soak, threads=1, variables=variables, folder=folder, n_jobs=n_jobs, idle=idle_seconds)
    first, last = samples[0], samples[-1]
    targets = [
        at_most(f"{name}, growth from job {first['jobs']} to job {last['jobs']}", limit, last[name] - first[name])
        for name, limit in LARGEST_GROWTH.items()
    ]
    return result("soak", QUESTION, METHOD, targets, {"What is there after so many jobs": samples})


def soak(folder: str, n_jobs: int, idle: float) -> list[Row]:
    """Run the jobs and return what is there after every fifth of them."""
    shuffles = Path(folder) / "shuffles"
    conf = {**RETAINED, "spark.local.dir": str(shuffles)}
    given: dict[str, Any] = {side: {"path": f"{folder}/{side}.parquet"} for side in ("train", "validation")}
    samples = []
    with open_session("local[2]", conf) as spark:
        for number in range(1, n_jobs + 1):
            settings = {**given, "output": {"path": f"{folder}/outputs/{number}"}, "report": False, "chunk_rows": 25}
            pipeline.run(load_config(None, settings), spark)
            if number % max(1, n_jobs // SAMPLES) == 0:
                samples.append({"jobs": number, **_what_is_there(spark, shuffles, idle)})
                say(f"soak: {samples[-1]}")
    return samples


def _what_is_there(spark: SparkSession, shuffles: Path, idle: float) -> Row:
    java: Any = spark._jvm
    threads = java.java.lang.management.ManagementFactory.getThreadMXBean()
    runtime, here = java.java.lang.Runtime.getRuntime(), psutil.Process()
    at_work = {
        "JVM threads at work": threads.getThreadCount(),
        "Python workers at work": sum("python" in child.name() for child in here.children(recursive=True)),
    }
    _collect(java)  # what is found unused is removed by threads, and is garbage then
    time.sleep(idle)
    n_threads = threads.getThreadCount()
    _collect(java)
    return {
        **at_work,
        "driver, MiB": here.memory_info().rss / MIB,
        "JVM heap, MiB": (runtime.totalMemory() - runtime.freeMemory()) / MIB,
        "driver threads": threading.active_count(),
        "JVM threads": n_threads,
        "temporary files": _n_files(Path(os.environ["TMPDIR"])),
        "shuffle files": _n_files(shuffles),
        "stored by Spark": spark.sparkContext._jsc.sc().getPersistentRDDs().size(),
    }


def _collect(java: Any) -> None:
    gc.collect()
    java.java.lang.System.gc()
    time.sleep(CLEAN_SECONDS)


def _n_files(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


if __name__ == "__main__":
    run(main)
