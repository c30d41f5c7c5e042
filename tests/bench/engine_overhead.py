"""What a Spark job takes beyond the local engine on the same rows: `python -m tests.bench.engine_overhead`."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable
from typing import Any

import numpy as np

import dvspark
from dvspark.spark.class_data import OFF
from tests.bench.frame import Result, Row, apart, at_most, result, run, say
from tests.bench.jobs import CORES, of_class_data, read_arrays, run_jobs, run_words, write_tables

QUESTION = "What does a Spark job take beyond the local engine?"
METHOD = """\
Wall time of a job in local[2], from a session that answers to published values, against pyarrow's reader and
`dvspark.value_arrays` in one process with two BLAS threads, on the same Parquet files; each in a process of its own.
The first job of a session pays for the first use of Spark's parts; the second and the third are the same job again. No
report is written, as the local engine writes none; the audit is included. Java has class data that `dvspark warm` has
written before; the first job is also run without. Medians of three rounds of all sides in turns."""
SIZES = (200_000, 512, 2_048)
TINY_SIZES = (2_000, 8, 40)
ROUNDS = 3
JOBS = ("first", "second", "third")
# Of the first job, and of those after it.
LARGEST_RATIOS = (1.5, 1.1, 1.1)
BETWEEN, ALL = "between stages", "all"


def main(tiny: bool = False) -> Result:
    """Measure both sides; about six minutes and 3 GB."""
    n, d, m = TINY_SIZES if tiny else SIZES
    local: list[dict[str, Any]] = []
    found: list[list[dict[str, Any]]] = []
    without: list[list[dict[str, Any]]] = []
    with tempfile.TemporaryDirectory(prefix="dvspark-bench-") as folder:
        write_tables(folder=folder, n=n, d=d, m=m)
        class_data = of_class_data(OFF if tiny else f"{folder}/class-data")
        if not tiny:
            run_words(["warm"], folder, class_data)
        same: dict[str, Any] = {"threads": CORES, "folder": folder, "master": f"local[{CORES}]"}
        for number in range(1 if tiny else ROUNDS):
            say(f"engine_overhead: round {number + 1}, local engine and jobs, {n:,} × {d} × {m:,}")
            local.append(apart(value_locally, threads=CORES, folder=folder))
            jobs = [{"run_id": name} for name in JOBS]
            found.append(apart(run_jobs, variables=class_data, jobs=jobs, **same))
            without.append(apart(run_jobs, variables=of_class_data(OFF), jobs=jobs[:1], **same))
    difference = float(np.abs(np.subtract(local[0]["values"], found[0][0]["values"])).max())
    of_local = _medians(local)
    of_jobs = {name: _medians([jobs[number] for jobs in found]) for number, name in enumerate(JOBS)}
    rows = [
        _row(stage, {name: of_jobs[name][stage] for name in JOBS}, of_local.get(stage)) for stage in of_jobs[JOBS[0]]
    ]
    sizes = f"N = {n:,}, D = {d:,}, M = {m:,}, local[{CORES}]"
    targets = [
        at_most(f"{sizes}: {what} job / local engine, wall time", limit, of_job[ALL] / of_local[ALL])
        for limit, (what, of_job) in zip(LARGEST_RATIOS, of_jobs.items(), strict=True)
    ]
    other = [
        {
            "what": "start of the session, in no figure above, s",
            "measured": _median(jobs[0]["session_seconds"] for jobs in found),
        },
        {
            "what": "start of the session without class data, s",
            "measured": _median(jobs[0]["session_seconds"] for jobs in without),
        },
        {
            "what": "first job without class data, s",
            "measured": _median(jobs[0]["job_seconds"] for jobs in without),
        },
        {"what": "largest difference of a value", "measured": difference},
    ]
    return result("engine_overhead", QUESTION, METHOD, targets, {f"Stages: {sizes}": rows, "Beside them": other})


def _medians(rounds: list[dict[str, Any]]) -> dict[str, float]:
    """Return the median seconds of each stage, of what lies between, and of all."""
    every = [{**found["stages"], BETWEEN: found["job_seconds"] - sum(found["stages"].values())} for found in rounds]
    every = [{**stages, ALL: found["job_seconds"]} for stages, found in zip(every, rounds, strict=True)]
    return {stage: _median(stages[stage] for stages in every) for stage in every[0]}


def _median(numbers: Iterable[float]) -> float:
    return float(np.median(list(numbers)))


def _row(stage: str, of_jobs: dict[str, float], local: float | None) -> Row:
    seconds = {f"{name} job, s": of_job for name, of_job in of_jobs.items()}
    return {"stage": stage, **seconds, "local engine, s": local}


def value_locally(folder: str) -> dict[str, Any]:
    """Return the seconds of reading and of valuing in this process, and the values."""
    begun = time.monotonic()
    arrays = read_arrays(folder)
    read = time.monotonic()
    values = dvspark.value_arrays(**arrays)
    done = time.monotonic()
    stages = {"read": read - begun, "value": done - read}
    return {"stages": stages, "job_seconds": done - begun, "values": values.tolist()}


if __name__ == "__main__":
    run(main)
