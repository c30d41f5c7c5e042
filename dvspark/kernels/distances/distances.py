"""Distances: float32 keys of all training rows by matrix products, and float64 keys of a few rows by differences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dvspark.kernels import loops
from dvspark.kernels.distances import small_keys
from dvspark.kernels.distances.first_pass import LARGEST_UNIT, first_pass
from dvspark.kernels.distances.placing import lifted, place
from dvspark.schemas import Bools, Float64s, Floats, Int32s, Int64s, TrainArrays, TrainLabels

METRICS = ("euclidean", "cosine", "inner_product")

# Products of this shape are as fast as any: 4 to 10 times as fast as one product into a fresh (points, N) array,
# which loses its time in page faults; and are still in a cache when they are looked at.
TILE_ROWS = 4_096
# A chunk of 256 points, give or take, is one product.
POINTS_PER_PRODUCT = 320

# A float32 product loses log2(1 + |mean|² / spread²) / 2 bits to an offset that all rows share. Above this
# ratio (one bit) the mean is subtracted first, which costs one more pass over each tile.
OFFSET_RATIO = 3.0

# Rows of exactly equal cosine, x and 3 x or mirror images, come out with keys that differ by rounding: some
# eps sqrt(key), since the differences of unit rows are rounded, then squared. Keys closer than this many times
# that are one key. A fixed grid instead splits ties at cell edges and joins rows that are nearly parallel.
COSINE_TIE_GAP = 16 * np.finfo(np.float64).eps


def prepare(x: Floats, labels: TrainLabels, metric: str) -> TrainArrays:
    """Return train arrays of the rows ``x``, which are in id order and are not copied.

    ``x`` (n_train, n_features) is float32 or float64, finite, and under cosine has no zero rows.
    Cost: O(N D) time in one pass over ``x``, and another one where there is a center; 40 N bytes and a few tiles.
    """
    seen = first_pass(x, metric, TILE_ROWS)
    center = common_offset(seen.sums, seen.squares, len(x))
    norms = seen.norms if center is None else placed_norms(x, seen.scale, center)
    return TrainArrays(x, labels, seen.scale, center, norms, duplicate_rows(x, seen.projections))


def row_scale(x: Floats, metric: str) -> Float64s | None:
    """Return 1 / |x| of each row under cosine, (n,) float64; None under other metrics."""
    return 1.0 / np.sqrt(squared_norms(x)) if metric == "cosine" else None


def tile_sums(x: Floats, scale: Float64s | None) -> tuple[Floats, Float64s]:
    """Return for each tile the sum of its scaled rows (n_tiles, n_features), and of their squares (n_tiles,)."""
    sums, squares = np.empty((-(-len(x) // TILE_ROWS), x.shape[1]), x.dtype), []
    for start, tile in _tiles(x):
        here = None if scale is None else scale[start : start + TILE_ROWS, None]
        units = None if here is None else np.minimum(here, LARGEST_UNIT).astype(tile.dtype)
        rows = tile if units is None else tile * units
        sums[start // TILE_ROWS] = rows.sum(axis=0)  # in the rows' own precision: any center near the mean will do
        squares.append(float(np.vdot(rows, rows)))
    return sums, np.array(squares)


def common_offset(sums: Floats, squares: Float64s, n_rows: int) -> Float64s | None:
    """Return the mean row if it would swamp the products (OFFSET_RATIO), else None.

    ``sums`` and ``squares`` are those of all tiles in order, from `tile_sums`. So it does not matter for the bits who
    added up which tile.
    """
    total = np.zeros(sums.shape[1])
    for of_tile in sums:
        total += of_tile
    mean = total / n_rows
    offset = float(mean @ mean)
    return mean if offset > OFFSET_RATIO * max(sum(squares.tolist()) / n_rows - offset, 0.0) else None


def placed_norms(x: Floats, scale: Float64s | None, center: Float64s | None) -> Float64s:
    """Return the squared norms of the rows in the form in which they enter products, (n,) float64."""
    norms = np.empty(len(x))
    for start, tile in _tiles(x):
        placed = place(tile, None if scale is None else scale[start : start + TILE_ROWS], center)
        norms[start : start + TILE_ROWS] = squared_norms(placed)
    return norms


def squared_norms(x: Floats) -> Float64s:
    """Return the squared norms of the rows of ``x``, (n,) float64. Cost: O(n D), one tile of scratch."""
    out = np.empty(len(x))
    for start, tile in _tiles(x):
        wide = np.asarray(tile, np.float64)
        out[start : start + TILE_ROWS] = np.einsum("ij,ij->i", wide, wide)
    return out


def duplicate_rows(x: Floats, projections: Float64s) -> Int32s:
    """Return pairs (row, first row with the same embedding), (n_duplicates, 2) int32, rows ascending.

    Rows with equal ``projections``, see `first_pass`, are compared value by value. Cost: O(N log N).
    """
    order = np.argsort(projections)  # a fifth of the stable sort's time
    if (np.diff(projections[order]) != 0).all():
        return np.empty((0, 2), np.int32)
    order = np.argsort(projections, kind="stable")
    pairs = first_copies(order, np.diff(projections[order]) != 0)
    same = np.concatenate([np.all(x[part[:, 0]] == x[part[:, 1]], axis=1) for _, part in _tiles(pairs)])
    others = pairs[~same, 0]  # different rows of one projection; they may have copies among themselves
    if len(others):
        _, first_of, inverse = np.unique(x[others], axis=0, return_index=True, return_inverse=True)
        more = np.stack([others, others[first_of[inverse.ravel()]]], axis=1)
        pairs = np.concatenate([pairs[same], more[more[:, 0] != more[:, 1]]])
        return pairs[np.argsort(pairs[:, 0])]
    return pairs


def first_copies(order: Int64s, differs: Bools) -> Int32s:
    """Return pairs (row, first row that equals it), (n_duplicates, 2) int32, rows ascending.

    ``order`` (n,) has the rows so that equal rows are next to each other, ascending. ``differs`` (n - 1,) says whether
    the next row differs.
    """
    begins = np.flatnonzero(np.r_[True, differs])
    first = order[np.repeat(begins, np.diff(np.r_[begins, len(order)]))]
    copies = np.flatnonzero(first != order)
    pairs = np.stack([order[copies], first[copies]], axis=1).astype(np.int32)
    return pairs[np.argsort(pairs[:, 0])]


@dataclass(frozen=True)
class PlacedPoints:
    """Validation points in the form in which they enter products with training rows.

    - ``weights`` (n_points, n_features) float32.
    - ``norms`` (n_points,) float64: norms of the weights, for `key_sizes.key_size`.
    - ``units`` (n_points,) float64: reciprocal lengths of the weights, under cosine without a center; otherwise None.
    """

    weights: Floats
    norms: Float64s
    units: Float64s | None


def place_points(train: TrainArrays, z: Floats, metric: str) -> PlacedPoints:
    """Return points ``z`` (n_points, n_features) in the form in which they enter products with ``train``."""
    units = None if train.scale is None else 1.0 / np.sqrt(squared_norms(z))
    if units is not None and train.center is None:
        z, units = lifted(z, units)
    in_product = None if train.center is None else units
    weights = -place(z, in_product, None if metric == "inner_product" else train.center)
    if metric == "euclidean":
        weights = 2.0 * weights
    return PlacedPoints(weights, np.sqrt(squared_norms(weights)), units if train.center is None else None)


def tile_products(
    train: TrainArrays, points: PlacedPoints, metric: str, block: Floats
) -> Iterator[tuple[int, Floats, Floats]]:
    """Yield (first row, products, addend) of each tile of training rows; a key is products + addend, in float32.

    Products (n_points, rows) lie in ``block`` (n_points × a tile's rows,) float32 until the next tile. In a block
    (n_points, n_train) they stay in the tile's columns. The addend is (rows,).
    A constant of each point is left out, since no order depends on it. Cost: 2 N D n_points floating-point operations.
    """
    for start, _ in _tiles(train.x):
        placed, scale = placed_tile(train, start)
        flat = len(points.weights) * len(placed)
        here = slice(start, start + len(placed))
        products = block[:, here] if block.ndim == 2 else block[:flat].reshape(-1, len(placed))
        np.matmul(points.weights, placed.T, out=products)
        if points.units is not None and scale is not None:
            # In float64, rounded only once, so that equal cosines of whole numbers give equal keys.
            loops.fastest().scale_products(products, scale, points.units)
        yield start, products, tile_addend(train, points, metric, start, len(placed))


def placed_tile(train: TrainArrays, start: int) -> tuple[Floats, Float64s | None]:
    """Return the rows of a tile as they enter products, float32, and their 1 / |row| under cosine."""
    tile = train.x[start : start + TILE_ROWS]
    scale = None if train.scale is None else train.scale[start : start + TILE_ROWS]
    if scale is not None and train.center is None:
        tile, scale = lifted(tile, scale)
    return place(tile, None if train.center is None else scale, train.center), scale


def tile_addend(train: TrainArrays, points: PlacedPoints, metric: str, start: int, n_rows: int) -> Floats:
    """Return what is added to the products of each row of a tile, (n_rows,) float32."""
    if points.units is not None or metric == "inner_product":
        return np.zeros(n_rows, np.float32)
    norms = train.squared_norm[start : start + n_rows]
    return (norms if metric == "euclidean" else 0.5 * norms).astype(np.float32)


def approximate_keys(train: TrainArrays, z: Floats, metric: str, out: Floats) -> Float64s:
    """Fill ``out`` (n_points, n_train) float32 with the keys of points ``z`` (n_points, n_features).

    Duplicates of a row get the key of their first copy. Return the norm of each point's weights, (n_points,) float64,
    for `key_sizes.key_size`.
    Cost: 2 N D n_points floating-point operations and one pass over the keys; scratch: a tile.
    """
    points = place_points(train, z, metric)
    for _, products, addend in tile_products(train, points, metric, out):
        np.add(products, addend, out=products)
    if len(train.duplicates):
        out[:, train.duplicates[:, 0]] = out[:, train.duplicates[:, 1]]
    return points.norms


def exact_keys(x: Floats, rows: Int64s, z: Floats, metric: str) -> Float64s:
    """Return the float64 keys of ``rows`` (n,) of ``x`` to one point ``z``, from differences, before `settle_ties`.

    Keys that would vanish are replaced, see `small_keys`. A key depends on its row and the point alone, not on
    neighboring rows. Cost: O(n D) time; a tile in float64.
    """
    keys = np.empty(len(rows))
    if len(rows) > TILE_ROWS and (rows[1:] < rows[:-1]).any():
        # In their own order rows of a file larger than the memory come from the disk once. In another one, each brings
        # along what lies around it, 8 MiB on some systems: the keys of one point then took 14 minutes (docs/scale.md).
        order = np.argsort(rows)
        keys[order] = exact_keys(x, rows[order], z, metric)
        return keys
    point = np.asarray(z, np.float64)
    if metric == "cosine":
        point = point / np.sqrt(point @ point)
    for start, some in _tiles(rows):
        here = keys[start : start + TILE_ROWS]
        if metric == "inner_product":
            here[:] = -(x[some].astype(np.float64) * point).sum(axis=1)
        elif metric == "cosine":
            loops.fastest().unit_squared_distances(x, some, point, here)
            here /= 2.0
        else:
            loops.fastest().squared_distances(x, some, point, here)
        if metric != "cosine":  # which does not tell such keys from none: COSINE_TIE_GAP
            small_keys.replace_small(here, x, some, point, metric)
    return keys


def settle_ties(keys: Float64s, metric: str) -> Float64s:
    """Return the exact keys of one point, with keys that differ only by rounding made equal. Cost: O(n log n).

    Only cosine needs it: squared differences and products of the same numbers round alike. Ascending keys are made
    equal to the first one that is no further below them than rounding, never to one further away by way of others.
    """
    if metric != "cosine" or not len(keys):
        return keys
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = _tie_starts(ordered)
    settled = np.empty_like(keys)
    settled[order] = np.repeat(ordered[starts], np.diff(np.append(starts, len(keys))))
    return settled


def _tie_starts(ordered: Float64s) -> Int64s:
    """Return the places in ascending keys (n,) where a key begins that no earlier one stands for."""
    finite = np.isfinite(ordered)
    root = np.sqrt(ordered, where=finite, out=np.zeros(len(ordered)))
    # What a key may be rounded from. Ascending, but for the rounding of this difference and keys next to zero.
    lowest = np.maximum.accumulate(ordered - COSINE_TIE_GAP * root)
    parted = np.ones(len(ordered), np.bool_)
    np.logical_or(lowest[1:] > ordered[:-1], ~finite[1:], out=parted[1:])
    starts = np.flatnonzero(parted)
    ends = np.append(starts[1:], len(ordered))
    within = []
    for chain in np.flatnonzero(lowest[ends - 1] > ordered[starts]):  # rounding joins neighbors, but not all of them
        start, end = int(starts[chain]), int(ends[chain])
        while (start := start + int(np.searchsorted(lowest[start:end], ordered[start], side="right"))) < end:
            within.append(start)
    return np.sort(np.append(starts, np.array(within, np.int64)))


def distance_from_key(keys: Float64s, metric: str) -> Float64s:
    """Return distances in the metric's own unit: Euclidean distance, 1 - cos, or minus the inner product."""
    if metric == "cosine":
        return keys
    found = np.sqrt(keys) if metric == "euclidean" else keys.copy()
    small_keys.restore_small(keys, found, metric)
    return found


def _tiles(x: npt.NDArray[Any]) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    for start in range(0, len(x), TILE_ROWS):
        yield start, x[start : start + TILE_ROWS]
