"""Decision 0010: CPU and wall time of packing the index, by tasks in place and streamed through the driver."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

from dvspark.engine.replicated import packing
from dvspark.spark.session import open_session
from tests.bench.decisions import print_machine
from tests.bench.jobs import write_tables
from tests.bench.plan_estimate import add_cpu_seconds

N_TRAIN, N_FEATURES = 200_000, 512
# The first run of each way pays for what Java compiles.
RUNS = 3


def main() -> int:
    """Print for each run of each way, in local[2], what it took and the load before."""
    print_machine()
    print(f"{'way':<10}  {'run':>3}  {'CPU s':>6}  {'wall s':>6}  {'load':>5}")
    with tempfile.TemporaryDirectory() as folder, open_session("local[2]", {}) as spark:
        write_tables(folder, N_TRAIN, N_FEATURES, 1)
        rows = spark.read.parquet(f"{folder}/train.parquet")
        for way in ("in place", "streamed"):
            for run in range(1, RUNS + 1):
                before, load, begun = _cpu_seconds(), os.getloadavg()[0], time.monotonic()
                with mock.patch.object(packing, "is_same_host", lambda _, way=way: way == "in place"):
                    packing.build_index(
                        rows,
                        n_train=N_TRAIN,
                        n_features=N_FEATURES,
                        dtype="float32",
                        metric="euclidean",
                        directory=Path(folder) / "index",
                    )
                cpu, wall = _cpu_seconds() - before, time.monotonic() - begun
                print(f"{way:<10}  {run:>3}  {cpu:>6.1f}  {wall:>6.1f}  {load:>5.1f}")
    return 0


def _cpu_seconds() -> float:
    """Return the CPU seconds so far of this process and of all that it has started, Java included."""
    seconds = {os.getpid(): 0.0}
    add_cpu_seconds(seconds)
    return sum(seconds.values())


if __name__ == "__main__":
    sys.exit(main())
