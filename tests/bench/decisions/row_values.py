"""Decision 0014: from packed keys to sums over rows, by arrays in rank order, by row, and without sorting all rows."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from tests.bench.decisions import cpu_seconds, print_machine

import numba  # isort: skip
import numpy as np  # isort: skip

from dvspark.kernels import compiled_loops as loops
from dvspark.kernels import knn_shapley

# Rows and classes, of which one in so many rows is a match.
SHAPES = ((50_000, 10), (50_000, 2), (200_000, 10), (200_000, 100))
CELLS_PER_MATCH = 4
TILE_ROWS = 4_096
compiled = numba.njit(nogil=True, error_model="numpy")


@compiled
def lay_cells(keys, packed, n_matches, starts):  # type: ignore[no-untyped-def]
    """Fill ``starts`` with how many sorted matches lie in cells of one width before each; return where cells lie."""
    starts[:] = 0
    end, last = n_matches // 512, np.float32(len(starts) - 2)
    low = keys[np.int64(packed[end] & np.uint64(0xFFFFFFFF)) >> 1]
    high = keys[np.int64(packed[n_matches - 1 - end] & np.uint64(0xFFFFFFFF)) >> 1]
    scale = last / (high - low)
    for match in range(n_matches):
        place = (keys[np.int64(packed[match] & np.uint64(0xFFFFFFFF)) >> 1] - low) * scale
        place = min(max(place, np.float32(0.0)), last)
        starts[np.int64(place) + 1] += np.uint32(1)
    for cell in range(1, len(starts)):
        starts[cell] += starts[cell - 1]
    return low, scale


@compiled
def place_rows(keys, matches, packed, low, scale, starts, codes, counts):  # type: ignore[no-untyped-def]
    """Fill ``codes`` with 2 × how many sorted matches come before each row, plus its flag; count rows by that."""
    n, last = len(keys), np.float32(len(starts) - 2)
    lowest, per_unit, zero = np.float32(low), np.float32(scale), np.float32(0.0)
    cells, words = np.empty(TILE_ROWS, np.uint32), np.empty(TILE_ROWS, np.uint32)
    bits_of = keys.view(np.int32)
    counts[:] = 0
    for start in range(0, n, TILE_ROWS):
        size = min(TILE_ROWS, n - start)
        key, bits = keys[start : start + size], bits_of[start : start + size]
        for row in range(size):
            place = (key[row] - lowest) * per_unit
            place = place if place > zero else zero
            cells[row] = np.uint32(place if place < last else last)
            words[row] = np.uint32(bits[row] ^ ((bits[row] >> 31) | np.int32(-(2**31))))
        for row in range(size):
            word = (np.uint64(words[row]) << np.uint64(32)) | np.uint64(2 * (start + row))
            begin = np.int64(starts[cells[row]])
            before = begin + np.int64(packed[begin] < word) + np.int64(packed[begin + 1] < word)
            if before == begin + 2:
                end = np.int64(starts[cells[row] + np.uint32(1)])
                while before < end:
                    middle = (before + end) >> 1
                    before, end = (middle + 1, end) if packed[middle] < word else (before, middle)
            counts[before] += 1
            codes[start + row] = np.uint32(2 * before + matches[start + row])


@compiled
def value_codes(counts, own, suffix, worth):  # type: ignore[no-untyped-def]
    """Fill ``worth`` by code: what rows lose to the matches beyond, and what a match gains at its rank."""
    rank = 0
    for match in range(len(counts) - 1):
        rank += counts[match]
        counts[match] = rank
    beyond = 0.0
    worth[2 * len(counts) - 2] = 0.0
    for match in range(len(counts) - 2, -1, -1):
        worth[2 * match + 1] = own[counts[match] - 1] - beyond
        beyond += suffix[counts[match] - 1]
        worth[2 * match] = -beyond


@compiled
def add_codes(codes, worth, value, squared):  # type: ignore[no-untyped-def]
    """Add what each row's code is worth, and its square."""
    for row in range(len(codes)):
        added = worth[codes[row]]
        value[row] += added
        squared[row] += added * added


def ways(keys: np.ndarray, matches: np.ndarray) -> dict[str, Callable[[], Any]]:
    """Return three ways from one point's keys and matches to sums over rows, which add the same."""
    n, n_matches = len(keys), int(matches.sum())
    weights = knn_shapley.rank_weights(n, k=10)
    packed, of_row, value, squared = np.empty(n, np.uint64), np.empty(n), np.zeros(n), np.zeros(n)
    rows, flags, ordered = np.empty(n, np.int64), np.empty(n, np.bool_), np.empty(n, np.float32)
    starts, codes = np.empty(CELLS_PER_MATCH * n_matches + 2, np.uint32), np.empty(n, np.uint32)
    counts, worth = np.empty(n_matches + 1, np.int64), np.empty(2 * n_matches + 2)
    matching = np.flatnonzero(matches)
    sorted_matches = np.full(n_matches + 2, np.iinfo(np.uint64).max, np.uint64)

    def in_rank_order() -> np.ndarray:
        loops.pack(keys, matches, packed)
        packed.sort()
        loops.unpack(packed, rows, flags, ordered)
        loops.rank_values(flags, weights.own, weights.suffix, 0.0, 0.0, 0.0, of_row)
        loops.add_ranked(rows, of_row, value, squared)
        return value

    def by_row() -> np.ndarray:
        loops.pack(keys, matches, packed)
        packed.sort()
        loops.value_packed(packed, 0, weights.own, weights.suffix, 0.0, 0.0, of_row)
        loops.add_rows(of_row, value, squared)
        return value

    def by_matches() -> np.ndarray:
        loops.pack(keys, matches, packed)
        sorted_matches[:-2] = packed[matching]
        sorted_matches[:-2].sort()
        where = lay_cells(keys, sorted_matches, n_matches, starts)
        place_rows(keys, matches, sorted_matches, *where, starts, codes, counts)
        value_codes(counts, weights.own, weights.suffix, worth)
        add_codes(codes, worth, value, squared)
        return value

    found = {"in rank order": in_rank_order, "by row": by_row, "sorted matches alone": by_matches}
    once = []
    for way in found.values():
        value[:] = 0.0
        once.append(way().copy())
    if not (np.array_equal(once[0], once[1]) and np.array_equal(once[0], once[2])):
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
