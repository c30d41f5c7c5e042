"""Decision 0014: from packed keys to sums over rows, by arrays in rank order and by row."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from tests.bench.decisions import cpu_seconds, print_machine

import numpy as np  # isort: skip

from dvspark.kernels.formulas.knn_shapley import KnnShapley
from dvspark.kernels.loops import compiled_loops as loops

# Rows and classes, of which one in so many rows is a match.
SHAPES = ((50_000, 10), (50_000, 2), (200_000, 10), (200_000, 100))


def ways(keys: np.ndarray, matches: np.ndarray) -> dict[str, Callable[[], Any]]:
    """Return two ways from one point's keys and matches to sums over rows, which add the same."""
    n = len(keys)
    weights = KnnShapley(10).rank_weights(n)
    packed, spare = np.empty((2, n), np.uint64)
    of_row, value, squared = np.empty(n), np.zeros(n), np.zeros(n)
    rows, flags, ordered = np.empty(n, np.int64), np.empty(n, np.bool_), np.empty(n, np.float32)

    def in_rank_order() -> np.ndarray:
        loops.pack(keys, matches, packed)
        loops.sort_packed(packed, spare)
        loops.unpack(packed, rows, flags, ordered)
        loops.rank_values(flags, weights.own, weights.suffix, 0.0, 0.0, 0.0, of_row)
        loops.add_ranked(rows, of_row, value, squared)
        return value

    def by_row() -> np.ndarray:
        loops.pack(keys, matches, packed)
        loops.sort_packed(packed, spare)
        loops.value_packed(packed, 0, weights.own, weights.suffix, 0.0, 0.0, of_row)
        loops.add_rows(of_row, value, squared)
        return value

    found = {"in rank order": in_rank_order, "by row": by_row}
    once = []
    for way in found.values():
        value[:] = 0.0
        once.append(way().copy())
    if not np.array_equal(once[0], once[1]):
        raise RuntimeError("the ways disagree")
    return found


def main() -> int:
    """Print one line a shape: CPU nanoseconds a row and point, from keys to sums."""
    print_machine()
    for n, n_classes in SHAPES:
        rng = np.random.default_rng(0)
        keys = rng.gamma(128.0, 2.0, n).astype(np.float32)
        for name, way in ways(keys, rng.integers(0, n_classes, n) == 0).items():
            print(f"| {n:,} | {n_classes} | {name} | {1e9 * cpu_seconds(way, 21) / n:.1f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
