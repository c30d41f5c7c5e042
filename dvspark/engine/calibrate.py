"""Calibrate: what one validation point costs on this machine, from about a second of the method's own kernel.

The kernel runs in a process of its own, `python -m dvspark.engine.calibrate`: the threads of a BLAS are counted when
it is loaded, and a Python worker has one.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

import numpy as np

from dvspark.engine.plan import Sizes
from dvspark.errors import ComputeError, Problem
from dvspark.kernels.distances import prepare
from dvspark.kernels.ranking import points_per_block
from dvspark.methods.options import ValueOptions
from dvspark.schemas import ChunkArrays, TrainLabels

# The first size is small enough to be done in a tenth of a second, and larger than the rows ranked exactly.
FIRST_ROWS = 16_384
# CPU seconds that the second size may take, by what the first one took.
BUDGET_SECONDS = 0.8
# Random rows of the second size stay under this many bytes: drawing and preparing them takes time too.
LARGEST_SAMPLE_BYTES = 256 * 2**20

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True)
class PointCost:
    """CPU seconds of one validation point: ``fixed``, and ``per_row`` of the training table."""

    fixed: float
    per_row: float

    def seconds(self, n_train: int) -> float:
        """Return the CPU seconds of a point among so many training rows."""
        return self.fixed + self.per_row * n_train


def calibrate(sizes: Sizes, options: ValueOptions, *, n_labels: int, chunk_rows: int) -> PointCost:
    """Return what a point costs in the real dimension and ranking, on random rows with so many labels.

    Raises: ComputeError when the kernel's process fails. Cost: about two seconds, half of them imports.
    """
    points = min(chunk_rows, sizes.n_validation, points_per_block(sizes.n_train))
    task = {"sizes": asdict(sizes), "options": options.record(), "n_labels": n_labels, "points": points}
    # A package that travels as a zip is found where this process found it.
    environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "dvspark.engine.calibrate"]
    said = subprocess.run(  # noqa: S603 - this module
        command, input=json.dumps(task), env=environment, capture_output=True, text=True, check=False
    )
    if said.returncode:
        last = said.stderr.strip().rpartition("\n")[2]
        raise ComputeError(Problem("calibration", "a second of the kernel", last, "does the job itself run here?"))
    return PointCost(**json.loads(said.stdout))


def measure(sizes: Sizes, options: ValueOptions, *, n_labels: int, points: int) -> PointCost:
    """Return what a point costs in this process, as a line through two sizes of the training table."""
    first = FIRST_ROWS if sizes.n_train > 2 * FIRST_ROWS else sizes.n_train
    _kernel_seconds(sizes, options, first, n_labels, min(points, 8))  # what a first call loads does not count
    low = _kernel_seconds(sizes, options, first, n_labels, points)
    affordable = int(first * BUDGET_SECONDS / max(low * points, 1e-6))
    second = min(sizes.n_train, affordable, LARGEST_SAMPLE_BYTES // (4 * sizes.n_features))
    if second < 2 * first:  # too near for a slope, or the whole table is done
        return PointCost(0.0, low / first)
    high = _kernel_seconds(sizes, options, second, n_labels, points)
    per_row = max(high - low, 0.5 * high * (1 - first / second)) / (second - first)
    return PointCost(high - per_row * second, per_row)


def _kernel_seconds(sizes: Sizes, options: ValueOptions, n_train: int, n_labels: int, points: int) -> float:
    """Return the CPU seconds of the kernel for each of some points on random rows."""
    rng, dtype = np.random.default_rng(0), np.dtype(sizes.dtype).type
    # Around zero: rows with a common offset would be moved tile by tile.
    x = rng.random((n_train, sizes.n_features), dtype) - dtype(0.5)
    codes = rng.integers(0, n_labels, n_train, np.int32)
    train = prepare(x, TrainLabels(codes), options.metric)
    chunk = ChunkArrays(
        rng.random((points, sizes.n_features), dtype) - dtype(0.5),
        list(rng.integers(0, n_labels, (points, 1), np.int32)),
        np.arange(points) % n_train if options.self_validation else None,
    )
    parameters = options.resolved(n_labels)
    ranking = options.ranking_options(parameters, sizes.n_train)
    if n_train < sizes.n_train:  # bins that keep the tolerance among many rows may not among few, and would be sorted
        ranking = dataclasses.replace(ranking, tolerance=0.5)
    started = time.process_time()
    options.declaration.partial(train, chunk, ranking, parameters)
    return (time.process_time() - started) / points


def main() -> int:
    """Measure what standard input asks for, and print the cost."""
    task = json.loads(sys.stdin.read())
    cost = measure(
        Sizes(**task["sizes"]), ValueOptions(**task["options"]), n_labels=task["n_labels"], points=task["points"]
    )
    sys.stdout.write(json.dumps(asdict(cost)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
