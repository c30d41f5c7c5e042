"""Loops over keys from products, and over rows that may be near, in NumPy; `compiled_near` has the same in Numba."""

from __future__ import annotations

import numpy as np

from dvspark.schemas import Float64s, Floats, Int8s, Int32s, Int64s, UInt8s

# The largest code. Rows whose largest number is outside these limits get none: products of two steps would no longer be
# ordinary float32 numbers.
LARGEST_CODE = 127
LEAST_TOP, LARGEST_TOP = 2.0**-50, 2.0**50
# A product with 1 / step is rounded twice, relative to a number of up to 127: what a code may be off beside.
CODE_ERROR = 2.0**-16
# Sums up to this are float32 numbers: what a float32 key must stay below.
OVERFLOW = 2.0**126


def quantize_rows(rows: Floats, codes: Int8s, steps: Float64s, losses: Float64s) -> None:
    """Fill in the ``codes`` (n, n_features), ``steps`` and ``losses`` (n,) of ``rows`` (n, n_features) float32.

    A step is the 127th part of the row's largest number. A row is its codes times its step, but for a rest whose norm
    is at most its loss. A row of numbers too small, too large or not finite has codes of zero, and its loss is a bound
    on its norm. Both versions of this loop give the same codes and steps; losses may differ by rounding.
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        top = np.abs(rows).max(axis=1, initial=0.0)
        factors = np.where((top >= LEAST_TOP) & (top <= LARGEST_TOP), np.float32(LARGEST_CODE) / top, np.float32(0))
        places = rows * factors[:, None].astype(np.float32)
        has_none = factors == 0
        places[has_none] = 0.0
        found = np.rint(places)
        codes[:] = found
        rest = places - found
        width = np.sqrt(np.float64(rows.shape[1]))
        sums = np.sqrt(np.einsum("ij,ij->i", rest, rest).astype(np.float64))
        steps[:] = np.where(has_none, 0.0, 1.0 / factors.astype(np.float64))
        of_codes = steps * (sums * (1.0 + rows.shape[1] * 2.0**-23) + CODE_ERROR * width)
        losses[:] = np.where(has_none, np.where(np.isfinite(top), top.astype(np.float64) * width, np.inf), of_codes)


def keys_of(products: Floats | Int32s, row_units: Floats, point_units: Floats, addend: Floats) -> Floats:
    """Return float32 keys (n_points, n): products times both units, plus the row's ``addend``."""
    scaled = products.astype(np.float32) * (point_units[:, None] * row_units)
    return np.asarray(scaled + addend, np.float32)


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
    """Append the rows of a tile whose keys are not above their point's ``highest`` to what is kept of each point.

    - ``products`` (n_points, n) float32 or int32, ``row_units`` and ``addend`` (n,), ``point_units`` and ``highest``
      (n_points,) float32: see `keys_of`. A key that is NaN is not above.
    - ``start``: the first row of the tile; ``absent`` (n_points,): a row of each point that is not kept.
    - ``constants`` and ``weights`` (n_points,), ``point_terms`` (n_points, 6), ``row_terms`` (6, n): as in `KeyBounds`.
    - ``rows`` int32, ``least`` and ``most`` float64 (n_points, capacity): the rows kept and bounds on their exact keys;
      filled from ``n_kept`` (n_points,) on, which is raised. There must be room for the tile.
    Cost: O(n_points × n).
    """
    with np.errstate(over="ignore", invalid="ignore"):
        keys = keys_of(products, row_units, point_units, addend)
        for point, of_point in enumerate(keys):
            places = np.flatnonzero(~(of_point > highest[point]))
            places = places[start + places != absent[point]]
            here = slice(int(n_kept[point]), int(n_kept[point]) + len(places))
            error = np.zeros(len(places))
            for term in range(point_terms.shape[1]):  # one after the other, as the compiled loop adds
                error += point_terms[point, term] * row_terms[term, places]
            middle = of_point[places].astype(np.float64) + constants[point]  # NumPy 1 would add in float32
            size = weights[point] * row_terms[1, places] + row_terms[2, places]
            known = (size < OVERFLOW) & np.isfinite(middle) & np.isfinite(error)
            rows[point, here] = start + places
            least[point, here] = np.where(known, middle - error, -np.inf)
            most[point, here] = np.where(known, middle + error, np.inf)
            n_kept[point] = here.stop


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
    """Drop the rows that are surely beyond m others, of points that keep more than they are ``allowed``.

    What these are ``allowed`` (n_points,) becomes twice what they keep then, or the ``room`` if that is more.
    Arrays as in `keep_near`. ``limits`` (n_points,) get the m-th smallest of ``most``. A row stays if its ``least`` is
    not above the limit, or above what ties with it: of keys, square roots count that differ by up to ``gap``. Rows stay
    in their order. Cost: O(rows kept).
    """
    for point in np.flatnonzero((n_kept > allowed) & (n_kept >= m)):
        count = int(n_kept[point])
        limits[point] = np.partition(most[point, :count], m - 1)[m - 1]
        reach = limits[point] if gap == 0 else np.square(np.sqrt(max(limits[point], 0.0)) + gap)
        stays = np.flatnonzero(least[point, :count] <= reach)
        for kept in (rows, least, most):
            kept[point, : len(stays)] = kept[point, stays]
        n_kept[point], allowed[point] = len(stays), max(room, 2 * len(stays))


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
    """Fill ``bits`` with keys below their point's ``low``, ``places`` with others up to ``high``; return how many.

    Keys as in `keep_near`; ``low`` and ``high`` (n_points,) float32; ``bits`` (n_points, ceil(n / 8)) uint8, the first
    of eight in the highest bit. A place is a position in the flat products; places ascend, and there is room for all.
    A key that is NaN has a place. Cost: O(n_points × n).
    """
    with np.errstate(over="ignore", invalid="ignore"):
        keys = keys_of(products, row_units, point_units, addend)
    inside = keys < low[:, None]
    bits[:] = np.packbits(inside, axis=1)
    found = np.flatnonzero(~(inside | (keys > high[:, None])))
    places[: len(found)] = found
    return len(found)
