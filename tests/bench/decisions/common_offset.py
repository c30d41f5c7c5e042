"""Decision 0003: the error of values with and without the common offset subtracted before products."""

from __future__ import annotations

import sys

from tests.bench.decisions import print_machine

import numpy as np  # isort: skip

import dvspark
from dvspark.kernels.distances import distances

N_TRAIN, N_VALIDATION, N_FEATURES = 8_000, 40, 32
OFFSETS = (0, 1, 10, 100, 1_000)


def main() -> int:
    """Print one line an offset: the largest difference of a value to precision="float64"."""
    print_machine()
    print(f"{N_TRAIN:,} rows, {N_VALIDATION} points, {N_FEATURES} features, normal + offset, k = 10, 5 labels")
    print(f"{'offset':>6}  {'products as they are':>20}  {'offset subtracted':>17}  {'as shipped':>10}")
    shipped = distances.OFFSET_RATIO
    for offset in OFFSETS:
        rng = np.random.default_rng(21)
        x = (rng.normal(size=(N_TRAIN + N_VALIDATION, N_FEATURES)) + offset).astype(np.float32)
        y = rng.integers(0, 5, len(x))
        rows = (x[:N_TRAIN], y[:N_TRAIN], x[N_TRAIN:], y[N_TRAIN:])
        exact = dvspark.value_arrays(*rows, precision="float64")
        errors = []
        for ratio in (np.inf, 0.0, shipped):
            distances.OFFSET_RATIO = ratio
            errors.append(float(np.max(np.abs(dvspark.value_arrays(*rows) - exact))))
        distances.OFFSET_RATIO = shipped
        print(f"{offset:>6,}  {errors[0]:>20.1e}  {errors[1]:>17.1e}  {errors[2]:>10.1e}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
