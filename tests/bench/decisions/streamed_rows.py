"""Decision 0012: what packing the index takes and leaves in Java, streamed through the driver and through files."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from dvspark.engine.index.train_index import finished_index
from dvspark.engine.replicated import packing
from dvspark.spark.session import open_session
from tests.bench.decisions import print_machine
from tests.bench.frame import apart
from tests.bench.jobs import write_tables
from tests.bench.plan_estimate import add_cpu_seconds

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

N_TRAIN, N_FEATURES = 1_000_000, 256
# The first run of each way pays for what Java compiles; a third one that is streamed does not fit the heap.
RUNS = 2
MIB = 2**20


def main() -> int:
    """Print for each run of each way, in a session of its own in local[2] with 4 GiB of heap, what it took and left."""
    print_machine()
    print("way       run   CPU s  wall s  heap, MiB  shuffles, MiB  check, CPU s")
    with tempfile.TemporaryDirectory() as folder:
        write_tables(folder, N_TRAIN, N_FEATURES, 1)
        digests = set()
        for way in ("streamed", "files"):
            for row in apart(packed, folder=folder, way=way):
                digests.add(row.pop("digest"))
                numbers = "{cpu:>6.1f}  {wall:>6.1f}  {heap:>9.0f}  {shuffles:>13.0f}  {check:>12.1f}".format(**row)
                print(f"{way:<8}  {row['run']:>3}  {numbers}", flush=True)
    print("one index" if len(digests) == 1 else f"{len(digests)} different indexes")
    return 0


def packed(folder: str, way: str) -> list[dict[str, Any]]:
    """Return of each run: CPU and wall seconds; heap and shuffle files left after a collection; CPU of a check."""
    found: list[dict[str, Any]] = []
    shuffles = Path(folder) / f"shuffles-{way}"
    conf = {"spark.local.dir": str(shuffles), "spark.driver.memory": "4g"}
    same_host = mock.patch.object(packing, "is_same_host", return_value=False)
    with same_host, open_session("local[2]", conf) as spark:
        rows = spark.read.parquet(f"{folder}/train.parquet")
        for run in range(1, RUNS + 1):
            cpu, begun = _cpu_seconds(), time.monotonic()
            with tempfile.TemporaryDirectory(dir=folder) as place:
                reference = packing.build_index(
                    rows,
                    n_train=N_TRAIN,
                    n_features=N_FEATURES,
                    dtype="float32",
                    metric="euclidean",
                    directory=Path(place) / "index",
                    shared=way == "files",
                )
                took = {"cpu": _cpu_seconds() - cpu, "wall": time.monotonic() - begun}
                begun = time.process_time()
                assert finished_index(Path(reference.directory), reference.digest) == reference
                took["check"] = time.process_time() - begun
            found.append({"run": run, **took, **_left(spark, shuffles), "digest": reference.digest})
    return found


def _left(spark: SparkSession, shuffles: Path) -> dict[str, Any]:
    java: Any = spark._jvm
    gc.collect()
    for _ in range(3):  # what the first one finds unused is removed by a thread, and is garbage then
        java.java.lang.System.gc()
        time.sleep(2)
    runtime = java.java.lang.Runtime.getRuntime()
    sizes = [path.stat().st_size for path in shuffles.rglob("*.data")]
    heap = (runtime.totalMemory() - runtime.freeMemory()) / MIB
    return {"heap": heap, "shuffles": sum(sizes) / MIB}


def _cpu_seconds() -> float:
    """Return the CPU seconds so far of this process and of all that it has started, Java included."""
    seconds = {os.getpid(): 0.0}
    add_cpu_seconds(seconds)
    return sum(seconds.values())


if __name__ == "__main__":
    sys.exit(main())
