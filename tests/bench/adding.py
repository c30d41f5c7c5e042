"""Adding what codes are worth to all rows, with and without squares: what standard errors cost."""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np

from dvspark.kernels.binning.bins import N_BINS
from dvspark.kernels.loops import ADDED_ROWS


@numba.njit(nogil=True, error_model="numpy")
def one_by_one(codes, tables, value, squared, squares, added_rows):  # type: ignore[no-untyped-def]
    """Add the values of one point after the other, in sweeps over so many training rows."""
    for start in range(0, codes.shape[1], added_rows):
        end = min(start + added_rows, codes.shape[1])
        for point in range(len(codes)):
            table, code_of = tables[point], codes[point]
            if squares:
                for row in range(start, end):
                    added = table[code_of[row]]
                    value[row] += added
                    squared[row] += added * added
            else:
                for row in range(start, end):
                    value[row] += table[code_of[row]]


@numba.njit(nogil=True, error_model="numpy")
def two_at_once(codes, tables, value, squared, squares, added_rows):  # type: ignore[no-untyped-def]
    """Add the values of two points at once, an even number of them, in sweeps over so many training rows."""
    for start in range(0, codes.shape[1], added_rows):
        end = min(start + added_rows, codes.shape[1])
        for point in range(0, len(codes), 2):
            one, other = tables[point], tables[point + 1]
            of_one, of_other = codes[point], codes[point + 1]
            if squares:
                for row in range(start, end):
                    first, second = one[of_one[row]], other[of_other[row]]
                    value[row] = value[row] + first + second
                    squared[row] = squared[row] + first * first + second * second
            else:
                for row in range(start, end):
                    value[row] = value[row] + one[of_one[row]] + other[of_other[row]]


def adding(
    codes: np.ndarray, *, squares: bool, loop: Callable[..., None] = two_at_once, added_rows: int = ADDED_ROWS
) -> Callable[[], None]:
    """Return the work of adding what ``codes`` (n_points, n_train) are worth in random tables."""
    tables = np.random.default_rng(3).random((len(codes), 2 * N_BINS))
    value, squared = np.zeros(codes.shape[1]), np.zeros(codes.shape[1])
    return lambda: loop(codes, tables, value, squared, squares, added_rows)
