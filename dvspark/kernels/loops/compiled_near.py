"""The loops of `near_loops` in Numba: the same functions, the same bits but for losses of quantized rows."""

from __future__ import annotations

import numpy as np

from dvspark.kernels.loops.compiling import compiled, reordered
from dvspark.kernels.loops.near_loops import CODE_ERROR, LARGEST_CODE, LARGEST_TOP, LEAST_TOP, OVERFLOW
from dvspark.schemas import Float64s, Floats, Int8s, Int32s, Int64s, UInt8s


@reordered
def quantize_rows(rows: Floats, codes: Int8s, steps: Float64s, losses: Float64s) -> None:
    """See `near_loops.quantize_rows`."""
    n_features = rows.shape[1]
    width = np.sqrt(np.float64(n_features))
    for row in range(len(rows)):
        numbers, code = rows[row], codes[row]
        # Bits without the sign are ordered like magnitudes, infinity and NaN last; only of integers the largest is
        # found by SIMD: the loop takes a fifth of the time.
        bits, largest = numbers.view(np.int32), np.int32(0)
        for feature in range(n_features):
            largest = max(largest, bits[feature] & np.int32(0x7FFFFFFF))
        top = np.int32(largest).view(np.float32)
        if not (np.float32(LEAST_TOP) <= top <= np.float32(LARGEST_TOP)):
            code[:] = 0
            steps[row] = 0.0
            losses[row] = np.float64(top) * width if np.isfinite(top) else np.inf
            continue
        factor, squares = np.float32(LARGEST_CODE) / top, np.float32(0.0)
        for feature in range(n_features):
            place = numbers[feature] * factor
            found = np.int32(np.rint(place))
            code[feature] = np.int8(found)
            rest = place - np.float32(found)
            squares += rest * rest
        steps[row] = 1.0 / np.float64(factor)
        rests = np.sqrt(np.float64(squares)) * (1.0 + n_features * 2.0**-23)
        losses[row] = steps[row] * (rests + CODE_ERROR * width)


@compiled
def keep_near(
    products: Floats | Int32s,
    row_units: Floats,
    point_units: Floats,
    addend: Floats,
    highest: Floats,
    start: int,
    absent: Int64s,
    constants: Float64s,
    weights: Float64s,
    point_terms: Float64s,
    row_terms: Float64s,
    rows: Int32s,
    least: Float64s,
    most: Float64s,
    n_kept: Int64s,
) -> None:
    """See `near_loops.keep_near`."""
    n_points, n_rows = products.shape
    flags = np.zeros((n_rows + 7) // 8 * 8, np.uint8)
    eights = flags.view(np.uint64)
    for point in range(n_points):
        product, limit, unit, count = products[point], highest[point], point_units[point], n_kept[point]
        for row in range(n_rows):  # by SIMD; few rows are found, and eight that are not are passed over at once
            flags[row] = not (np.float32(product[row]) * (unit * row_units[row]) + addend[row] > limit)
        for eight in range(len(eights)):
            if eights[eight] == 0:
                continue
            for row in range(8 * eight, min(8 * eight + 8, n_rows)):
                if not flags[row] or start + row == absent[point]:
                    continue
                key, error = np.float32(product[row]) * (unit * row_units[row]) + addend[row], 0.0
                for term in range(point_terms.shape[1]):
                    error += point_terms[point, term] * row_terms[term, row]
                middle = np.float64(key) + constants[point]
                size = weights[point] * row_terms[1, row] + row_terms[2, row]
                known = size < OVERFLOW and np.isfinite(middle) and np.isfinite(error)
                rows[point, count] = start + row
                least[point, count] = middle - error if known else -np.inf
                most[point, count] = middle + error if known else np.inf
                count += 1
        n_kept[point] = count


@compiled
def drop_far(
    rows: Int32s,
    least: Float64s,
    most: Float64s,
    n_kept: Int64s,
    allowed: Int64s,
    limits: Float64s,
    m: int,
    gap: float,
    room: int,
) -> None:
    """See `near_loops.drop_far`."""
    for point in range(len(n_kept)):
        count = n_kept[point]
        if count <= allowed[point] or count < m:
            continue
        limit = np.partition(most[point, :count], m - 1)[m - 1]
        root = np.sqrt(max(limit, 0.0)) + gap
        reach, stays = limit if gap == 0 else root * root, 0
        for place in range(count):
            rows[point, stays] = rows[point, place]
            least[point, stays], most[point, stays] = least[point, place], most[point, place]
            stays += least[point, place] <= reach
        limits[point], n_kept[point], allowed[point] = limit, stays, max(room, 2 * stays)


@compiled
def decide_tile(
    products: Floats | Int32s,
    row_units: Floats,
    point_units: Floats,
    addend: Floats,
    low: Floats,
    high: Floats,
    bits: UInt8s,
    places: Int64s,
) -> int:
    """See `near_loops.decide_tile`."""
    n_points, n_rows = products.shape
    inside, doubtful = np.zeros(8 * bits.shape[1], np.uint8), np.zeros(8 * bits.shape[1], np.uint8)
    inside_eights, doubtful_eights = inside.view(np.uint64), doubtful.view(np.uint64)
    count = 0
    for point in range(n_points):
        product, below, above, of_point = products[point], low[point], high[point], bits[point]
        unit = point_units[point]
        for row in range(n_rows):  # by SIMD
            key = np.float32(product[row]) * (unit * row_units[row]) + addend[row]
            inside[row] = key < below
            doubtful[row] = not (key < below or key > above)
        for eight in range(len(inside_eights)):
            # Eight bytes of 0 or 1 become eight bits: byte i of the factor's multiples reaches bit 63 - i.
            of_point[eight] = (inside_eights[eight] * np.uint64(0x8040201008040201)) >> np.uint64(56)
            if doubtful_eights[eight] != 0:
                for row in range(8 * eight, min(8 * eight + 8, n_rows)):
                    places[count] = point * n_rows + row
                    count += doubtful[row]
    return count
