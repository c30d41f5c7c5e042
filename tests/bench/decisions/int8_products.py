"""Decision 0032: near rows and neighbors by float32 and by int8 products.

CPU time of one thread for one validation point over that of the bare float32 product, the least of three runs; normal
rows around ten class centers, where distances crowd together and int8 products leave the most in doubt.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

import numpy as np

from dvspark.kernels.distances import product_speed
from dvspark.kernels.distances.distances import POINTS_PER_PRODUCT, TILE_ROWS, prepare
from dvspark.kernels.distances.quantized import quantize
from dvspark.kernels.workspace import Workspace
from dvspark.methods.kinds.radius import RadiusMethod
from dvspark.methods.options import ValueOptions
from dvspark.schemas import ChunkArrays, Floats, TrainArrays, TrainLabels
from tests.bench.kernel import bare_product

SHAPES = ((1_500_000, 256, 256), (200_000, 768, 256))
METHODS = {"k* = 10": 10, "k* = 100": 100, "k* = 1,000": 1_000, "threshold, automatic radius": 0}
RUNS = 3


def main() -> int:
    """Print one table a shape; about ten minutes and 6 GB."""
    for n, d, m in SHAPES:
        train, chunk = table(n, d, m)
        bare = seconds(lambda x=train.x, z=chunk.x: bare_product(x, z))
        write(f"\nN = {n:,}, D = {d:,}, M = {m:,}: sgemm {1e3 * bare / m:.2f} ms a point")
        write("| method | float32 | int8 | same bits |\n|---|---|---|---|")
        write(f"| products alone | 1 | {seconds(lambda x=train.x, z=chunk.x: int8_products(x, z)) / bare:.2f} | |")
        for name, n_nearest in METHODS.items():
            work = work_of(train, chunk, n_nearest)
            found, ratios = {}, {}
            for products in ("float32", "int8"):
                os.environ[product_speed.CHOICE_VARIABLE] = products
                found[products] = work()
                ratios[products] = seconds(work) / bare
            same = "yes" if found["float32"] == found["int8"] else "no"
            write(f"| {name} | {ratios['float32']:.2f} | {ratios['int8']:.2f} | {same} |")
    return 0


def table(n: int, d: int, m: int) -> tuple[TrainArrays, ChunkArrays]:
    """Return training rows and points around ten class centers."""
    rng = np.random.default_rng(0)
    centers, labels, of_points = (
        rng.standard_normal((10, d), np.float32),
        rng.integers(0, 10, n),
        rng.integers(0, 10, m),
    )
    x, z = rng.standard_normal((n, d), np.float32), rng.standard_normal((m, d), np.float32) + centers[of_points]
    x += centers[labels]
    codes = [np.array([label], np.int32) for label in of_points]
    return prepare(x, TrainLabels(labels.astype(np.int32)), "euclidean"), ChunkArrays(z, codes)


def work_of(train: TrainArrays, chunk: ChunkArrays, n_nearest: int) -> Callable[[], bytes]:
    """Return work that values the points and returns the bytes of values; ``n_nearest`` 0 is an automatic radius."""
    if n_nearest:
        options = ValueOptions(method="truncated_knn_shapley", parameters={"k": 10, "k_star": n_nearest})
    else:
        options = ValueOptions(method="threshold_knn_shapley", parameters={})
    method, parameters = options.declaration, options.resolved(10)
    ranking, workspace = options.ranking_options(parameters, train.n_train), Workspace()
    if isinstance(method, RadiusMethod):
        parameters = method.settled_parameters(train, chunk, ranking, method.own(parameters))

    def work() -> bytes:
        return method.partial(train, chunk, ranking, parameters, workspace).value.tobytes()

    return work


def int8_products(x: Floats, z: Floats) -> None:
    """Multiply all rows by all points, quantizing both on the way."""
    points = quantize(z, np.empty(z.shape, np.int8))
    room = np.empty(POINTS_PER_PRODUCT * TILE_ROWS, np.int32)
    for start in range(0, len(x), TILE_ROWS):
        tile = x[start : start + TILE_ROWS]
        rows = quantize(tile, np.empty(tile.shape, np.int8))
        out = room[: len(z) * len(tile)].reshape(len(z), len(tile))
        product_speed.integer_products(points.codes, rows.codes, out)


def seconds(work: Callable[[], object]) -> float:
    """Return the CPU seconds of the fastest run."""
    found = []
    for _ in range(RUNS):
        begin = time.process_time()
        work()
        found.append(time.process_time() - begin)
    return min(found)


def write(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
