"""The loops of `loops` in Numba: the same functions, the same bits, one pass over memory each.

They are compiled once on each machine, into the folder that `loops.fastest` chooses.
"""

from __future__ import annotations

import numpy as np

from dvspark.kernels.binning.bins import AT_BEGIN, AT_END, SHARE_AT_END
from dvspark.kernels.loops.bin_loops import ADDED_ROWS
from dvspark.kernels.loops.compiled_bins import count_from, value_bins
from dvspark.kernels.loops.compiled_distances import squared_distances, unit_squared_distances
from dvspark.kernels.loops.compiled_doubt import (
    gap_starts,
    list_doubtful,
    listed_rows,
    order_groups,
    put_rows,
    relative_error,
)
from dvspark.kernels.loops.compiled_near import decide_tile, drop_far, keep_near, quantize_rows
from dvspark.kernels.loops.compiled_ranks import (
    add_ranked,
    add_rows,
    pack,
    rank_values,
    sort_packed,
    unpack,
    value_packed,
)
from dvspark.kernels.loops.compiling import compiled
from dvspark.schemas import Bools, Float64s, Floats, Int32s, Int64s, UInt16s

__all__ = [
    "add_bounds",
    "add_ranked",
    "add_rows",
    "add_values",
    "assign_bins",
    "count_codes",
    "count_from",
    "decide_tile",
    "drop_far",
    "gap_starts",
    "keep_near",
    "list_doubtful",
    "listed_rows",
    "matches_of",
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


@compiled
def scale_products(products: Floats, scale: Float64s, units: Float64s) -> None:
    """See `loops.scale_products`."""
    for point in range(len(units)):
        product, unit = products[point], units[point]
        for row in range(len(scale)):
            product[row] = np.float32(np.float64(product[row]) * (scale[row] * unit))


@compiled
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
    """See `loops.assign_bins`."""
    n_rows, capacity = products.shape[1], near_rows.shape[1]
    last_place, zero = np.float32(lines.shape[2] - 1), np.float32(0.0)
    places, cells = np.empty(n_rows, np.float32), np.empty(n_rows, np.uint32)
    from_begin, from_end = np.float32(SHARE_AT_END), np.float32(1.0 - SHARE_AT_END)
    is_near, near = np.empty(n_rows, np.uint8), np.empty(n_rows, np.uint32)
    for point in range(products.shape[0]):
        lowest, begin, scale, label = low[point], origin[point], per_unit[point], point_labels[point]
        slopes, offsets = lines[point, 0], lines[point, 1]
        product = products[point]
        code_of = codes[point, start : start + n_rows]
        # Three loops, for the first and the last then run by SIMD; with the look-up among them nothing does.
        for row in range(n_rows):
            key = product[row] + addend[row]
            is_near[row] = not key > lowest
            place = (key - begin) * scale
            place = np.sqrt(place if place > zero else zero)
            place = place if place < last_place else last_place
            cell = np.int32(place)
            places[row], cells[row] = place - np.float32(cell), cell
        # Listed whether near or not, so that no branch is guessed wrong; what else a near row needs comes after.
        n_found = 0
        for row in range(n_rows):
            places[row] = places[row] * slopes[cells[row]] + offsets[cells[row]]
            near[n_found] = row
            n_found += is_near[row]
        for row in range(n_rows):
            whole = np.int32(places[row])
            part = places[row] - np.float32(whole)
            at_end = np.int32(part < from_begin) * np.int32(AT_BEGIN) + np.int32(part > from_end) * np.int32(AT_END)
            code = np.int32(2) * whole + at_end
            code = np.int32(0) if is_near[row] else code
            code_of[row] = np.uint16(code + np.int32(labels[row] == label))
        count = n_near[point]
        kept = min(n_found, max(capacity - count, 0))
        rows, keys = near_rows[point, count : count + kept], near_keys[point, count : count + kept]
        for place in range(kept):
            row = near[place]
            rows[place], keys[place] = start + row, product[row] + addend[row]
        n_near[point] = count + n_found


@compiled
def count_codes(codes: UInt16s, counts: Int32s) -> None:
    """See `loops.count_codes`."""
    counts[:] = 0
    for row in range(len(codes)):
        counts[codes[row]] += np.int32(1)


@compiled
def matches_of(codes: UInt16s, rows: Int32s, out: Bools) -> None:
    """See `loops.matches_of`."""
    for place in range(len(rows)):
        out[place] = codes[rows[place]] & 1


@compiled
def _add_near(
    rows: Int32s, added: Float64s, place: int, start: int, end: int, value: Float64s, squared: Float64s
) -> int:
    """Add values from ``place`` on to their rows in ``start`` to ``end``; return the next place."""
    beyond = int(np.searchsorted(rows, end))
    here, values = rows[place:beyond], added[place:beyond]
    for index in range(len(here)):
        row, more = np.uint32(here[index] - start), values[index]  # unsigned: no place is counted from the end
        value[row] += more
        squared[row] += more * more
    return beyond


@compiled
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
    """See `loops.add_values`."""
    n_train, bits = codes.shape[1], np.uint16(mask)
    reached, nothing = np.zeros(len(codes), np.int64), np.zeros(tables.shape[1])
    for start in range(0, n_train, ADDED_ROWS):
        end = min(start + ADDED_ROWS, n_train)
        values, squares = value[start:end], squared[start:end]
        # Two points at once: the sums are read and written half as often. What a near row's code is worth is zero, so
        # the near rows of the first point come before both, those of the second after.
        for index in range(0, len(points), 2):
            one, has_other = points[index], index + 1 < len(points)
            other = points[index + 1] if has_other else one
            rows, added = near_rows[one, : n_near[one]], near_values[one]
            reached[one] = _add_near(rows, added, reached[one], start, end, values, squares)
            of_one, of_other = tables[one], tables[other] if has_other else nothing
            codes_of_one, codes_of_other = codes[one, start:end], codes[other, start:end]
            for row in range(end - start):
                first, second = of_one[codes_of_one[row] & bits], of_other[codes_of_other[row] & bits]
                values[row] = values[row] + first + second
                squares[row] = squares[row] + first * first + second * second
            if has_other:
                rows, added = near_rows[other, : n_near[other]], near_values[other]
                reached[other] = _add_near(rows, added, reached[other], start, end, values, squares)


@compiled
def add_bounds(codes: UInt16s, points: Int64s, tables: Float64s, bounds: Float64s) -> None:
    """See `loops.add_bounds`."""
    n_train = codes.shape[1]
    for start in range(0, n_train, ADDED_ROWS):
        end = min(start + ADDED_ROWS, n_train)
        for point in points:
            table, code_of, sums = tables[point], codes[point, start:end], bounds[start:end]
            for row in range(end - start):
                sums[row] += table[code_of[row] & np.uint16(AT_BEGIN - 1)]
