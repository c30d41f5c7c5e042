"""What each method costs beside the main one: `python -m tests.bench.family`."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from dvspark.kernels.distances.distances import prepare
from dvspark.kernels.workspace import Workspace
from dvspark.methods.kinds.radius import RadiusMethod, tenth_distances
from dvspark.methods.options import ValueOptions
from dvspark.schemas import ChunkArrays, TrainColumns, TrainLabels
from tests.bench.frame import Result, Row, apart, at_least, cpu_seconds, result, run, say
from tests.bench.kernel import bare_product

QUESTION = "What does each method cost beside knn_shapley?"
METHOD = """\
CPU seconds of one thread for one validation point, the median of three runs after one that does not count; each method
in a process of its own. "sgemm" is the bare matrix product of the same shape, as in the kernel's benchmark. Normal data
around 10 class centers, 10 classes, k = 10, rows of 1,000 owners, the automatic radius; k* = 1,000. The methods that
need all rows in order rank them by the sort, knn_shapley by bins."""
SHAPE, TINY_SHAPE = (1_500_000, 256, 128), (3_000, 8, 5)
RUNS = 3
# The parameters of each method, and how many of the points it values: some take seconds a point.
METHODS: dict[str, tuple[dict[str, Any], int]] = {
    "knn_shapley": ({"k": 10}, 128),
    "soft_knn_shapley": ({"k": 10}, 128),
    "threshold_knn_shapley": ({}, 128),
    "threshold_knn_banzhaf": ({}, 128),
    "truncated_knn_shapley": ({"k": 10, "k_star": 1_000}, 128),
    "knn_loo": ({"k": 10}, 128),
    "knn_banzhaf": ({"k": 10}, 128),
    "knn_beta": ({"k": 10, "alpha": 4, "beta": 1}, 128),
    "knn_regression_shapley": ({"k": 10}, 16),
    "weighted_knn_shapley": ({"k": 10}, 16),
    "owner_knn_shapley": ({"k": 10}, 8),
}
# Wang et al. 2023 measured 1.3 against a sort; the binned ranking is a harder rival.
LEAST_GAIN = 1.3


def main(tiny: bool = False) -> Result:
    """Measure every method; about ten minutes and 6 GB."""
    n, d, m = TINY_SHAPE if tiny else SHAPE
    found = {}
    for method, (parameters, points) in METHODS.items():
        say(f"family: {method}")
        shape = {"n": n, "d": d, "m": min(m, points)}
        measure = measure_method if tiny else partial(apart, measure_method)
        found[method] = measure(method=method, parameters=parameters, **shape)
    rows: list[Row] = [_row(method, found) for method in METHODS]
    gain = found["knn_shapley"]["seconds"] / found["threshold_knn_shapley"]["seconds"]
    targets = [at_least(f"N = {n:,}, D = {d:,}: knn_shapley / threshold_knn_shapley", LEAST_GAIN, gain)]
    return result("family", QUESTION, METHOD, targets, {f"One validation point, N = {n:,}, D = {d:,}": rows})


def _row(method: str, found: dict[str, dict[str, float]]) -> Row:
    of_method = found[method]
    return {
        "method": method,
        "points": int(of_method["points"]),
        "ms a point": 1e3 * of_method["seconds"],
        "method / sgemm": of_method["seconds"] / of_method["sgemm"],
        "method / knn_shapley": of_method["seconds"] / found["knn_shapley"]["seconds"],
        "neighbors a point": of_method.get("neighbors"),
    }


def measure_method(method: str, parameters: dict[str, Any], n: int, d: int, m: int) -> dict[str, float]:
    """Return CPU seconds a validation point of a method, and of the bare product."""
    rng = np.random.default_rng(0)
    centers = rng.standard_normal((10, d), np.float32)
    y, y_z = rng.integers(0, 10, n), rng.integers(0, 10, m)
    x = rng.standard_normal((n, d), np.float32)
    x += centers[y]
    z = rng.standard_normal((m, d), np.float32) + centers[y_z]
    columns = TrainColumns(rng.random(n), rng.random(n), rng.integers(0, 1_000, n).astype(np.int32), 1_000)
    train = prepare(x, TrainLabels(y.astype(np.int32)), "euclidean")
    train = type(train)(**{**vars(train), "columns": columns})
    chunk = ChunkArrays(z, [np.array([label], np.int32) for label in y_z], targets=rng.random(m))
    options = ValueOptions(method=method, parameters=parameters)
    declaration, resolved = options.declaration, options.resolved(10)
    ranking = options.ranking_options(resolved, n)
    found: dict[str, float] = {"points": m}
    if isinstance(declaration, RadiusMethod):
        radius = declaration.automatic_radius(tenth_distances(train, chunk, ranking), z, "euclidean", n)
        resolved = replace(declaration.own(resolved), radius=radius)
        found["neighbors"] = float(declaration.counts(train, chunk, ranking, resolved).sum() / m)
    workspace = Workspace()
    work = lambda: declaration.partial(train, chunk, ranking, resolved, workspace)  # noqa: E731
    return {**found, "sgemm": cpu_seconds(lambda: bare_product(x, z), RUNS) / m, "seconds": cpu_seconds(work, RUNS) / m}


if __name__ == "__main__":
    run(main)
