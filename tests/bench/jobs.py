"""Jobs for benchmarks to measure: tables of normal rows, and jobs on them in a Spark session of their own."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dvspark.config.sources import load_config
from dvspark.run import pipeline
from dvspark.spark.class_data import CLASS_DATA_VARIABLE
from dvspark.spark.session import open_session
from tests.bench.frame import environment

N_CLASSES = 10
# Benchmarks of Spark run in local mode with so many tasks at once.
CORES = 2
# A row group is what Spark gives to a task at least: some 25 MB of a table, so that all cores have several.
ROW_GROUP_BYTES = 25 * 2**20


def write_tables(folder: str, n: int, d: int, m: int) -> None:
    """Write train.parquet with n rows of d features and validation.parquet with m, normal, in `N_CLASSES` classes."""
    for seed, (side, first_id, n_rows) in enumerate([("train", 0, n), ("validation", n, m)]):
        rng = np.random.default_rng(seed)
        x = pa.array(rng.standard_normal(n_rows * d, np.float32))
        embedding = pa.ListArray.from_arrays(np.arange(0, n_rows * d + 1, d, dtype=np.int32), x)
        columns = {
            "id": np.arange(first_id, first_id + n_rows),
            "embedding": embedding,
            "label": rng.integers(0, N_CLASSES, n_rows),
        }
        rows = max(1, ROW_GROUP_BYTES // (4 * d))
        # Random floats do not compress, and trying takes longer than reading them.
        pq.write_table(pa.table(columns), Path(folder) / f"{side}.parquet", row_group_size=rows, compression="none")


def read_arrays(folder: str) -> dict[str, np.ndarray]:
    """Return the tables as arguments of `dvspark.value_arrays`."""
    arrays = {}
    for side in ("train", "validation"):
        table = pq.read_table(Path(folder) / f"{side}.parquet")
        embedding = table["embedding"].combine_chunks()
        arrays[f"x_{side}"] = embedding.flatten().to_numpy().reshape(len(table), -1)
        arrays[f"y_{side}"] = table["label"].to_numpy()
    return arrays


def run_jobs(
    folder: str, master: str, jobs: list[dict[str, Any]], conf: dict[str, str] | None = None
) -> list[dict[str, Any]]:
    """Run jobs on the folder's tables, one after the other in one session; ``jobs`` are the settings of each.

    Of each: ``session_seconds`` from the call to a session that answers; ``job_seconds`` of all the rest; ``stages``
    and ``plan`` from its record; ``values`` in id order; ``driver_bytes``, the largest resident size of this process
    up to then, which must do nothing else.
    """
    given = {side: {"path": f"{folder}/{side}.parquet"} for side in ("train", "validation")}
    found = []
    with tempfile.TemporaryDirectory(prefix="dvspark-bench-", dir=folder) as place:
        begun = time.monotonic()
        with open_session(master, conf or {}) as spark:
            session_seconds = time.monotonic() - begun
            for number, settings in enumerate(jobs):
                output = f"{place}/{number}"
                config = load_config(None, {**given, "output": {"path": output}, "report": False, **settings})
                begun = time.monotonic()
                record = pipeline.run(config, spark)
                seconds = time.monotonic() - begun
                driver_bytes = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                stages = {stage["stage"]: stage["seconds"] for stage in record["stages"]}
                times = {"session_seconds": session_seconds, "job_seconds": seconds, "stages": stages}
                found.append({**times, "plan": record["plan"], "driver_bytes": driver_bytes, "output": output})
        for job in found:
            job["values"] = pq.read_table(f"{job.pop('output')}/values").sort_by("id")["value"].to_pylist()
    return found


def of_class_data(place: str) -> dict[str, str]:
    """Return the variables with which sessions use class data in the folder ``place``, or, with OFF, none.

    They would use none with a collector that a variable names.
    """
    return {CLASS_DATA_VARIABLE: place, "JAVA_TOOL_OPTIONS": ""}


def run_words(words: list[str], folder: str, variables: dict[str, str]) -> None:
    """Run dvspark with such words in ``folder``, in a process of its own."""
    surroundings = environment(CORES, variables)
    subprocess.run([sys.executable, "-m", "dvspark", *words], cwd=folder, env=surroundings, check=True)
