"""The first pass over training rows: all that is known of each row or tile alone, while the tile lies in a cache."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dvspark.schemas import Float64s, Floats

# Numbers that are wide, in float64, at the same time: 1 MiB of them, which stay in a core's own cache.
WIDE_NUMBERS = 2**17
# Rows so short that float32 has no reciprocal of their length count for less.
LARGEST_UNIT = 1e38


@dataclass(frozen=True)
class FirstPass:
    """What one pass over ``n`` rows of ``n_features`` tells.

    - ``scale`` (n,) float64: 1 / |x| under cosine, otherwise None.
    - ``sums`` (n_tiles, n_features) in the rows' own type, and ``squares`` (n_tiles,) float64: those of scaled rows.
    - ``norms`` (n,) float64: squared norms of the rows as float32.
    - ``projections`` (n,) float64: products with one random direction, equal for equal rows.
    """

    scale: Float64s | None
    sums: Floats
    squares: Float64s
    norms: Float64s
    projections: Float64s


def first_pass(x: Floats, metric: str, tile_rows: int) -> FirstPass:
    """Return what one pass over the rows ``x`` (n, n_features) tells, in tiles of ``tile_rows``.

    The bits are those of `row_scale`, `tile_sums` and `placed_norms` without a center. Cost: O(n D), each byte of ``x``
    of ``x`` is read from memory once; 1 MiB and 24 n bytes.
    """
    n, n_features = x.shape
    direction, step = np.random.default_rng(0).standard_normal(n_features), max(1, WIDE_NUMBERS // n_features)
    wide = np.empty((min(n, step), n_features))
    scale = np.empty(n) if metric == "cosine" else None
    norms, projections, squares = np.empty(n), np.empty(n), np.empty(-(-n // tile_rows))
    sums = np.empty((len(squares), n_features), x.dtype)
    for place, start in enumerate(range(0, n, tile_rows)):
        tile, end = x[start : start + tile_rows], min(n, start + tile_rows)
        for first in range(start, end, step):
            here = slice(first, min(end, first + step))
            rows = wide[: here.stop - first]
            rows[:] = x[here]
            np.einsum("ij,j->i", rows, direction, out=projections[here])
            np.einsum("ij,ij->i", rows, rows, out=norms[here])
            if scale is not None:
                scale[here] = 1.0 / np.sqrt(norms[here])
            if x.dtype != np.float32:
                with np.errstate(over="ignore"):  # precision float64 allows larger numbers
                    rows[:] = x[here].astype(np.float32)
                np.einsum("ij,ij->i", rows, rows, out=norms[here])
        units = None if scale is None else np.minimum(scale[start:end, None], LARGEST_UNIT).astype(tile.dtype)
        scaled = tile if units is None else tile * units
        sums[place] = scaled.sum(axis=0)  # in the rows' own precision: any center near the mean will do
        squares[place] = np.vdot(scaled, scaled)
    return FirstPass(scale, sums, squares, norms, projections)
