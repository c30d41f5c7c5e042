"""Acquisition values beside a method that asks for near rows: `python -m tests.bench.decisions.acquisition_kind`."""

from __future__ import annotations

import time
from typing import Any

from tests.bench.decisions import print_machine

import numpy as np  # isort: skip

import dvspark

SHAPES = [(20_000, 20_000, 384), (100_000, 100_000, 64), (100_000, 1_000, 64)]
N_POINTS, K = 64, 10


def main() -> None:
    """Print CPU milliseconds a point; a minute."""
    rng = np.random.default_rng(0)
    print_machine()
    for n, n_owned, d in SHAPES:
        x, owned, z = (rng.standard_normal((rows, d), np.float32) for rows in (n, n_owned, N_POINTS))
        y, y_owned, y_z = (rng.integers(0, 10, rows) for rows in (n, n_owned, N_POINTS))
        ours = cpu(x, y, z, y_z, method="knn_acquisition_shapley", x_owned=owned, y_owned=y_owned)
        near = cpu(np.concatenate([x, owned]), np.concatenate([y, y_owned]), z, y_z, method="knn_loo")
        nearer = [nearer_rows(x, owned, point) for point in z[:20]]
        print(f"{n:,} candidates, {n_owned:,} owned, {d} numbers: acquisition {ours:.1f} ms, knn_loo {near:.1f} ms")
        print(f"  candidates nearer than the {K}th owned row: mean {np.mean(nearer):,.0f}, most {max(nearer):,}")


def cpu(*arrays: Any, **options: Any) -> float:
    """Return the CPU milliseconds of a point, by the faster of two runs."""
    taken = []
    for _ in range(2):
        begun = time.process_time()
        dvspark.value_arrays(*arrays, k=K, **options)
        taken.append(time.process_time() - begun)
    return 1e3 * min(taken) / N_POINTS


def nearer_rows(x: np.ndarray, owned: np.ndarray, point: np.ndarray) -> int:
    """Return how many candidates can change a vote."""
    limit = np.partition(((owned - point) ** 2).sum(axis=1), K - 1)[K - 1]
    return int((((x - point) ** 2).sum(axis=1) < limit).sum())


if __name__ == "__main__":
    main()
