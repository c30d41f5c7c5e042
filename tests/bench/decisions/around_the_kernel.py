"""Decision 0016: what surrounds the kernel: garbage of workers, and Java's collector.

200,000 normal rows of 512 features, local[2]. Each collector in a process of its own.
"""

from __future__ import annotations

import gc
import sys
import tempfile
import time

from dvspark import worker
from dvspark.engine.session import COLLECTOR, LOCAL_CONF
from dvspark.kernels import loops
from tests.bench.decisions import print_machine
from tests.bench.frame import apart
from tests.bench.jobs import run_jobs, write_tables

N_TRAIN, N_FEATURES, N_POINTS = 200_000, 512, 2_048
JOBS, ROUNDS = 3, 2
COLLECTORS = {"Java's own choice": "-XX:+UseG1GC", "parallel": COLLECTOR}


def main() -> int:
    """Print milliseconds of a search for garbage, and seconds of jobs by collector, in turns."""
    print_machine()
    for what, milliseconds in searches().items():
        print(f"search for garbage, {what}: {milliseconds:.1f} ms")
    with tempfile.TemporaryDirectory(prefix="dvspark-bench-") as folder:
        write_tables(folder, N_TRAIN, N_FEATURES, N_POINTS)
        for name, option in [*COLLECTORS.items()] * ROUNDS:
            java = {"spark.driver.extraJavaOptions": f"{LOCAL_CONF['spark.driver.extraJavaOptions']} {option}"}
            jobs = apart(run_jobs, folder=folder, master="local[2]", jobs=[{}] * JOBS, conf=java)
            print(f"jobs, collector {name}: {_listed([job['job_seconds'] for job in jobs])} s")
    return 0


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
