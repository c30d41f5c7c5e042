"""Decision 0009: how the near rows of a tile are listed.

CPU nanoseconds a row and point, one thread; the best of 31 runs over a tile of 4,096 rows and 128 points, of which as
many rows are near as at N = 1,500,000 and at N = 200,000.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial

import numba
import numpy as np

from dvspark.kernels.distances.distances import TILE_ROWS

N_POINTS, N_RUNS = 128, 31
SHARES = (0.025, 0.145)

jit = numba.njit(nogil=True, error_model="numpy")


@jit
def place_and_key(codes, keys, near_rows, near_keys, listed):  # type: ignore[no-untyped-def]
    """Write every row's place and key, and go on where it is near."""
    for point in range(len(codes)):
        rows, of_row, capacity, count = near_rows[point], near_keys[point], near_rows.shape[1] - 1, 0
        for row in range(codes.shape[1]):
            place = min(count, capacity)
            rows[place] = row
            of_row[place] = keys[point, row]
            count += codes[point, row] < 2


@jit
def places_first(codes, keys, near_rows, near_keys, listed):  # type: ignore[no-untyped-def]
    """Write every row's place, and go on where it is near; keys of near rows afterwards."""
    for point in range(len(codes)):
        n_found = 0
        for row in range(codes.shape[1]):
            listed[n_found] = row
            n_found += codes[point, row] < 2
        for place in range(n_found):
            near_rows[point, place] = listed[place]
            near_keys[point, place] = keys[point, listed[place]]


@jit
def eight_at_once(codes, keys, near_rows, near_keys, listed):  # type: ignore[no-untyped-def]
    """As `places_first`, but pass over eight rows at once of which none is near."""
    flags = np.zeros(codes.shape[1], np.uint8)
    eights = flags.view(np.uint64)
    for point in range(len(codes)):
        n_found = 0
        for row in range(codes.shape[1]):
            flags[row] = codes[point, row] < 2
        for eight in range(len(eights)):
            if eights[eight] != 0:
                for row in range(8 * eight, 8 * eight + 8):
                    listed[n_found] = row
                    n_found += flags[row]
        for place in range(n_found):
            near_rows[point, place] = listed[place]
            near_keys[point, place] = keys[point, listed[place]]


def main() -> int:
    """Print one row a loop."""
    loops: list[tuple[str, Callable[..., None]]] = [
        ("place and key of every row", place_and_key),
        ("places of every row, keys of near ones", places_first),
        ("eight rows at once, keys of near ones", eight_at_once),
    ]
    rng = np.random.default_rng(0)
    for share in SHARES:
        codes = np.where(rng.random((N_POINTS, TILE_ROWS)) < share, 0, 2).astype(np.uint16)
        keys = rng.random((N_POINTS, TILE_ROWS), np.float32)
        room = (np.empty((N_POINTS, TILE_ROWS), np.int32), np.empty((N_POINTS, TILE_ROWS), np.float32))
        listed = np.empty(TILE_ROWS + 1, np.int32)
        for name, loop in loops:
            print(f"{name}, {share:.1%} near: {_ns(partial(loop, codes, keys, *room, listed)):6.2f}")
    return 0


def _ns(work: Callable[[], object]) -> float:
    work()
    best = np.inf
    for _ in range(N_RUNS):
        begun = time.process_time()
        work()
        best = min(best, time.process_time() - begun)
    return float(best) / (N_POINTS * TILE_ROWS) * 1e9


if __name__ == "__main__":
    sys.exit(main())
