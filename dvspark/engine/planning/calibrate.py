"""Calibration: what one validation point costs on this machine, measured by a second or so of the method's own kernel.

The kernel runs in a process of its own, `python -m dvspark.engine.planning.calibrate`. A BLAS fixes its number of
threads when it is loaded; a Python worker has one thread, and so has this process.
"""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, fields

import numpy as np

from dvspark.engine.planning.sizes import N_OWNERS, Sizes
from dvspark.errors import ComputeError, Problem
from dvspark.kernels.distances.distances import prepare
from dvspark.kernels.formulas.kinds import Parameters
from dvspark.local.workers import one_thread_command
from dvspark.methods.kinds.shared import SharedMethod
from dvspark.methods.options import ValueOptions
from dvspark.schemas import ChunkArrays, TrainArrays, TrainColumns, TrainLabels

# The first size is small enough to be done in a tenth of a second, and larger than the rows ranked exactly.
FIRST_ROWS = 16_384
# A kernel that takes so long for one point is not tried on more rows: its cost may grow faster than the table.
# From the fewest rows on, each size is four times the one before.
SLOW_SECONDS = 0.1
FEWEST_ROWS = 128
# CPU seconds that the second size may take, by what the first one took.
BUDGET_SECONDS = 0.8
# Random rows of the second size stay under this many bytes: drawing and preparing them takes time too.
LARGEST_SAMPLE_BYTES = 256 * 2**20

# Usually two seconds; a machine that swaps or is very busy may need a hundred times as long.
LONGEST_SECONDS = 300.0

PROGRAM = "dvspark.engine.planning.calibrate"


@dataclass(frozen=True)
class PointCost:
    """CPU seconds of one validation point: ``fixed`` + ``per_row`` × (training rows) ^ ``power``."""

    fixed: float
    per_row: float
    power: float = 1.0

    def seconds(self, n_train: int) -> float:
        """Return the CPU seconds of a point with so many training rows."""
        return self.fixed + self.per_row * n_train**self.power


def calibrate(sizes: Sizes, options: ValueOptions, *, n_labels: int, chunk_rows: int) -> PointCost:
    """Return what a point costs with the run's dimension and ranking, on random rows that have ``n_labels`` labels.

    Cost: about two seconds, half of them imports.
    Raises: ComputeError if the kernel's process fails or does not end.
    """
    points = min(chunk_rows, sizes.n_validation, sizes.method.points_at_once(sizes))
    told = {one.name: getattr(sizes, one.name) for one in fields(sizes) if one.name != "method"}
    task = {"sizes": told, "options": options.record(), "n_labels": n_labels, "points": points}
    command, environment = one_thread_command(PROGRAM)
    try:
        said = subprocess.run(  # noqa: S603 - this module
            command,
            input=json.dumps(task),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        got, hint = f"none after {LONGEST_SECONDS:g} s", "free this machine's cores and memory, or run the job itself"
        raise ComputeError(Problem("calibration", "an answer of the kernel's process", got, hint)) from error
    if said.returncode:
        last = said.stderr.strip().rpartition("\n")[2]
        raise ComputeError(Problem("calibration", "a second of the kernel", last, "does the job itself run here?"))
    return PointCost(**json.loads(said.stdout))


def measure(sizes: Sizes, options: ValueOptions, *, n_labels: int, points: int) -> PointCost:
    """Return what a point costs in this process, from a line through two sizes of the training table.

    For a slow kernel, two small sizes give the power by which the cost grows.
    """
    least = max(FIRST_ROWS, 2 * sizes.n_nearest)
    if not sizes.method.adds_up:  # passes over all rows, however many points and labels
        method: SharedMethod[Parameters] = SharedMethod.of(sizes.method)
        rows, points = method.sample_sizes(sizes, least)
        parameters, as_points = (
            options.resolved(n_labels),
            dataclasses.replace(options, self_validation=method.sits_out),
        )
        train, chunk = _random_rows(sizes, as_points, rows, n_labels, points)
        ranking = options.ranking_options(parameters, rows)
        seconds = method.shared_seconds(sizes, train, chunk, ranking, parameters)
        return PointCost(0.0, seconds / sizes.n_train / sizes.n_validation)
    first = least if sizes.n_train > 2 * least else sizes.n_train
    if (slow := _slow_cost(sizes, options, first, n_labels)) is not None:
        return slow
    one = _kernel_seconds(sizes, options, first, n_labels, 1)
    points = max(1, min(points, int(2 * BUDGET_SECONDS / max(one, 1e-6))))
    low = _kernel_seconds(sizes, options, first, n_labels, points)
    affordable = int(first * BUDGET_SECONDS / max(low * points, 1e-6))
    second = min(sizes.n_train, affordable, LARGEST_SAMPLE_BYTES // (4 * sizes.n_features))
    if second < 2 * first:  # too near for a slope, or the whole table is done
        return PointCost(0.0, low / first)
    high = _kernel_seconds(sizes, options, second, n_labels, points)
    per_row = max(high - low, 0.5 * high * (1 - first / second)) / (second - first)
    return PointCost(high - per_row * second, per_row)


def _slow_cost(sizes: Sizes, options: ValueOptions, most: int, n_labels: int) -> PointCost | None:
    """Return the cost of a kernel that is slow with fewer than ``most`` rows, or None.

    The first calls also load what later calls need.
    """
    rows, before = min(most, max(FEWEST_ROWS, 2 * sizes.n_nearest)), (1, 0.0)
    while True:
        seconds = _kernel_seconds(sizes, options, rows, n_labels, 1)
        if seconds > SLOW_SECONDS:  # or the call loaded loops that a call with fewer rows does not use
            seconds = min(seconds, _kernel_seconds(sizes, options, rows, n_labels, 1))
        if seconds > SLOW_SECONDS and before[1] > 0:
            power = max(1.0, math.log(seconds / before[1]) / math.log(rows / before[0]))
            return PointCost(0.0, seconds / rows**power, power)
        if rows == most:
            return None
        before, rows = (rows, seconds), min(4 * rows, most)


def _kernel_seconds(sizes: Sizes, options: ValueOptions, n_train: int, n_labels: int, points: int) -> float:
    """Return the CPU seconds that the kernel takes for each of some points on random rows."""
    method, parameters = options.declaration, options.resolved(n_labels)
    train, chunk = _random_rows(sizes, options, n_train, n_labels, points)
    asked = options.ranking_options(parameters, sizes.n_train)
    if n_train < sizes.n_train:  # bins that keep the tolerance among many rows may not among few, and would be sorted
        asked = dataclasses.replace(asked, tolerance=0.5)
    parameters = method.calibrated(train, chunk, asked, parameters)

    def seconds(some: ChunkArrays) -> float:
        started = time.process_time()
        method.calibrated_partial(train, some, asked, parameters)
        return time.process_time() - started

    if points > 1:  # this many rows may use loops that fewer rows do not use
        seconds(chunk.take(np.arange(1)))
    return seconds(chunk) / points


def _random_rows(
    sizes: Sizes, options: ValueOptions, n_train: int, n_labels: int, points: int
) -> tuple[TrainArrays, ChunkArrays]:
    """Return random training rows with every column that a method may use, and random points."""
    rng, dtype = np.random.default_rng(0), np.dtype(sizes.dtype).type
    # Around zero: rows with a common offset would be moved tile by tile.
    x = rng.random((n_train, sizes.n_features), dtype) - dtype(0.5)
    codes, n_owners = rng.integers(0, n_labels, n_train, np.int32), min(n_train, N_OWNERS)
    owners = rng.permutation(np.arange(n_train, dtype=np.int32) % n_owners)
    owned = np.arange(n_train) % 2 == 0
    columns = TrainColumns(rng.random(n_train), rng.random(n_train), owners, n_owners, owned=owned)
    columns = dataclasses.replace(columns, losses=columns.weights)
    train = dataclasses.replace(prepare(x, TrainLabels(codes), options.metric), columns=columns)
    chunk = ChunkArrays(
        rng.random((points, sizes.n_features), dtype) - dtype(0.5),
        list(rng.integers(0, n_labels, (points, 1), np.int32)),
        np.arange(points) % n_train if options.self_validation else None,
        targets=rng.random(points),
        losses=np.ones(points),
    )
    return train, chunk


def main() -> int:
    """Measure the cost of the sizes and options that standard input gives, and print it."""
    task = json.loads(sys.stdin.read())
    options = ValueOptions(**task["options"])
    sizes = Sizes(**task["sizes"], method=options.declaration)
    cost = measure(sizes, options, n_labels=task["n_labels"], points=task["points"])
    sys.stdout.write(json.dumps(asdict(cost)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
