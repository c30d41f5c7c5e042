"""Decision 0051: what a point takes in products of few points, and the kernel by how many points go together."""

from __future__ import annotations

import os
import sys
from typing import Any
from unittest import mock

from tests.bench.decisions import print_machine

import numpy as np  # isort: skip

from dvspark.kernels import memory
from dvspark.kernels.binning import row_codes
from dvspark.kernels.distances.distances import TILE_ROWS
from tests.bench.frame import apart, cpu_seconds
from tests.bench.kernel import on_normal_rows

PRODUCT_ROWS, FEATURES, POINTS = 100_000, (512, 4_096), (8, 16, 32, 64, 128, 256)
SHAPES = ((10_000_000, 64, 96), (10_000_000, 256, 96))
RUNS = 2


def main() -> int:
    """Print nanoseconds a row and point of products, and CPU milliseconds a point of the kernel."""
    print_machine()
    print("D: ns a row and point with so many points in a product; load")
    for d in FEATURES:
        found = apart(products, d=d)
        told = ", ".join(f"{points}: {ns:.1f}" for points, ns in zip(POINTS, found, strict=True))
        print(f"{d:,}: {told}; {os.getloadavg()[0]:.1f}", flush=True)
    print("N, D: points at once, ms a point before; now; load")
    for n, d, m in SHAPES:
        before, now = (apart(measured, n=n, d=d, m=m, by_sort=by_sort) for by_sort in (False, True))
        told = f"{before['points']}, {before['ms']:.1f}; {now['points']}, {now['ms']:.1f}"
        print(f"{n:,}, {d:,}: {told}; {os.getloadavg()[0]:.1f}", flush=True)
    return 0


def products(d: int) -> list[float]:
    """Return nanoseconds a row and point of the bare product, by tiles of rows, for so many points at once."""
    rng, found = np.random.default_rng(0), list[float]()
    x = rng.standard_normal((PRODUCT_ROWS // TILE_ROWS * TILE_ROWS, d), np.float32)
    for points in POINTS:
        z, out = rng.standard_normal((points, d), np.float32), np.empty((points, TILE_ROWS), np.float32)

        def multiply(z: Any = z, out: Any = out) -> None:
            for start in range(0, len(x), TILE_ROWS):
                np.matmul(z, x[start : start + TILE_ROWS].T, out=out)

        found.append(1e9 * cpu_seconds(multiply, RUNS) / points / len(x))
    return found


def measured(n: int, d: int, m: int, by_sort: bool) -> dict[str, Any]:
    """Return CPU milliseconds a point on normal data, and how many points go together."""
    value = on_normal_rows(n, d, m, "binned")
    with mock.patch.object(row_codes.ranking, "sort_bytes", row_codes.ranking.sort_bytes if by_sort else lambda *_: 0):
        points = memory.points_at_once(n, d, ranking="binned")
        return {"points": points, "ms": 1e3 * cpu_seconds(value, RUNS) / m}


if __name__ == "__main__":
    sys.exit(main())
