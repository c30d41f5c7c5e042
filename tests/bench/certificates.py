"""Certificates against errors on data of many kinds: `python -m tests.bench.certificates`."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

import dvspark
from dvspark.kernels.binning import binned
from dvspark.kernels.distances import distances
from tests.bench.frame import Result, Row, at_most, result, run, say

QUESTION = "Is any value further from the exact one than its certificate says, and what do certificates cost?"
METHOD = """\
Errors are against `precision: float64`, which ranks all rows by float64 differences; the certificate is the largest of
all rows and points. Three points a table, two classes in runs of rows that follow each other in the order by distance
from the first point, k = 5, tolerance 1e-8. "bins": the share of points that bins serve under ranking: binned, the
others being sorted; "exact keys": of how many rows a point asked for float64 differences, in the mean, the sample of
64 rows that errors are measured on included. CPU time of one thread, preparing the table included."""
POINTS = 3
K = 5
METHODS = ("knn_shapley", "soft_knn_shapley", "knn_beta")
SIZES = (20_000, 200_000)
TINY_SIZES = (1_000,)


def tables(n: int, rng: np.random.Generator) -> dict[str, tuple[np.ndarray, str]]:
    """Return tables of n rows and some points behind them, by what they are, and the metric to compare by."""
    total = n + POINTS
    normal, side = rng.normal(size=(total, 16)), rng.integers(0, 2, (total, 1))
    unit = normal / np.linalg.norm(normal, axis=1, keepdims=True)
    texts = rng.normal(size=(2, 64))[side[:, 0]]
    at_zero = unit.copy()
    at_zero[n:] = 0.0
    outlier = normal.copy()
    outlier[:3] *= 1e4
    found = {
        "normal": normal,
        **{f"clusters {10.0**e:.0e} spreads apart": normal + 10.0**e * side for e in (2, 3, 5, 7)},
        "offset of 1e4": normal + 1e4,
        "whole numbers 0 to 3": rng.integers(0, 4, (total, 6)).astype(np.float64),
        "one-hot": np.eye(16)[rng.integers(0, 16, total)],
        "each row ten times": normal[rng.integers(0, n // 10, total)],
        "all equal": np.ones((total, 4)),
        "norms of 1e-18": 1e-18 * normal,
        "norms of 1e12": 1e12 * normal,
        "norms over six decades": normal * 10.0 ** rng.integers(-3, 4, (total, 1)),
        "three rows 1e4 times as long": outlier,
        "unit rows, points at zero": at_zero,
    }
    told = {name: (x.astype(np.float32), "euclidean") for name, x in found.items()}
    for spread in (1e-4, 1e-6, 1e-8):
        near = texts + spread * np.linalg.norm(texts, axis=1, keepdims=True) * rng.normal(size=texts.shape) / 8.0
        told[f"two texts, {spread:.0e} apart"] = near.astype(np.float32), "cosine"
    return told


def main(tiny: bool = False) -> Result:
    """Measure every table, ranking and method; about five minutes."""
    shown: dict[str, list[Row]] = {}
    worst = 0.0
    for n in TINY_SIZES if tiny else SIZES:
        rows: list[Row] = []
        for name, (x, metric) in tables(n, np.random.default_rng(0)).items():
            say(f"certificates: {n:,} rows, {name}")
            for method in METHODS[:1] if tiny else METHODS:
                for ranking in ("sorted", "binned"):
                    row = measured(x, n, metric, method, ranking)
                    worst = max(worst, float(row.pop("over")))
                    rows.append({"data": name, "method": method, "ranking": ranking, **row})
        shown[f"{n:,} rows"] = rows
    targets = [at_most("largest error above its certificate", 1e-15, worst)]
    return result("certificates", QUESTION, METHOD, targets, shown)


def measured(x: np.ndarray, n: int, metric: str, method: str, ranking: str) -> dict[str, Any]:
    """Return errors, certificates, ways and cost of one table under one method and ranking."""
    train, points = x[:n], x[n:]
    wide, point = train.astype(np.float64), points[0].astype(np.float64)
    if metric == "cosine":
        wide, point = wide / np.linalg.norm(wide, axis=1, keepdims=True), point / np.linalg.norm(point)
    y = np.empty(n, np.int64)
    y[np.argsort(((wide - point) ** 2).sum(axis=1), kind="stable")] = np.arange(n) // 7 % 2
    own = {"alpha": 4.0, "beta": 1.0} if method == "knn_beta" else {}
    given: Any = (train, y, points, [1, 0, 1])
    options: Any = {"method": method, "k": K, "metric": metric, **own}
    exact = dvspark.value_arrays(*given, precision="float64", **options)
    dvspark.value_arrays(*given, ranking=ranking, **options)  # loops are compiled
    asked, served = [0], [0]
    exact_keys, binned_partial = distances.exact_keys, binned.binned_partial

    def counted_keys(x: Any, rows: Any, z: Any, metric: str) -> Any:
        asked[0] += len(rows)
        return exact_keys(x, rows, z, metric)

    from dvspark.kernels.ranking import partials

    def counted_points(*arguments: Any) -> Any:
        found, left = binned_partial(*arguments)
        served[0] += found.n_validation
        return found, left

    distances.exact_keys, partials.binned_partial = counted_keys, counted_points
    try:
        begin = time.process_time()
        found, bound = dvspark.value_arrays(*given, ranking=ranking, error_bound=True, **options)
        seconds = time.process_time() - begin
    finally:
        distances.exact_keys, partials.binned_partial = exact_keys, binned_partial
    error = np.abs(found - exact)
    return {
        "largest error": float(error.max()),
        "largest certificate": float(bound.max()),
        "bins": served[0] / POINTS,
        "exact keys a point": asked[0] / POINTS,
        "CPU ms a point": 1e3 * seconds / POINTS,
        "over": float(np.max(error - bound)),
    }


if __name__ == "__main__":
    run(main)
