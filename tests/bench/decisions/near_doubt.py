"""Decision 0015: which near rows get exact keys, by how errors are measured and by what the order is for.

Euclidean keys of 50,000 normal rows of 256 features, 64 points, the nearest 4,096 rows.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from unittest import mock

from tests.bench.decisions import cpu_seconds, print_machine

import numpy as np  # isort: skip
from scipy.stats import t as students_t

from dvspark.kernels import distances, near_order, ranking
from dvspark.kernels.distances import prepare
from dvspark.kernels.ranking import Scratch
from dvspark.kernels.workspace import Workspace
from dvspark.schemas import TrainArrays, TrainLabels

N_TRAIN, N_FEATURES, N_POINTS, N_NEAR = 50_000, 256, 64, 4_096
MEASURED = (16, 24, 32, 48, 64, 96, 128)
CLASSES = (2, 10, 100)
RUNS = 5


def main() -> int:
    """Print one table by how many rows errors are measured on, and one by the number of classes."""
    print_machine()
    rng = np.random.default_rng(0)
    x, z = (rng.standard_normal((n, N_FEATURES), np.float32) for n in (N_TRAIN, N_POINTS))
    train = prepare(x, TrainLabels(np.zeros(N_TRAIN, np.int32)), "euclidean")
    keys = np.empty((N_POINTS, N_TRAIN), np.float32)
    weights = distances.approximate_keys(train, z, "euclidean", keys)
    chance = float(students_t.sf(np.sqrt(2.0) * near_order.ERROR_DEVIATIONS, near_order.ERROR_SAMPLE - 1))
    print(f"chance that two rows at the limit are told apart wrongly: {chance:.1e}")
    for measured in MEASURED:
        deviations = float(students_t.isf(chance, measured - 1)) / np.sqrt(2.0)
        near_order._error_sample.cache_clear()
        with mock.patch.multiple(near_order, ERROR_SAMPLE=measured, ERROR_DEVIATIONS=deviations):
            asked, seconds = _settled(train, z, keys, weights, lambda: None)
        print(f"| {measured} | {deviations:.1f} | {asked:.0f} | {1e6 * seconds:.0f} |")
    near_order._error_sample.cache_clear()
    for n_classes in CLASSES:
        for name, among in (("all", False), ("with a match", True)):
            matches = rng.integers(0, n_classes, N_NEAR) == 0
            asked, seconds = _settled(
                train, z, keys, weights, lambda matches=matches, among=among: matches if among else None
            )
            print(f"| {n_classes} | {name} | {asked:.0f} | {1e6 * seconds:.0f} |")
    return 0


def _settled(
    train: TrainArrays, z: np.ndarray, keys: np.ndarray, weights: np.ndarray, among: Callable[[], np.ndarray | None]
) -> tuple[float, float]:
    """Return how many rows get exact keys, those included that errors are measured on, and the CPU seconds; a point."""
    scratch, ranked, asked = Scratch(N_TRAIN, Workspace()), [], []
    for of_point in keys:
        ranking.rank_rows(of_point, np.zeros(N_TRAIN, np.bool_), scratch)
        ranked.append((scratch.rows[:N_NEAR].copy(), scratch.keys[:N_NEAR].copy()))
    exact_keys = distances.exact_keys

    def settle() -> None:
        for point, (rows, of_rows) in enumerate(ranked):
            near = near_order.near_keys(train, z[point], float(weights[point]), "euclidean")
            flags = np.zeros(N_NEAR, np.bool_)
            near_order.settle(near, rows.copy(), flags, of_rows, metric="euclidean", average=False, among=among())

    def counted(*given: np.ndarray) -> np.ndarray:
        asked.append(len(given[1]))
        return exact_keys(*given)  # type: ignore[arg-type]

    with mock.patch.object(distances, "exact_keys", counted):
        settle()
    return sum(asked) / len(z), cpu_seconds(settle, RUNS) / len(z)


if __name__ == "__main__":
    sys.exit(main())
