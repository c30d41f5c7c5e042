"""Kernel speed, as ratios to the bare matrix product and to plain NumPy: `python -m tests.bench.kernel`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dvspark.kernels.binning.bins import N_BINS
from dvspark.kernels.distances.distances import prepare
from dvspark.kernels.formulas.knn_shapley import KnnShapley
from dvspark.kernels.workspace import Workspace
from dvspark.methods.options import ValueOptions
from dvspark.schemas import ChunkArrays, Partial, TrainLabels
from tests.bench.adding import adding
from tests.bench.frame import Result, Row, apart, at_least, at_most, cpu_seconds, result, run, say

QUESTION = "How near is the kernel to the bare matrix product, and how far from plain NumPy?"
METHOD = """\
CPU seconds of one thread, the median of five runs after one that does not count; each shape in a process of its own.
"sgemm" is the matrix product of the same shape in blocks of 8,192 training rows × 256 points (or all, if fewer) into
one preallocated block. "NumPy" is the fifteen lines anybody would write first (argsort and a reverse cumulative sum),
on 8 of the points, where its copies fit. "squares" is what the sums of squares cost, from which standard errors come:
the compiled loop that adds values and squares of 32 points, less the same loop without squares. Normal data, 10
classes, k = 10."""
# N, D, M; the rankings; the most it may take in matrix products; the least times it is faster than plain NumPy.
SHAPES: list[tuple[tuple[int, int, int], tuple[str, ...], float | None, float | None]] = [
    ((50_000, 256, 1_000), ("sorted", "binned"), 3.0, 4.0),
    ((200_000, 512, 256), ("sorted", "binned"), 1.8, 4.5),
    ((1_500_000, 256, 256), ("binned",), 2.2, 30.0),
    ((1_500_000, 2_048, 64), ("binned",), 1.25, None),
    ((10_000_000, 64, 64), ("binned",), None, None),
]
TINY_SHAPES: list[tuple[tuple[int, int, int], tuple[str, ...], float | None, float | None]] = [
    ((3_000, 8, 5), ("sorted", "binned"), 3.0, 4.0),
    ((4_000, 8, 5), ("binned",), None, None),
]
LARGEST_SQUARES_SHARE = 0.15
K = 10
RUNS = 5
NUMPY_POINTS = 8
SGEMM_ROWS, SGEMM_POINTS = 8_192, 256
SQUARED_POINTS = 32


def main(tiny: bool = False) -> Result:
    """Measure every shape; about six minutes and 14 GB."""
    rows: list[Row] = []
    targets: list[Row] = []
    for (n, d, m), rankings, products, times in TINY_SHAPES if tiny else SHAPES:
        say(f"kernel: {n:,} × {d} × {m:,}")
        found = apart(measure_shape, n=n, d=d, m=m, rankings=rankings, with_numpy=times is not None)
        best = min(found[how] for how in rankings)
        shape = f"N = {n:,}, D = {d:,}, M = {m:,}"
        if products is not None:
            targets.append(at_most(f"{shape}: kernel / sgemm", products, best / found["sgemm"]))
        if times is not None:
            targets.append(at_least(f"{shape}: NumPy / kernel", times, found["numpy"] / best))
        targets.append(at_most(f"{shape}: squares / kernel", LARGEST_SQUARES_SHARE, found["squares"] / best))
        rows += [_row(n, d, m, how, found) for how in rankings]
    return result("kernel", QUESTION, METHOD, targets, {"CPU time of one validation point": rows})


def _row(n: int, d: int, m: int, how: str, found: dict[str, float]) -> Row:
    return {
        "N": n,
        "D": d,
        "M": m,
        "ranking": how,
        "kernel, ms": 1e3 * found[how],
        "sgemm, ms": 1e3 * found["sgemm"],
        "GFLOP/s of sgemm": 2e-9 * n * d / found["sgemm"],
        "kernel / sgemm": found[how] / found["sgemm"],
        "NumPy / kernel": found["numpy"] / found[how] if "numpy" in found else None,
        "squares / kernel": found["squares"] / found[how],
    }


def measure_shape(n: int, d: int, m: int, rankings: list[str], with_numpy: bool) -> dict[str, float]:
    """Return CPU seconds a validation point of each ranking, the bare product, the squares, and plain NumPy."""
    rng = np.random.default_rng(0)
    x, z = rng.standard_normal((n, d), np.float32), rng.standard_normal((m, d), np.float32)
    y, y_z = rng.integers(0, 10, n), rng.integers(0, 10, m)
    found = {"sgemm": cpu_seconds(lambda: bare_product(x, z), RUNS) / m}
    for how in rankings:
        found[how] = cpu_seconds(ranked_partial(x, y, z, y_z, how), RUNS) / m
    points = min(m, NUMPY_POINTS)
    found["squares"] = squares_seconds(n)
    if with_numpy:
        found["numpy"] = cpu_seconds(lambda: plain_numpy(x, y, z[:points], y_z[:points]), 1) / points
    return found


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
    block = np.empty((min(SGEMM_POINTS, len(z)), SGEMM_ROWS), np.float32)
    for first in range(0, len(z), SGEMM_POINTS):
        points = z[first : first + SGEMM_POINTS]
        for start in range(0, len(x), SGEMM_ROWS):
            tile = x[start : start + SGEMM_ROWS]
            np.matmul(points, tile.T, out=block[: len(points), : len(tile)])


def squares_seconds(n: int) -> float:
    """Return the CPU seconds a point that sums of squares of n values add."""
    codes = np.random.default_rng(1).integers(0, 2 * N_BINS, (SQUARED_POINTS, n), np.uint16)
    both, alone = (cpu_seconds(adding(codes, squares=squares), RUNS) for squares in (True, False))
    return (both - alone) / SQUARED_POINTS


def ranked_partial(x: np.ndarray, y: np.ndarray, z: np.ndarray, y_z: np.ndarray, ranking: str) -> Callable[[], Partial]:
    """Return the kernel's work on all points, the training rows having been prepared before."""
    options: Any = ValueOptions(ranking=ranking, parameters={"k": K})
    train = prepare(x, TrainLabels(y.astype(np.int32)), options.metric)
    chunk = ChunkArrays(z, [np.array([label], np.int32) for label in y_z])
    parameters = KnnShapley(K)
    ranking_options = options.ranking_options(parameters, len(x))
    workspace = Workspace()
    return lambda: options.declaration.partial(train, chunk, ranking_options, parameters, workspace)


def on_normal_rows(n: int, d: int, m: int, ranking: str) -> Callable[[], Partial]:
    """Return the kernel's work on m points and n training rows of d features, normal, in 10 classes."""
    rng = np.random.default_rng(0)
    x, z = rng.standard_normal((n, d), np.float32), rng.standard_normal((m, d), np.float32)
    return ranked_partial(x, rng.integers(0, 10, n), z, rng.integers(0, 10, m), ranking)


if __name__ == "__main__":
    run(main)
