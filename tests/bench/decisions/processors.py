"""Decision 0045: which values have the same bits on other processors, and what that costs."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from functools import partial
from typing import Any

from tests.bench.decisions import cpu_seconds, print_machine

import numpy as np  # isort: skip

import dvspark

# The processors whose products OpenBLAS can be told to make, from 2008, 2011 and 2013.
CORE_TYPES = ("Nehalem", "Sandybridge", "Haswell")
WAYS: dict[str, dict[str, Any]] = {
    "tolerance 1e-8": {},
    "tolerance 0": {"tolerance": 0},
    "precision float64": {"precision": "float64"},
}
METHODS = ("knn_shapley", "soft_knn_shapley", "knn_banzhaf")
# Rows, features, points.
SIZES = ((50_000, 256, 32), (200_000, 512, 16))


def digests() -> dict[str, str]:
    """Return the sha256 of the values of each way, method and distance on this process's products."""
    rng = np.random.default_rng(1)
    x, points = (rng.standard_normal((n, 64), dtype=np.float32) for n in (30_000, 20))
    labels, own = (rng.integers(0, 10, n) for n in (30_000, 20))
    found = {}
    for way, options in WAYS.items():
        for method in METHODS:
            for metric in ("euclidean", "cosine", "inner_product"):
                values = dvspark.value_arrays(x, labels, points, own, k=10, method=method, metric=metric, **options)
                found[f"{way} | {method} | {metric}"] = hashlib.sha256(values.tobytes()).hexdigest()
    return found


def on_core_type(core_type: str) -> dict[str, str]:
    """Return the digests where products are those of another processor."""
    given = {**os.environ, "OPENBLAS_CORETYPE": core_type}
    command = [sys.executable, "-m", "tests.bench.decisions.processors", "digests"]
    return dict(json.loads(subprocess.run(command, env=given, check=True, capture_output=True, text=True).stdout))


def cost(n_rows: int, n_features: int, n_points: int, way: str) -> float:
    """Return the CPU milliseconds that a point takes: the median of three calls, without what a call costs."""
    rng = np.random.default_rng(2)
    x, points = (rng.standard_normal((n, n_features), dtype=np.float32) for n in (n_rows, n_points))
    labels, own = (rng.integers(0, 10, n) for n in (n_rows, n_points))

    def value(n: int) -> None:
        dvspark.value_arrays(x, labels, points[:n], own[:n], **WAYS[way])

    whole, one = (cpu_seconds(partial(value, n), 3) for n in (n_points, 1))
    return (whole - one) / (n_points - 1) * 1e3


def main() -> int:
    """Print in how many of nine calls each way has the same bits on all processors, and what it costs."""
    if sys.argv[1:] == ["digests"]:
        print(json.dumps(digests()))
        return 0
    print_machine()
    found = [on_core_type(core_type) for core_type in CORE_TYPES]
    for way in WAYS:
        calls = [call for call in found[0] if call.startswith(way)]
        same = sum(len({digest[call] for digest in found}) == 1 for call in calls)
        print(f"{way:<18} the same bits in {same} of {len(calls)} calls, on {', '.join(CORE_TYPES)}")
    for n_rows, n_features, n_points in SIZES:
        taken = {way: cost(n_rows, n_features, n_points, way) for way in ("tolerance 1e-8", "tolerance 0")}
        told = ", ".join(f"{way} {ms:.2f} ms" for way, ms in taken.items())
        print(f"{n_rows:,} rows, {n_features} features, a point: {told}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
