"""Decision 0016: what surrounds the kernel: garbage of workers, Java's collector, Java's compilers.

200,000 normal rows of 512 features, local[2]. Each of Java's options in a process of its own; seconds of jobs, then the
CPU seconds of Java and all others together.
"""

from __future__ import annotations

import gc
import sys
import tempfile
import time
from typing import Any

from dvspark.kernels import loops
from dvspark.spark import session, worker
from dvspark.spark.session import COLLECTOR, LATE_COMPILER
from dvspark.tables.sources import read
from tests.bench.decisions import print_machine
from tests.bench.frame import apart
from tests.bench.jobs import run_jobs, write_tables
from tests.bench.rest_of_job import tree_cpu

N_TRAIN, N_FEATURES, N_POINTS = 200_000, 512, 2_048
JOBS, ROUNDS = 3, 2
COLLECTORS = {"Java's own choice": "-XX:+UseG1GC", "parallel": COLLECTOR}
COMPILERS = {
    "both compilers": "",
    "the first compiler alone": "-XX:TieredStopAtLevel=1",
    "the second one late": LATE_COMPILER,
    "both, as threads that wait for others": "-XX:ThreadPriorityPolicy=1 -XX:CompilerThreadPriority=19",
}


def main() -> int:
    """Print milliseconds of a search for garbage, and seconds of jobs by collector and by compiler, in turns."""
    print_machine()
    for what, milliseconds in searches().items():
        print(f"search for garbage, {what}: {milliseconds:.1f} ms")
    with tempfile.TemporaryDirectory(prefix="dvspark-bench-") as folder:
        write_tables(folder, N_TRAIN, N_FEATURES, N_POINTS)
        for name, option in [*COLLECTORS.items()] * ROUNDS:
            seconds = apart(job_seconds, folder=folder, collector=option, compiler=LATE_COMPILER, reader="Arrow")
            print(f"jobs, collector {name}: {_listed(seconds)} s", flush=True)
        for reader in ("Arrow", "Spark"):
            for name, option in [*COMPILERS.items()] * ROUNDS:
                seconds = apart(job_seconds, folder=folder, collector=COLLECTOR, compiler=option, reader=reader)
                print(f"jobs, {name}, rows read by {reader}: {_listed(seconds)} s", flush=True)
    return 0


def job_seconds(folder: str, collector: str, compiler: str, reader: str) -> list[float]:
    """Return the seconds of jobs of one session of Java with such options, then the CPU seconds of all."""
    if reader == "Spark":
        read.row_files = _no_files
    session.COLLECTOR, session.LATE_COMPILER = collector, compiler  # type: ignore[misc]
    seconds = [job["job_seconds"] for job in run_jobs(folder, "local[2]", [{}] * JOBS)]
    return [*seconds, tree_cpu()]


def _no_files(*_: Any) -> None:
    """Say of a table that Arrow cannot read its files."""


def searches() -> dict[str, float]:
    """Return the CPU milliseconds of a search with what a worker has loaded, before and after it is ready."""
    loops.fastest()
    found = {}
    for what in ("all that is loaded", "a worker that is ready"):
        if what == "a worker that is ready":
            worker.get_ready(loops.fastest)
        gc.collect()
        begun = time.process_time()
        gc.collect()
        found[what] = 1e3 * (time.process_time() - begun)
    return found


def _listed(seconds: list[float]) -> str:
    return ", ".join(f"{one:.2f}" for one in seconds)


if __name__ == "__main__":
    sys.exit(main())
