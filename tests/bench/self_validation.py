"""Rows that validate each other: `python -m tests.bench.self_validation`."""

from __future__ import annotations

import resource
import time
from functools import partial
from typing import Any

import numpy as np

import dvspark
from tests.bench.frame import Result, apart, at_most, result, run, say

QUESTION = "What do rows take that validate each other?"
METHOD = """\
`dvspark.value_arrays(x, y, method="cleanlab_knn_shapley", k=10)` in a process of its own with one BLAS thread: every
row is valued by all others, N² distances in all, of which no more than a block is in memory at once. float32 rows
around 10 class centers, one label in 20 wrong. cleanlab's own `data_shapley_knn` allocates N × N float64, which is 8 TB
here; at the smaller size both run, cleanlab (2.9.0) with its search by scikit-learn."""
SHAPE, BOTH = (1_000_000, 32), (20_000, 32)
TINY_SHAPE, TINY_BOTH = (3_000, 8), (500, 8)
# Rows, the sums over them, and the kernel's scratch; N × N bytes would be 1 TB.
MOST_MEMORY_GB = 2.0


def main(tiny: bool = False) -> Result:
    """Measure both sizes; about forty minutes."""
    (n, d), (n_both, d_both) = (TINY_SHAPE, TINY_BOTH) if tiny else (SHAPE, BOTH)
    rows: list[dict[str, Any]] = []
    for who, size in (("dvspark", (n, d)), ("dvspark", (n_both, d_both)), ("cleanlab", (n_both, d_both))):
        say(f"self-validation: {who}, {size[0]:,} rows")
        measure = scores_of if tiny else partial(apart, scores_of, threads=1)
        found = measure(who=who, n=size[0], d=size[1])
        rows.append({"who": who, "N": size[0], "D": size[1], **found})
    targets = [at_most(f"N = {n:,}: most memory of the process, GB", MOST_MEMORY_GB, rows[0]["memory, GB"])]
    return result("self_validation", QUESTION, METHOD, targets, {"Scores of rows by each other": rows})


def scores_of(who: str, n: int, d: int) -> dict[str, float]:
    """Return CPU seconds and the most memory; how many of the lowest scores are wrong labels; their sum."""
    rng = np.random.default_rng(0)
    true = rng.integers(0, 10, n)
    x = rng.standard_normal((n, d), np.float32) + 1.5 * rng.standard_normal((10, d), np.float32)[true]
    wrong = rng.random(n) < 0.05
    y = np.where(wrong, (true + rng.integers(1, 10, n)) % 10, true)
    begun = time.process_time()
    if who == "dvspark":
        scores = dvspark.value_arrays(x, y, method="cleanlab_knn_shapley", k=10)
    else:
        from cleanlab.data_valuation import data_shapley_knn
        from sklearn.neighbors import NearestNeighbors

        graph = NearestNeighbors(n_neighbors=10).fit(x).kneighbors_graph(mode="distance")
        scores = data_shapley_knn(y, knn_graph=graph, k=10)
    lowest = np.argsort(scores)[: int(wrong.sum())]
    return {
        "CPU seconds": time.process_time() - begun,
        "memory, GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "wrong labels among as many lowest scores": float(wrong[lowest].mean()),
        "mean score": float(scores.mean()),
    }


if __name__ == "__main__":
    run(main)
