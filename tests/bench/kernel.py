"""Kernel speed: CPU seconds of one thread, as ratios within one run; `make bench`.

Each shape is run five times after one warm-up; medians are printed. "sgemm" is the bare matrix product in
the kernel's blocks; "plain NumPy" is the fifteen lines anybody would write first.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))

import numpy as np

from dvspark.kernels.distances import POINTS_PER_PRODUCT, TILE_ROWS, prepare
from dvspark.methods.options import ValueOptions
from dvspark.schemas import ChunkArrays, Partial, TrainLabels

SHAPES = [(50_000, 256, 1_000), (200_000, 512, 256), (1_500_000, 256, 64)]
K = 10
RUNS = 5


def plain_numpy(x: np.ndarray, y: np.ndarray, z: np.ndarray, y_z: np.ndarray) -> np.ndarray:
    """Return KNN-Shapley values by argsort and a reverse cumulative sum, a few points at a time."""
    n = len(x)
    ranks = np.arange(1, n + 1)
    lost = np.where(ranks > K, 1.0 / np.maximum(ranks * (ranks - 1.0), 1), 0.0)
    own = 1.0 / np.maximum(ranks, K)
    norms = (x * x).sum(1)
    total = np.zeros(n)
    for start in range(0, len(z), 8):
        distance = norms - 2 * z[start : start + 8] @ x.T
        order = np.argsort(distance, axis=1)
        match = y[order] == y_z[start : start + 8, None]
        weight = match * lost
        beyond = np.cumsum(weight[:, ::-1], axis=1)[:, ::-1] - weight
        values = match * own - beyond
        for rows, value in zip(order, values, strict=True):
            total[rows] += value
    return total / len(z)


def bare_product(x: np.ndarray, z: np.ndarray) -> None:
    """Compute all inner products in the kernel's blocks into one preallocated block."""
    block = np.empty((min(POINTS_PER_PRODUCT, len(z)), TILE_ROWS), np.float32)
    for first in range(0, len(z), POINTS_PER_PRODUCT):
        points = z[first : first + POINTS_PER_PRODUCT]
        for start in range(0, len(x), TILE_ROWS):
            tile = x[start : start + TILE_ROWS]
            np.matmul(points, tile.T, out=block[: len(points), : len(tile)])


def cpu_seconds(work: Callable[[], object], runs: int) -> float:
    """Return the median CPU seconds of some runs, after one that does not count."""
    work()
    seconds = []
    for _ in range(runs):
        begun = time.process_time()
        work()
        seconds.append(time.process_time() - begun)
    return statistics.median(seconds)


def ranked_partial(x: np.ndarray, y: np.ndarray, z: np.ndarray, y_z: np.ndarray, ranking: str) -> Callable[[], Partial]:
    """Return the kernel's work on one chunk, the training rows having been prepared before."""
    options = ValueOptions(ranking=ranking, parameters={"k": K})
    train = prepare(x, TrainLabels(y.astype(np.int32)), options.metric)
    chunk = ChunkArrays(z, [np.array([label], np.int32) for label in y_z])
    ranking_options = options.ranking_options({"k": K}, len(x))
    return lambda: options.declaration.partial(train, chunk, ranking_options, {"k": K})


def main() -> int:
    """Print one line a shape."""
    now = datetime.now(UTC).strftime("%Y-%m-%d")
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}"
    print(f"{now}, {platform.machine()}, {os.cpu_count()} cores, {versions}")
    print("                         ms a point          in products           against")
    print("        N     D     M   sorted   binned     sorted   binned     plain NumPy")
    for n, d, m in SHAPES:
        rng = np.random.default_rng(0)
        x, z = rng.standard_normal((n, d), np.float32), rng.standard_normal((m, d), np.float32)
        y, y_z = rng.integers(0, 10, n), rng.integers(0, 10, m)
        product = cpu_seconds(lambda x=x, z=z: bare_product(x, z), RUNS) / m
        by_sort, by_bins = (cpu_seconds(ranked_partial(x, y, z, y_z, how), RUNS) / m for how in ("sorted", "binned"))
        plain = cpu_seconds(lambda x=x, y=y, z=z, y_z=y_z: plain_numpy(x, y, z[:8], y_z[:8]), 1) / 8
        shares = f"{by_sort * 1e3:>7.2f}  {by_bins * 1e3:>7.2f}    {by_sort / product:>7.1f}  {by_bins / product:>7.1f}"
        print(f"{n:>9,} {d:>5} {m:>5}  {shares}     {plain / min(by_sort, by_bins):>7.1f} ×", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
