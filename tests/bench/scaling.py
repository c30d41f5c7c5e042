"""How cost grows with points, rows, features and cores: `python -m tests.bench.scaling`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from dvspark.engine.chunks import CHUNK_ROWS
from tests.bench.frame import Result, Row, apart, at_least, at_most, cpu_seconds, result, run, say, slope
from tests.bench.jobs import run_jobs, write_tables
from tests.bench.kernel import ranked_partial

QUESTION = "Is cost linear in points, rows and features, and halved by a second core?"
METHOD = """\
Points, rows and features: CPU seconds of the kernel in one thread on normal data, in chunks of 256 points, the median
of three runs after one that does not count, and the exponent p of seconds ~ size^p, fitted to the logarithms. Below 1,
a part of the cost does not grow with that size. Cores: the seconds of the `value` stage in the records of jobs on the
same tables, one BLAS thread a task: in local[1] with all that is started kept to one core, as on a host that has one,
and in local[2] on two. In local[1] on two cores, between them, the one task has Java and the driver beside it, not in
its way. The game is `monte_carlo_shapley` of the accuracy of scikit-learn's naive Bayes classifier, by so many
evaluations."""
# The ranking; N, D, M, of which one takes three sizes.
SWEEPS: dict[str, tuple[str, list[tuple[int, int, int]]]] = {
    "M": ("sorted", [(100_000, 128, m) for m in (256, 512, 1_024)]),
    "N": ("binned", [(n, 128, 64) for n in (375_000, 750_000, 1_500_000)]),
    "D": ("sorted", [(100_000, d, 256) for d in (128, 512, 2_048)]),
}
TINY_SWEEPS: dict[str, tuple[str, list[tuple[int, int, int]]]] = {
    "M": ("sorted", [(500, 8, m) for m in (2, 4, 8)]),
    "N": ("binned", [(n, 8, 2) for n in (500, 1_000, 2_000)]),
    "D": ("sorted", [(500, d, 2) for d in (4, 8, 16)]),
}
# Of few features, where what surrounds the kernel weighs most, and of as many as embeddings have.
JOB_SIZES, TINY_JOB_SIZES = [(200_000, 128, 16_384), (200_000, 512, 16_384)], [(1_000, 8, 40)]
# A game of so many rows, whose utility is trained on some of them; all else that a job does is soon done.
GAME_SIZE, TINY_GAME_SIZE = (300, 16, 500), (20, 4, 30)
GAME = {"method": "monte_carlo_shapley", "utility": "sklearn.naive_bayes.GaussianNB()", "seed": 0}
EVALUATIONS, TINY_EVALUATIONS = 40_000, 400
# Linear, and as much above it as rounding and caches may put into a fit over three sizes.
LARGEST_EXPONENT = 1.05
LEAST_SPEED_UP = 1.8
RUNS = 3


def main(tiny: bool = False) -> Result:
    """Measure the three sweeps and the jobs; about ten minutes and 3 GB."""
    targets: list[Row] = []
    tables = {}
    for name, (ranking, sizes) in (TINY_SWEEPS if tiny else SWEEPS).items():
        say(f"scaling: in {name}, {ranking}")
        measure = kernel_seconds if tiny else partial(apart, kernel_seconds)
        found = measure(sizes=sizes, ranking=ranking)
        rows = [
            {"N": n, "D": d, "M": m, "kernel, s": seconds, "ms a point": 1e3 * seconds / m}
            for (n, d, m), seconds in zip(sizes, found, strict=True)
        ]
        exponent = slope([row[name] for row in rows], [row["kernel, s"] for row in rows])
        targets.append(at_most(f"exponent in {name}, {ranking}", LARGEST_EXPONENT, exponent))
        tables[f"In {name}, {ranking}"] = rows
    job_sizes = TINY_JOB_SIZES if tiny else JOB_SIZES
    tables["In cores"] = [row for sizes in job_sizes for row in _cores(*sizes, {}, targets)]
    game = {**GAME, "evaluations": TINY_EVALUATIONS if tiny else EVALUATIONS}
    tables["In cores, a game"] = _cores(*(TINY_GAME_SIZE if tiny else GAME_SIZE), game, targets)
    return result("scaling", QUESTION, METHOD, targets, tables)


def kernel_seconds(sizes: list[tuple[int, int, int]], ranking: str) -> list[float]:
    """Return CPU seconds of the kernel for all points, of each size."""
    found = []
    for n, d, m in sizes:
        rng = np.random.default_rng(0)
        x, z = rng.standard_normal((n, d), np.float32), rng.standard_normal((m, d), np.float32)
        y, y_z = rng.integers(0, 10, n), rng.integers(0, 10, m)
        chunks = [slice(start, start + CHUNK_ROWS) for start in range(0, m, CHUNK_ROWS)]
        works = [ranked_partial(x, y, z[here], y_z[here], ranking) for here in chunks]
        found.append(cpu_seconds(lambda works=works: [work() for work in works], RUNS))
    return found


def _cores(n: int, d: int, m: int, settings: dict[str, Any], targets: list[Row]) -> list[Row]:
    rows = []
    with tempfile.TemporaryDirectory(prefix="dvspark-bench-") as folder:
        write_tables(folder=folder, n=n, d=d, m=m)
        for cores, tasks in ((1, 1), (2, 1), (2, 2)):
            say(f"scaling: {n:,} × {d} × {m:,}, job in local[{tasks}] on {cores} cores")
            with _kept_to(cores):
                job = apart(run_jobs, folder=folder, master=f"local[{tasks}]", jobs=[settings])[0]
            stages = {"value stage, s": job["stages"]["value"], "whole job, s": job["job_seconds"]}
            parts = {"evaluations": settings["evaluations"]} if settings else {"chunks": job["plan"]["n_chunks"]}
            rows.append({"cores": cores, "tasks at once": tasks, "N": n, "D": d, "M": m, **parts, **stages})
    speed_up = rows[0]["value stage, s"] / rows[-1]["value stage, s"]
    of = f", {settings['method']}" if settings else ""
    what = f"N = {n:,}, D = {d:,}, M = {m:,}{of}: value stage on 1 core / on 2"
    targets.append(at_least(what, LEAST_SPEED_UP, speed_up))
    return rows


@contextmanager
def _kept_to(cores: int) -> Iterator[None]:
    """Keep this process, and those it starts meanwhile, to so many of its cores."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(allowed)[:cores])
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


if __name__ == "__main__":
    run(main)
