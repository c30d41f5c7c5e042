"""What a Spark job takes beyond the local engine on the same rows: `python -m tests.bench.engine_overhead`."""

from __future__ import annotations

import tempfile
import time
from typing import Any

import numpy as np

import dvspark
from tests.bench.frame import Result, Row, apart, at_most, result, run, say
from tests.bench.jobs import read_arrays, run_jobs, write_tables

QUESTION = "What does a Spark job take beyond the local engine?"
METHOD = """\
Wall time of a job in local[2], from a session that answers to published values, against pyarrow's reader and
`dvspark.value_arrays` in one process with two BLAS threads, on the same Parquet files; each in a process of its own.
The first job of a session pays for the first use of Spark's parts; the second is the same job again. No report is
written, as the local engine writes none; the audit is included."""
SIZES = (200_000, 512, 2_048)
TINY_SIZES = (2_000, 8, 40)
CORES = 2
LARGEST_RATIO = 1.10


def main(tiny: bool = False) -> Result:
    """Measure both sides; about two minutes and 3 GB."""
    n, d, m = TINY_SIZES if tiny else SIZES
    with tempfile.TemporaryDirectory(prefix="dvspark-bench-") as folder:
        write_tables(folder=folder, n=n, d=d, m=m)
        say(f"engine_overhead: local engine, {n:,} × {d} × {m:,}")
        local = apart(value_locally, threads=CORES, folder=folder)
        say("engine_overhead: job")
        jobs = [{"run_id": "first"}, {"run_id": "second"}]
        job, again = apart(run_jobs, threads=CORES, folder=folder, jobs=jobs, master=f"local[{CORES}]")
    difference = float(np.abs(np.subtract(local.pop("values"), job["values"])).max())
    rows = [_row(stage, job["stages"][stage], again["stages"][stage], local.get(stage)) for stage in job["stages"]]
    rest, rest_again = (each["job_seconds"] - sum(each["stages"].values()) for each in (job, again))
    total = sum(local.values())
    rows.append(_row("between stages", rest, rest_again, None))
    rows.append(_row("all", job["job_seconds"], again["job_seconds"], total))
    sizes = f"N = {n:,}, D = {d:,}, M = {m:,}, local[{CORES}]"
    targets = [
        at_most(f"{sizes}: first job / local engine, wall time", LARGEST_RATIO, job["job_seconds"] / total),
        at_most(f"{sizes}: second job / local engine, wall time", LARGEST_RATIO, again["job_seconds"] / total),
    ]
    other = [
        {"what": "start of the session, in no figure above, s", "measured": job["session_seconds"]},
        {"what": "largest difference of a value", "measured": difference},
    ]
    return result("engine_overhead", QUESTION, METHOD, targets, {f"Stages: {sizes}": rows, "Beside them": other})


def _row(stage: str, first: float, second: float, local: float | None) -> Row:
    seconds = {"first job, s": first, "second job, s": second, "local engine, s": local}
    return {"stage": stage, **seconds, "added by the first, s": first - (local or 0.0)}


def value_locally(folder: str) -> dict[str, Any]:
    """Return seconds of reading and of valuing in this process, and the values."""
    begun = time.monotonic()
    arrays = read_arrays(folder)
    read = time.monotonic()
    values = dvspark.value_arrays(**arrays)
    return {"read": read - begun, "value": time.monotonic() - read, "values": values.tolist()}


if __name__ == "__main__":
    run(main)
