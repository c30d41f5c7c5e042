"""Decision 0006: how often a float32 cast of float64 embeddings changes who is near."""

from __future__ import annotations

import sys

from tests.bench.decisions import print_machine

import numpy as np  # isort: skip

import dvspark
from dvspark.kernels.distances.distances import exact_keys

N_TRAIN, N_VALIDATION = 20_000, 500
CASES = ((2, 0.0), (32, 0.0), (384, 0.0), (2, 100.0), (32, 100.0))
K = 10


def main() -> int:
    """Print one line a case: points whose order changes, and the largest change of a value."""
    print_machine()
    print(f"{N_TRAIN:,} rows, {N_VALIDATION} points, normal + offset in float64; cast to float32 or not; k = {K}")
    print(
        f"{'features':>8}  {'offset':>6}  {'first 10 differ':>15}  {'first 4,096 differ':>18}  {'largest change':>14}"
    )
    for n_features, offset in CASES:
        rng = np.random.default_rng(6)
        x = rng.standard_normal((N_TRAIN + N_VALIDATION, n_features)) + offset
        y = rng.integers(0, 5, len(x))
        single = x.astype(np.float32)
        near = far = 0
        for point in range(N_TRAIN, len(x)):
            order = np.argsort(exact_keys(x, np.arange(N_TRAIN), x[point], "euclidean"), kind="stable")
            cast = np.argsort(exact_keys(single, np.arange(N_TRAIN), single[point], "euclidean"), kind="stable")
            near += not np.array_equal(order[:K], cast[:K])
            far += not np.array_equal(order[:4096], cast[:4096])
        values, cast_values = (
            dvspark.value_arrays(e[:N_TRAIN], y[:N_TRAIN], e[N_TRAIN:], y[N_TRAIN:], k=K, precision="float64")
            for e in (x, single)
        )
        change = float(np.max(np.abs(values - cast_values)))
        near_share, far_share = near / N_VALIDATION, far / N_VALIDATION
        print(f"{n_features:>8}  {offset:>6.0f}  {near_share:>15.1%}  {far_share:>18.1%}  {change:>14.1e}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
