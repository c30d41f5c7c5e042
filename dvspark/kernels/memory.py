"""Memory: a bound on the memory that a kernel takes beside the train arrays, known before it starts."""

from __future__ import annotations

import sys

from dvspark.kernels.binning import bins, row_codes
from dvspark.kernels.ranking import ranking as by_sort

# The cases that `python -m dvspark.kernels.memory` prints.
EXAMPLES = (
    ("sorted", 8_000, 384),
    ("sorted", 100_000, 512),
    ("binned", 200_000, 512),
    ("binned", 1_500_000, 256),
    ("binned", 10_000_000, 64),
)


def scratch_bytes(
    n_train: int,
    n_features: int,
    *,
    ties: str = "id",
    ranking: str = "sorted",
    k: int = 10,
    tolerance: float = 1e-8,
    row_bounds: bool = False,
    table_rows: int | None = None,
) -> int:
    """Return a bound on the kernel's memory beside the train arrays, in bytes.

    - The sorted ranking takes a block of float32 keys of P points, 200 N for ranking and valuing one point (280 N if
      ties are averaged), and five tiles in float64.
    - The binned ranking takes a block of codes, near rows and tables, and what `row_codes.table_bytes` counts. For
      points that bins do not serve, it takes as much as the sorted ranking, if that is more.
    - ``row_bounds`` take 8 N bytes, and a table for each point.
    For a block of a table of ``table_rows``, P is that of the whole table.
    """
    table_rows = table_rows or n_train
    by_keys = by_sort.sort_bytes(n_train, n_features, by_sort.points_per_block(table_rows), ties=ties)
    if ranking == "sorted":
        return by_keys
    points = points_at_once(table_rows, n_features, ranking=ranking, k=k, tolerance=tolerance)
    of_point = row_codes.point_bytes(n_train, n_features, min(n_train, _capacity(table_rows, k, tolerance)))
    bounds = (8 * n_train + 16 * bins.N_BINS * points) * row_bounds
    return max(by_keys, points * of_point + row_codes.table_bytes(n_train, n_features) + bounds)


def points_at_once(
    n_train: int, n_features: int, *, ranking: str = "sorted", k: int = 10, tolerance: float = 1e-8
) -> int:
    """Return how many validation points a kernel has in memory at the same time."""
    if ranking == "sorted":
        return by_sort.points_per_block(n_train)
    return row_codes.points_per_block(n_train, n_features, _capacity(n_train, k, tolerance))


def _capacity(n_train: int, k: int, tolerance: float) -> int:
    near = bins.near_rows(n_train, by_sort.sorted_rows(k), tolerance)
    return row_codes.near_capacity(n_train, near)


if __name__ == "__main__":
    for ranking, n_train, n_features in EXAMPLES:
        bound = scratch_bytes(n_train, n_features, ranking=ranking)
        points = points_at_once(n_train, n_features, ranking=ranking)
        sys.stdout.write(f"| {ranking} | {n_train:,} | {n_features} | {points} | {bound / 2**20:.0f} MiB |\n")
