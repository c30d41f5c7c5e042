"""Decision 0033: CPU milliseconds a validation row by how many rows of a chunk are alike, kernel and sums."""

from __future__ import annotations

import sys
import time

from tests.bench.decisions import print_machine

import numpy as np  # isort: skip

from dvspark.engine.reduce import WaveSum
from dvspark.kernels.distances.distances import prepare
from dvspark.kernels.workspace import Workspace
from dvspark.methods.options import ValueOptions
from dvspark.methods.point_weights import WeightedSum
from dvspark.schemas import ChunkArrays, TrainLabels

SHAPES = ((8_000, 384), (100_000, 256))
POINTS = 256
ALIKE = (256, 64, 16, 4, 1)
REPEATS = 3


def main() -> int:
    """Print a line a shape and size of groups: milliseconds a row of the kernel, of all sums, and both together."""
    print_machine()
    options = ValueOptions("knn_shapley", {"k": 10})
    parameters = options.resolved(10)
    for n_train, n_features in SHAPES:
        rng = np.random.default_rng(0)
        labels = TrainLabels(rng.integers(0, 10, n_train).astype(np.int32))
        train = prepare(rng.normal(size=(n_train, n_features)).astype(np.float32), labels, "euclidean")
        z = rng.normal(size=(POINTS, n_features)).astype(np.float32)
        points = ChunkArrays(z, [np.array([code], np.int32) for code in rng.integers(0, 10, POINTS)])
        ranking, workspace = options.ranking_options(parameters, n_train), Workspace()
        for alike in ALIKE:
            taken = []
            for _ in range(REPEATS):
                kernel, start, weighed = 0.0, time.process_time(), WeightedSum(n_train, row_bounds=False)
                for first in range(0, POINTS, alike):
                    begun = time.process_time()
                    chunk = points.take(np.arange(first, first + alike))
                    partial = options.declaration.partial(train, chunk, ranking, parameters, workspace)
                    kernel += time.process_time() - begun
                    added = WaveSum()
                    added.add(partial)
                    weighed.add(0.5, added.wave(0, {0: alike}).totals)
                taken.append((time.process_time() - start, kernel))
            both, kernel = min(taken)
            told = [1000 * seconds / POINTS for seconds in (kernel, both - kernel, both)]
            print(n_train, n_features, alike, " ".join(f"{one:.2f}" for one in told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
