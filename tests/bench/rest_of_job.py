"""What a job takes beside its values, from its start to its audit: `python -m tests.bench.rest_of_job`."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from dvspark import logs
from dvspark.config.sources import load_config
from dvspark.kernels.distances.distances import prepare
from dvspark.run import pipeline
from dvspark.schemas import TrainLabels
from dvspark.spark.class_data import OFF
from dvspark.spark.session import open_session
from dvspark.tables.sources.parts import BATCH_BYTES, BUFFER_BYTES
from tests.bench.first_report import write_digits
from tests.bench.frame import Result, Row, apart, at_most, result, run, say
from tests.bench.jobs import CORES, of_class_data, run_jobs, run_words, write_tables

QUESTION = "What does a job take beside its values?"
METHOD = """\
CPU seconds of this process and all that it has started, Java included, since other work may share the cores; memory is
the largest resident size of the driver's Python process, mapped files included. "cat" writes the training file to
/dev/null. "bare read" is pyarrow's reader of the same columns, in batches of the size that tasks take, in two threads.
Jobs run in local[2]; the first one of a session pays for the first use of Spark's parts, so stages are those of the
second. "pass" is one copy of the array. Class data are written by `dvspark warm` to a folder of their own; starts are
measured by turns, without and with them, the least of three."""
SIZES = [(500_000, 512, 512), (3_000_000, 64, 64)]
TINY_SIZES = [(3_000, 16, 40)]
PREPARED, TINY_PREPARED = (400_000, 256), (4_000, 16)
TURNS = 3
LARGEST_SHARE, PASSES, DRIVER_GB = 0.15, 3.0, 1.5
READS, START_SECONDS, DIGITS_SECONDS = 2.0, 2.5, 6.0


def main(tiny: bool = False) -> Result:
    """Measure all of it; about ten minutes and 4 GB."""
    stages, driver, targets = list[Row](), list[Row](), list[Row]()
    for n, d, m in TINY_SIZES if tiny else SIZES:
        sizes = f"N = {n:,}, D = {d:,}, M = {m:,}"
        say(f"rest_of_job: {sizes} ...")
        with tempfile.TemporaryDirectory(prefix="dvspark-bench-") as folder:
            write_tables(folder=folder, n=n, d=d, m=m)
            of_job, limits = apart(job_cpu, threads=CORES, folder=folder), apart(limits_cpu, folder=folder, d=d)
        cpu, bare = of_job["stages"], limits["bare read"]
        rows = [{"what": what, "CPU s": s, "/ bare read": s / bare} for what, s in {**limits, **cpu}.items()]
        stages += [{"sizes": sizes, **row} for row in rows]
        driver.append({"sizes": sizes, "driver, GB": of_job["driver_bytes"] / 1e9})
        targets += [
            at_most(f"{sizes}: validate + index / bare read", READS, (cpu["validate"] + cpu["index"]) / bare),
            at_most(f"{sizes}: audit / value", LARGEST_SHARE, cpu["audit"] / cpu["value"]),
            at_most(f"{sizes}: driver's memory, GB", DRIVER_GB, of_job["driver_bytes"] / 1e9),
        ]
    say("rest_of_job: preparation, starts ...")
    prepared = apart(preparation, sizes=TINY_PREPARED if tiny else PREPARED)
    targets.append(at_most("preparation of arrays / pass, euclidean", PASSES, prepared[0]["/ pass"]))
    starts = _starts({OFF: OFF}, turns=1) if tiny else _starts({OFF: OFF, "on": "class-data"}, TURNS)
    targets.append(at_most("start of a session with class data, s", START_SECONDS, starts[-1]["session, s"]))
    targets.append(at_most("1,797 digits by each other on Spark, s", DIGITS_SECONDS, starts[-1]["digits, s"]))
    tables = {"Stages": stages, "Memory of the driver": driver, "Preparation": prepared, "Starts": starts}
    return result("rest_of_job", QUESTION, METHOD, targets, tables)


def limits_cpu(folder: str, d: int) -> dict[str, float]:
    """Return the CPU seconds of reading the training file in the two ways that nothing can be faster than."""
    path, before = f"{folder}/train.parquet", os.times()
    with Path(os.devnull).open("wb") as nowhere:
        subprocess.run(["cat", path], stdout=nowhere, check=True)
    after = os.times()
    cat = after.children_user + after.children_system - before.children_user - before.children_system
    groups = list(range(pq.read_metadata(path).num_row_groups))

    def read(some: list[int]) -> None:
        with pq.ParquetFile(path, buffer_size=BUFFER_BYTES, pre_buffer=False) as file:
            for _ in file.iter_batches(max(1, BATCH_BYTES // (4 * d)), row_groups=some, use_threads=False):
                pass

    seconds = []
    for _ in range(TURNS):
        begun = time.process_time()
        with ThreadPoolExecutor(CORES) as pool:
            list(pool.map(read, [groups[first::CORES] for first in range(CORES)]))
        seconds.append(time.process_time() - begun)
    return {"cat": cat, "bare read": min(seconds)}


def job_cpu(folder: str) -> dict[str, Any]:
    """Return the CPU seconds of each stage of the second job of a session, and the driver's memory."""
    with stage_cpu() as seconds:
        found = run_jobs(folder, f"local[{CORES}]", [{"run_id": "first"}, {"run_id": "second"}])
    return {"stages": seconds, "driver_bytes": found[1]["driver_bytes"]}


@contextmanager
def stage_cpu() -> Iterator[dict[str, float]]:
    """Yield the CPU seconds of each stage of the last job in the block, Java's and the workers' included."""
    seconds, true = dict[str, float](), logs.Stages.stage

    @contextmanager
    def stage(stages: logs.Stages, name: str) -> Iterator[logs.Stage]:
        begun = tree_cpu()
        with true(stages, name) as now:
            yield now
        seconds[name] = tree_cpu() - begun

    logs.Stages.stage = stage  # type: ignore[method-assign]
    try:
        yield seconds
    finally:
        logs.Stages.stage = true  # type: ignore[method-assign]


def job_stages(folder: str, session: Any, name: str, **settings: Any) -> tuple[dict[str, float], dict[str, float]]:
    """Return the seconds and the CPU seconds of each stage of a job on the folder's tables, which writes ``name``."""
    given = {side: {"path": f"{folder}/{side}.parquet"} for side in ("train", "validation")}
    more = {"output": {"path": f"{folder}/{name}"}, "report": False, "k": 10, "run_id": "run", **settings}
    with stage_cpu() as cpu:
        record = pipeline.run(load_config(None, {**given, **more}), session)
    return {stage["stage"]: stage["seconds"] for stage in record["stages"]}, cpu


def tree_cpu() -> float:
    """Return the CPU seconds of this process and of all that descend from it and are there."""
    parents, ticks = dict[int, int](), dict[int, int]()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            parents[int(stat.parent.name)] = int(fields[1])
            ticks[int(stat.parent.name)] = int(fields[11]) + int(fields[12])
    family = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(ticks.get(process, 0) for process in family) / os.sysconf("SC_CLK_TCK")


def preparation(sizes: list[int]) -> list[Row]:
    """Return the CPU seconds of preparing an array, by metric, beside those of copying it."""
    x = np.random.default_rng(0).standard_normal(sizes, np.float32)
    labels = TrainLabels(np.zeros(sizes[0], np.int32))
    one = min(_cpu(x.copy) for _ in range(TURNS))
    found = {
        metric: min(_cpu(lambda metric=metric: prepare(x, labels, metric)) for _ in range(TURNS))
        for metric in ("euclidean", "cosine")
    }
    shape = f"{sizes[0]:,} × {sizes[1]:,}"
    return [{"array": shape, "metric": metric, "CPU s": s, "/ pass": s / one} for metric, s in found.items()]


def _cpu(work: Any) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def _starts(places: dict[str, str], turns: int) -> list[Row]:
    """Return what a session and `dvspark value` of digits on Spark take, by the folder of class data, or OFF."""
    with tempfile.TemporaryDirectory(prefix="dvspark-bench-") as folder:
        write_digits(Path(folder) / "digits.parquet", None)
        places = {name: place if place == OFF else f"{folder}/{place}" for name, place in places.items()}
        for place in {*places.values()} - {OFF}:
            run_words(["warm"], folder, of_class_data(place))
        found: dict[str, list[Row]] = {name: [] for name in places}
        for turn in range(turns):
            for name, place in places.items():
                started = apart(session_start, variables=of_class_data(place))
                begun = time.monotonic()
                words = ["value", "--train", "digits.parquet", "--self_validation", "true", "--report", "false"]
                words += ["--output", f"{name}-{turn}", "--metric", "cosine", "--k", "10", "--engine", "spark"]
                run_words(words, folder, of_class_data(place))
                found[name].append({**started, "digits, s": time.monotonic() - begun})
    least = {name: {what: min(row[what] for row in rows) for what in rows[0]} for name, rows in found.items()}
    return [{"class data": name, **rows} for name, rows in least.items()]


def session_start() -> Row:
    """Return the seconds from a process that has loaded dvspark to a session that answers, and the CPU of both."""
    begun, before = time.monotonic(), tree_cpu()
    with open_session(f"local[{CORES}]", {}) as spark:
        spark.range(1).count()
        return {"session, s": time.monotonic() - begun, "session, CPU s": tree_cpu() - before}


if __name__ == "__main__":
    run(main)
