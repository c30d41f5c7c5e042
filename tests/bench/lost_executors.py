"""A job on eight executors, which are killed and stopped at random: `python -m tests.bench.lost_executors`."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from dvspark.spark.java import find_java_home
from tests.bench.frame import Result, Row, apart, at_most, result, run, say
from tests.bench.jobs import run_jobs, write_tables
from tests.support.standalone_cluster import N_WORKERS, Cluster, start_cluster

QUESTION = "What does a job take whose executors are killed and stopped at random, and are its values the same?"
METHOD = """\
A standalone cluster of processes on this machine: two workers with four executors of one core each, so that eight tasks
share the machine's cores. The same job runs undisturbed, and then disturbed from its first executor to its end. Every
few seconds something befalls an executor, drawn with a seed: its process is killed (SIGKILL), or it stands still with
its Python workers (SIGSTOP) for as long again. A killed executor takes its shuffle files with it; Spark starts another
one. `spark.speculation` is on in both runs, with Spark's own settings. The index is on storage that all executors see
(`work_dir`). Normal data, 10 classes, k = 10, binned, error bounds included."""
SIZES, TINY_SIZES = (1_500_000, 256, 8_192), (3_000, 8, 64)
EXECUTORS_OF_WORKER, EXECUTOR_MEMORY = 4, "1g"
# Seconds from one event to the next, drawn evenly between the two.
BETWEEN_EVENTS, TINY_BETWEEN = (4.0, 16.0), (1.0, 3.0)
# How often the driver looks whether it is time.
LOOK_SECONDS = 0.2
EXECUTOR = "CoarseGrainedExecutorBackend"
# A task may be among those of several executors that are killed: the number of attempts is the cluster's to choose.
CONF = {"spark.task.maxFailures": "8", "spark.speculation": "true", "spark.driver.memory": "4g"}


def main(tiny: bool = False) -> Result:
    """Run both jobs; about a quarter of an hour, 12 GB of memory and 6 GB of disk."""
    n, d, m = TINY_SIZES if tiny else SIZES
    with tempfile.TemporaryDirectory(prefix="dvspark-bench-") as folder:
        write_tables(folder=folder, n=n, d=d, m=m)
        place = Path(folder, "cluster")
        place.mkdir()
        undisturbed = _job(folder, place, None)
        watch = Events(place, TINY_BETWEEN if tiny else BETWEEN_EVENTS)
        disturbed = _job(folder, place, watch)
    sizes = f"N = {n:,}, D = {d:,}, M = {m:,}, {N_WORKERS * EXECUTORS_OF_WORKER} executors"
    differ = int(np.count_nonzero(np.not_equal(undisturbed["values"], disturbed["values"])))
    stages = [
        {"stage": name, "undisturbed, s": seconds, "disturbed, s": disturbed["stages"][name]}
        for name, seconds in undisturbed["stages"].items()
    ]
    rows: list[Row] = [
        {"what": "executors killed", "measured": watch.counted["killed"]},
        {"what": "executors stopped for a while", "measured": watch.counted["stopped"]},
        {"what": "time for which one was stopped, s", "measured": watch.stopped_seconds},
        {"what": "undisturbed job, s", "measured": undisturbed["job_seconds"]},
        {"what": "disturbed job, s", "measured": disturbed["job_seconds"]},
        {"what": "disturbed / undisturbed", "measured": disturbed["job_seconds"] / undisturbed["job_seconds"]},
    ]
    targets = [at_most(f"{sizes}: values whose bits differ", 0, differ)]
    return result("lost_executors", QUESTION, METHOD, targets, {sizes: rows, "Stages": stages})


def _job(folder: str, place: Path, watch: Events | None) -> dict[str, Any]:
    """Return what `run_jobs` tells of one job, on a cluster of its own that nothing befell before."""
    say(f"lost_executors: {'undisturbed' if watch is None else 'disturbed'}")
    with (
        tempfile.TemporaryDirectory(dir=place) as own,
        start_cluster(Path(own), find_java_home(), cores=EXECUTORS_OF_WORKER, memory=_worker_memory()) as cluster,
    ):
        settings = {"work_dir": f"{own}/work", "ranking": "binned", "error_bound": True, "plan": "replicated"}
        same = {"folder": folder, "master": cluster.master, "conf": _conf(cluster), "jobs": [settings]}
        variables = {"DVSPARK_CACHE": str(cluster.cache), "JAVA_HOME": str(cluster.java_home)}
        try:
            job: dict[str, Any] = apart(run_jobs, watch=watch, every=LOOK_SECONDS, variables=variables, **same)[0]
        finally:
            if watch is not None:
                watch.end()
    return job


def _conf(cluster: Cluster) -> dict[str, str]:
    of_executors = {"spark.executor.cores": "1", "spark.executor.memory": EXECUTOR_MEMORY}
    return {**cluster.conf(), **of_executors, **CONF}


def _worker_memory() -> str:
    return f"{EXECUTORS_OF_WORKER * int(EXECUTOR_MEMORY.removesuffix('g'))}g"


class Events:
    """What befalls the executors whose folders lie below ``place``, as drawn with a seed: one event at a time."""

    def __init__(self, place: Path, between: tuple[float, float]) -> None:
        self._place, self._between = place, between
        self._rng = np.random.default_rng(0)
        self._next = 0.0
        self._stopped: list[psutil.Process] = []
        self.counted = Counter[str]()
        self.stopped_seconds = 0.0

    def __call__(self) -> None:
        """Let the next event happen, if it is time."""
        now = time.monotonic()
        executors = self._executors() if now >= self._next else []
        if not executors:
            return
        self.end()
        pause = float(self._rng.uniform(*self._between))
        if self._next:  # the first executor has only come
            struck = executors[self._rng.integers(len(executors))]
            if self._rng.random() < 1 / 2:
                self._signal([struck], signal.SIGKILL)
                self.counted["killed"] += 1
            else:
                self._stopped = [struck, *struck.children(recursive=True)]
                self._signal(self._stopped, signal.SIGSTOP)
                self.counted["stopped"] += 1
                self.stopped_seconds += pause
        self._next = now + pause

    def end(self) -> None:
        """Let what was stopped go on."""
        self._signal(self._stopped, signal.SIGCONT)
        self._stopped = []

    def _executors(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            try:
                if EXECUTOR in " ".join(process.cmdline()) and Path(process.cwd()).is_relative_to(self._place):
                    found.append(process)
            except psutil.Error:  # it has ended
                continue
        return sorted(found, key=lambda process: process.pid)

    def _signal(self, processes: list[psutil.Process], number: signal.Signals) -> None:
        for process in processes:
            try:
                os.kill(process.pid, number)
            except ProcessLookupError:
                continue


if __name__ == "__main__":
    run(main)
