"""Decision 0002: how often a matrix product gives two equal training rows different last bits."""

from __future__ import annotations

import sys

from tests.bench.decisions import print_machine

import numpy as np  # isort: skip

POINTS = (1, 2, 3, 8, 32, 256)
FEATURES = (2, 3, 24, 64, 384, 512)
ROWS = (5_000, 5_003, 8_192)
DISTINCT = 50


def share_of_unequal_copies(n_points: int, n_rows: int, n_features: int) -> float:
    """Return the share of (point, copy) pairs whose product is not that of the copy's first row."""
    rng = np.random.default_rng(0)
    place = rng.integers(0, DISTINCT, n_rows)
    x = rng.standard_normal((DISTINCT, n_features)).astype(np.float32)[place]
    z = rng.standard_normal((n_points, n_features)).astype(np.float32)
    block = np.empty((n_points, n_rows), np.float32)
    np.matmul(z, x.T, out=block)
    _, first = np.unique(place, return_index=True)
    return float(np.mean(block != block[:, first[place]]))


def main() -> int:
    """Print the share by shape; only shapes with a difference, and how many were tried."""
    print_machine()
    tried = differing = 0
    print(f"{'points':>6}  {'rows':>6}  {'features':>8}  {'unequal copies':>14}")
    for n_points in POINTS:
        for n_rows in ROWS:
            for n_features in FEATURES:
                share = share_of_unequal_copies(n_points, n_rows, n_features)
                tried += 1
                if share:
                    differing += 1
                    print(f"{n_points:>6}  {n_rows:>6,}  {n_features:>8}  {share:>14.4%}")
    print(f"{differing} of {tried} shapes have unequal copies")
    return 0


if __name__ == "__main__":
    sys.exit(main())
