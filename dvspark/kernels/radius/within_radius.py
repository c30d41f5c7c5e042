"""Within a radius: which training rows are, decided by float64 distances where float32 keys leave doubt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dvspark.kernels import loops
from dvspark.kernels.distances import distances
from dvspark.kernels.distances.key_bounds import KeyBounds, key_bounds
from dvspark.kernels.distances.reach import is_within
from dvspark.kernels.workspace import Workspace
from dvspark.schemas import Bools, Float64s, Floats, Int64s, TrainArrays, UInt8s

# So many pairs of a point and a row, and those of one more tile, wait before they get exact keys.
WAITING_PAIRS = 2**18
# Radius, its square and its difference to a constant are rounded a few times, in float64.
RADIUS_ERROR = 2.0**-50


@dataclass(frozen=True)
class _Query:
    """A question about some points: ``limits`` are the float32 keys at the radius, with ``margins`` of doubt."""

    train: TrainArrays
    z: Floats
    metric: str
    radius: float
    bounds: KeyBounds
    limits: Float64s
    margins: Float64s

    def within(self, point: int, rows: Int64s) -> Bools:
        keys = distances.exact_keys(self.train.x, rows, self.z[point], self.metric)
        return is_within(distances.distance_from_key(keys, self.metric), self.radius, self.metric)


def decide(train: TrainArrays, z: Floats, metric: str, radius: float, bits: UInt8s, workspace: Workspace) -> None:
    """Fill ``bits`` (n_points, n_bytes) with the rows within the radius, by float32 keys where these leave no doubt."""
    points = distances.place_points(train, z, metric)
    bounds = key_bounds(train, points, z, metric)
    key = radius * abs(radius) if metric == "euclidean" else radius
    margins = RADIUS_ERROR * (abs(key) + np.abs(bounds.constants))
    if metric == "cosine":  # what `is_within` takes for rounding
        margins = margins + 2.0 * distances.COSINE_TIE_GAP * (abs(key) ** 0.5 + distances.COSINE_TIE_GAP)
    query = _Query(train, z, metric, radius, bounds, key - bounds.constants, margins)
    n_pairs = len(z) * min(distances.TILE_ROWS, train.n_train)
    block = workspace.array("tile_keys", (n_pairs,), np.float32)
    places = workspace.array("places", (n_pairs,), np.int64)
    waiting: list[tuple[Int64s, Int64s]] = []
    n_waiting = 0
    for start, products, addend in distances.tile_products(train, points, metric, block):
        pairs = _decide_tile(query, start, products, addend, bits, places)
        waiting.append(pairs)
        n_waiting += len(pairs[0])
        if n_waiting > WAITING_PAIRS:
            _decide_waiting(query, waiting, bits)
            waiting, n_waiting = [], 0
    if waiting:
        _decide_waiting(query, waiting, bits)


def _decide_tile(
    query: _Query, start: int, products: Floats, addend: Floats, bits: UInt8s, places: Int64s
) -> tuple[Int64s, Int64s]:
    """Set the bits of a tile's rows that are surely within the radius; return (points, rows) still in doubt."""
    here = slice(start, start + len(addend))
    norms = np.sqrt(query.train.squared_norm[here])
    scales = np.zeros(1) if query.train.scale is None else query.train.scale[here]
    # One bound for all rows of the tile; the rows in doubt then get bounds of their own.
    errors = query.bounds.errors(slice(None), norms.max(keepdims=True), scales.max(keepdims=True)) + query.margins
    with np.errstate(over="ignore", invalid="ignore"):  # an infinite bound leaves all rows in doubt
        low = np.nextafter((query.limits - errors).astype(np.float32), np.float32(-np.inf))
        high = np.nextafter((query.limits + errors).astype(np.float32), np.float32(np.inf))
    bytes_here = bits[:, start // 8 : start // 8 + -(-len(addend) // 8)]
    n_found = loops.fastest().decide_tile(products, addend, low, high, bytes_here, places)
    point, row = np.divmod(places[:n_found], len(addend))
    own = query.bounds.errors(point, norms[row], scales[row % len(scales)]) + query.margins[point]
    beyond = (products[point, row] + addend[row]).astype(np.float64) - query.limits[point]
    _set_bits(bits, point[beyond < -own], start + row[beyond < -own])
    doubtful = ~(np.abs(beyond) > own)  # so is what is not a number
    return point[doubtful], start + row[doubtful]


def _decide_waiting(query: _Query, waiting: list[tuple[Int64s, Int64s]], bits: UInt8s) -> None:
    """Set the bits of rows within the radius, for pairs that need exact keys."""
    points, rows = (np.concatenate(parts) for parts in zip(*waiting, strict=True))
    order = np.argsort(points, kind="stable")
    for some in np.split(order, np.flatnonzero(np.diff(points[order])) + 1):
        if len(some):
            point = int(points[some[0]])
            inside = some[query.within(point, rows[some])]
            _set_bits(bits, points[inside], rows[inside])


def _set_bits(bits: UInt8s, points: Int64s, rows: Int64s) -> None:
    np.bitwise_or.at(bits, (points, rows // 8), (128 >> rows % 8).astype(np.uint8))


def decide_exactly(train: TrainArrays, z: Floats, metric: str, radius: float, bits: UInt8s) -> None:
    """Fill ``bits`` (n_points, n_bytes) with the rows within the radius, all by exact keys."""
    for point, of_point in zip(z, bits, strict=True):
        for start in range(0, train.n_train, distances.TILE_ROWS):
            rows = np.arange(start, min(start + distances.TILE_ROWS, train.n_train))
            keys = distances.exact_keys(train.x, rows, point, metric)
            inside = np.packbits(is_within(distances.distance_from_key(keys, metric), radius, metric))
            of_point[start // 8 : start // 8 + len(inside)] = inside
