"""Decision 0009: the loops of the binned ranking, in NumPy and Numba, and what was tried around them.

CPU nanoseconds a row and point, one thread; N = 1,500,000, 64 points, normal data of 256 features' distances.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from dvspark.kernels import loops
from dvspark.kernels.binning import bins
from dvspark.kernels.distances.distances import TILE_ROWS
from dvspark.kernels.loops import compiled_loops
from tests.bench.adding import adding, one_by_one, two_at_once

N_TRAIN, N_POINTS = 1_500_000, 64
PRODUCT_ROWS = 50 * TILE_ROWS


def main() -> int:
    """Print one table a question."""
    for n_points in (64, 128, 256):
        product = _ns(_products(n_points), n_points * PRODUCT_ROWS)
        print(f"products of 256 features, {n_points:>3} points at once: {product:6.2f}")
    keys = _keys()
    tile = np.ascontiguousarray(keys[:N_POINTS])
    for tile_rows in (1_024, 4_096, 16_384):
        rows = np.tile(tile, (1, tile_rows // tile.shape[1] + 1))[:, :tile_rows]
        for name, module in (("NumPy", loops), ("Numba", compiled_loops)):
            work = _assign(module, np.ascontiguousarray(rows))
            print(f"codes and near rows, tiles of {tile_rows:>6,} rows, {name}: {_ns(work, tile_rows * N_POINTS):6.2f}")
    codes = _codes(keys)
    counts = np.empty(bins.N_COUNTS, np.int32)
    for name, module in (("NumPy", loops), ("Numba", compiled_loops)):
        count = _ns(lambda module=module: module.count_codes(codes[0], counts), N_TRAIN)
        print(f"counts, {name}: {count:6.2f}")
    for added_rows in (4_096, 16_384, 65_536, N_TRAIN):
        for how, loop in (("one by one", one_by_one), ("two at once", two_at_once)):
            for squares in (True, False):
                what = f"{'values and squares' if squares else 'values alone'}, {how}"
                add = adding(codes, squares=squares, loop=loop, added_rows=added_rows)
                print(f"{what}, {added_rows:>9,} rows a sweep: {_ns(add, codes.size):6.2f}")
    for n_matches in (150, 15_000, 150_000):
        matches = np.sort(keys[0, :n_matches])
        sweep = np.resize(keys[0], N_TRAIN)
        place = _ns(lambda matches=matches, sweep=sweep: np.searchsorted(matches, sweep), N_TRAIN)
        print(f"places among {n_matches:>7,} sorted matches, NumPy: {place:6.2f}")
    packed = np.random.default_rng(0).integers(0, 2**63, N_TRAIN).astype(np.uint64)
    print(f"sort of all rows, packed, NumPy: {_ns(lambda: np.sort(packed), N_TRAIN):6.2f}")
    return 0


def _products(n_points: int) -> Callable[[], None]:
    rng = np.random.default_rng(4)
    x, z = rng.random((PRODUCT_ROWS, 256), np.float32), rng.random((n_points, 256), np.float32)
    block = np.empty((n_points, TILE_ROWS), np.float32)

    def work() -> None:
        for start in range(0, PRODUCT_ROWS, TILE_ROWS):
            np.matmul(z, x[start : start + TILE_ROWS].T, out=block)

    return work


def _keys() -> np.ndarray:
    return (np.random.default_rng(0).chisquare(256, (N_POINTS, 16_384)) * 2).astype(np.float32)


def _edges(keys: np.ndarray) -> bins.BinEdges:
    n_near = bins.near_rows(N_TRAIN, 4_096, 1e-8)
    found = bins.edges(keys[:1].copy(), N_TRAIN, n_near, [lambda some: np.full(len(some), 4e-4)])[0]
    if found is None:
        raise RuntimeError("the sample must tell")
    return found


def _assign(module: ModuleType, keys: np.ndarray) -> Callable[[], None]:
    n_points, n_rows = keys.shape
    found = _edges(_keys())
    per_point = (
        np.full(n_points, found.low),
        np.full(n_points, found.origin),
        np.full(n_points, found.per_unit),
        np.repeat(found.lines[None], n_points, 0),
    )
    labels, asked = np.zeros(n_rows, np.int32), np.zeros(n_points, np.int32)
    near: tuple[Any, ...] = (np.empty((n_points, n_rows), np.int32), np.empty((n_points, n_rows), np.float32))
    codes, addend = np.empty((n_points, n_rows), np.uint16), np.zeros(n_rows, np.float32)

    def work() -> None:
        module.assign_bins(keys, addend, labels, asked, *per_point, 0, codes, *near, np.zeros(n_points, np.int64))

    return work


def _codes(keys: np.ndarray) -> np.ndarray:
    """Return codes of all rows, drawn from those of the keys: a look-up takes as long as in a real run."""
    n_points, n_rows = keys.shape
    found, few = _edges(keys), np.empty((n_points, n_rows), np.uint16)
    near: tuple[Any, ...] = (np.empty((n_points, n_rows), np.int32), np.empty((n_points, n_rows), np.float32))
    per_point = (
        np.full(n_points, found.low),
        np.full(n_points, found.origin),
        np.full(n_points, found.per_unit),
        np.repeat(found.lines[None], n_points, 0),
    )
    labels = np.random.default_rng(1).integers(0, 10, n_rows).astype(np.int32)
    given = (np.zeros(n_rows, np.float32), labels, np.zeros(n_points, np.int32))
    compiled_loops.assign_bins(keys, *given, *per_point, 0, few, *near, np.zeros(n_points, np.int64))
    draw = np.random.default_rng(2).integers(0, n_rows, N_TRAIN)
    return np.ascontiguousarray(few[:, draw])


def _ns(work: Callable[[], object], n: int) -> float:
    work()
    best = np.inf
    for _ in range(3):
        begun = time.process_time()
        work()
        best = min(best, time.process_time() - begun)
    return float(best) / n * 1e9


if __name__ == "__main__":
    sys.exit(main())
