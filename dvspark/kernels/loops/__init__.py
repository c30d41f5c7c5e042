"""Loops over every row of every point, in NumPy; `compiled_loops` has the same loops in Numba.

Both give the same bits, except for exact distances and losses of quantized rows: they add floats in the same order, and
compare the same float32 numbers.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from importlib.util import find_spec
from types import ModuleType

import numpy as np
import scipy

from dvspark.kernels.binning.bins import AT_BEGIN, AT_END, SHARE_AT_END
from dvspark.kernels.loops.bin_loops import ADDED_ROWS, count_from, value_bins
from dvspark.kernels.loops.doubt_loops import (
    gap_starts,
    list_doubtful,
    listed_rows,
    order_groups,
    put_rows,
    relative_error,
)
from dvspark.kernels.loops.near_loops import decide_tile, drop_far, keep_near, quantize_rows
from dvspark.kernels.loops.rank_loops import add_ranked, add_rows, pack, rank_values, sort_packed, unpack, value_packed
from dvspark.schemas import Bools, Float64s, Floats, Int32s, Int64s, UInt16s

__all__ = [
    "add_bounds",
    "add_ranked",
    "add_rows",
    "add_values",
    "assign_bins",
    "before_numba",
    "count_codes",
    "count_from",
    "decide_tile",
    "drop_far",
    "fastest",
    "gap_starts",
    "is_compiled",
    "keep_near",
    "list_doubtful",
    "listed_rows",
    "matches_of",
    "name",
    "order_groups",
    "pack",
    "put_rows",
    "quantize_rows",
    "rank_values",
    "relative_error",
    "scale_products",
    "sort_packed",
    "squared_distances",
    "unit_squared_distances",
    "unpack",
    "value_bins",
    "value_packed",
]

# "numpy" uses these loops even if Numba is installed; "numba" requires the compiled ones.
CHOICE_VARIABLE = "DVSPARK_LOOPS"


# Done before Numba is loaded: kernels know no folders, so who has them run says where Numba keeps what it compiles.
before_numba: Callable[[], None] | None = None


@functools.cache
def fastest() -> ModuleType:
    """Return the module whose loops to use: the compiled loops if Numba is installed, else this module.

    Raises: ImportError if DVSPARK_LOOPS asks for Numba and it is not installed.
    """
    choice = os.environ.get(CHOICE_VARIABLE, "")
    if choice != "numpy":
        if before_numba is not None:
            before_numba()
        try:
            from dvspark.kernels.loops import compiled_loops  # noqa: PLC0415 - an extra

            return compiled_loops
        except ImportError:
            if choice == "numba":
                raise
    import dvspark.kernels.loops as here  # noqa: PLC0415 - the module is the value

    return here


def is_compiled() -> bool:
    """Return whether `fastest` takes the compiled loops, without loading them."""
    return os.environ.get(CHOICE_VARIABLE, "") != "numpy" and find_spec("numba") is not None


def name(loops: ModuleType) -> str:
    """Return the name of a module of loops in logs and records: numba or numpy."""
    return "numba" if loops.__name__.endswith("compiled_loops") else "numpy"


def squared_distances(x: Floats, rows: Int64s, z: Float64s, out: Float64s) -> None:
    """Fill ``out`` (n,) float64 with the squared distances of ``rows`` (n,) of ``x`` (n_train, n_features) to ``z``.

    They are computed in float64 from differences, and depend on the row and the point alone. The bits of this loop and
    the next one differ in Numba, which adds the squares of a row in another order. Cost: O(n D).
    """
    out[:] = _cdist(z, x[rows].astype(np.float64))


def unit_squared_distances(x: Floats, rows: Int64s, z: Float64s, out: Float64s) -> None:
    """Fill ``out`` as `squared_distances` does, for rows divided by their lengths; no length is zero."""
    units = x[rows].astype(np.float64)
    units /= np.sqrt(np.einsum("ij,ij->i", units, units))[:, None]
    out[:] = _cdist(z, units)


def _cdist(z: Float64s, rows: Float64s) -> Float64s:
    distances: Float64s = scipy.spatial.distance.cdist(z[None, :], rows, "sqeuclidean")[0]
    return distances


def scale_products(products: Floats, scale: Float64s, units: Float64s) -> None:
    """Multiply ``products`` (n_points, n) float32 by ``scale`` (n,) and ``units`` (n_points,), in float64, in place."""
    for product, unit in zip(products, units, strict=True):
        np.multiply(product, scale * unit, out=product, casting="same_kind")


def assign_bins(
    products: Floats,
    addend: Floats,
    labels: Int32s,
    point_labels: Int32s,
    low: Floats,
    origin: Floats,
    per_unit: Floats,
    lines: Floats,
    start: int,
    codes: UInt16s,
    near_rows: Int32s,
    near_keys: Floats,
    n_near: Int64s,
) -> None:
    """Give a tile of training rows their codes for a block of points; ``start`` is the first row of the tile.

    A code is 2 × bin + match, with the bit `bins.AT_BEGIN` or `bins.AT_END` set if the row is near that end of its bin.
    Keys are ``products`` (n_points, n) float32 + ``addend`` (n,) float32. A row matches if its label in ``labels`` (n,)
    int32 is the point's in ``point_labels`` (n_points,). ``low``, ``origin`` and ``per_unit`` (n_points,) float32 and
    ``lines`` (n_points, 2, N_CELLS + 1) float32 are the points' `bins.BinEdges`.
    The loop fills ``codes`` (n_points, n_train) uint16. It appends the near rows and their keys to ``near_rows`` and
    ``near_keys`` (n_points, capacity), counted in ``n_near``; near rows beyond the capacity are only counted. Cost:
    O(n_points × n).
    """
    last_place = np.float32(lines.shape[2] - 1)
    for point in range(len(products)):
        keys = products[point] + addend
        place = keys - origin[point]
        np.multiply(place, per_unit[point], out=place)
        np.maximum(place, np.float32(0.0), out=place)
        np.sqrt(place, out=place)
        np.minimum(place, last_place, out=place)
        cell = place.astype(np.intp)
        place -= cell
        place *= np.take(lines[point, 0], cell)
        place += np.take(lines[point, 1], cell)
        near = keys <= low[point]
        place[near] = 0.0
        found = place.astype(np.int32)
        place -= found
        at_end = AT_BEGIN * (place < np.float32(SHARE_AT_END)) + AT_END * (place > np.float32(1.0 - SHARE_AT_END))
        at_end[near] = 0
        codes[point, start : start + len(keys)] = 2 * found + (labels == point_labels[point]) + at_end
        rows = np.flatnonzero(near)
        count, capacity = int(n_near[point]), near_rows.shape[1]
        kept = rows[: max(capacity - count, 0)]
        near_rows[point, count : count + len(kept)] = kept + start
        near_keys[point, count : count + len(kept)] = keys[kept]
        n_near[point] = count + len(rows)


def count_codes(codes: UInt16s, counts: Int32s) -> None:
    """Fill ``counts`` (6 N_BINS,) int32 with how often each code occurs in ``codes`` (n,) uint16. Cost: O(n)."""
    counts[:] = 0
    step = 2**19  # bincount makes a table and an index array each time
    for start in range(0, len(codes), step):
        counts += np.bincount(codes[start : start + step], minlength=len(counts)).astype(np.int32)


def matches_of(codes: UInt16s, rows: Int32s, out: Bools) -> None:
    """Fill ``out`` (n,) with the match flags of ``rows`` (n,), from the codes of all rows."""
    np.not_equal(codes[rows] & 1, 0, out=out)


def add_values(
    codes: UInt16s,
    points: Int64s,
    tables: Float64s,
    near_rows: Int32s,
    near_values: Float64s,
    n_near: Int64s,
    mask: int,
    value: Float64s,
    squared: Float64s,
) -> None:
    """Add the values of some ``points`` of a block, in this order, and their squares, to every training row's sums.

    ``tables`` (n_points, n_codes) float64 has values by code. Of ``codes`` (n_points, n_train) uint16, the bits of
    ``mask`` count. Near rows, ascending in ``near_rows`` (n_points, capacity), get their ``near_values``. ``value`` and
    ``squared`` are (n_train,).
    Cost: O(points × n_train), in blocks of rows that stay in the second-level cache.
    """
    for start in range(0, codes.shape[1], ADDED_ROWS):
        here = slice(start, min(start + ADDED_ROWS, codes.shape[1]))
        taken = np.empty(here.stop - start)
        for point in points:
            np.take(tables[point], codes[point, here] & np.uint16(mask), out=taken, mode="clip")
            rows = near_rows[point, : n_near[point]]
            begin, end = np.searchsorted(rows, [start, here.stop])
            taken[rows[begin:end] - start] = near_values[point, begin:end]
            value[here] += taken
            np.multiply(taken, taken, out=taken)
            squared[here] += taken


def add_bounds(codes: UInt16s, points: Int64s, tables: Float64s, bounds: Float64s) -> None:
    """Add the certificates of some ``points`` of a block to every row's sum; arrays as in `add_values`, by bins."""
    for start in range(0, codes.shape[1], ADDED_ROWS):
        here = slice(start, start + ADDED_ROWS)
        for point in points:
            bounds[here] += np.take(tables[point], codes[point, here] & np.uint16(AT_BEGIN - 1), mode="clip")
