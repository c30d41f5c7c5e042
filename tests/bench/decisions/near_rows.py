"""Decisions 0008 and 0015: how many points fail the tolerance by how many rows are near, bins and rows of the sample.

Certificates of 256 points at tolerance 1e-8 and N = 200,000 normal rows in 10 classes, k = 10. No time is measured.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any
from unittest import mock

import numpy as np

from dvspark.kernels.binning import binned, bins
from dvspark.kernels.distances.distances import prepare
from dvspark.methods.options import ValueOptions
from dvspark.schemas import ChunkArrays, TrainLabels

N_TRAIN, N_POINTS, TOLERANCE = 200_000, 256, 1e-8
FACTORS = (2.2, 2.4, 2.6, 2.8)
# Bins, and training rows of which one is in the sample.
LAYOUTS = ((8_192, 64), (8_192, 32), (4_096, 64))
FEATURES = (32, 256)


def main() -> int:
    """Print one row a layout, metric, number of features, and factor of 1 / √tolerance."""
    for (n_bins, one_in), metric, n_features in product(LAYOUTS, ("euclidean", "cosine"), FEATURES):
        for factor in FACTORS:
            with mock.patch.multiple(bins, N_BINS=n_bins, SAMPLE_ONE_IN=one_in):
                found = _certificates(metric, n_features, factor)
            failed = int((found > TOLERANCE).sum())
            print(
                f"{n_bins:,} bins, 1 in {one_in}, {metric}, {n_features:>3} features, {factor} / √tolerance: "
                f"{failed} of {N_POINTS} failed, half up to {np.median(found):.1e}, the most {found.max():.1e}"
            )
    return 0


def _certificates(metric: str, n_features: int, factor: float) -> np.ndarray:
    """Return the certificate of each point at its first try, (N_POINTS,)."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((N_TRAIN + N_POINTS, n_features), np.float32)
    y = rng.integers(0, 10, N_TRAIN + N_POINTS).astype(np.int32)
    train = prepare(x[:N_TRAIN], TrainLabels(y[:N_TRAIN]), metric)
    chunk = ChunkArrays(x[N_TRAIN:], [y[row : row + 1] for row in range(N_TRAIN, len(y))])
    options = ValueOptions.of("knn_shapley", 10, None, {}, metric=metric, ranking="binned")
    found: list[float] = []
    value_point = partial(_noting, binned.value_point, found)
    n_near = int(factor / np.sqrt(TOLERANCE) + 10.0 * np.sqrt(N_TRAIN))
    with (
        mock.patch.object(bins, "near_rows", return_value=n_near),
        mock.patch.object(binned, "value_point", value_point),
    ):
        parameters = options.resolved(10)
        options.declaration.partial(train, chunk, options.ranking_options(parameters, N_TRAIN), parameters)
    return np.array(found[:N_POINTS])


def _noting(value_point: Callable[..., Any], found: list[float], *given: Any) -> Any:
    valued = value_point(*given)
    bound_of_code = given[7]
    found.append(float(bound_of_code.max()))
    return valued


if __name__ == "__main__":
    sys.exit(main())
