"""Within a radius: which training rows are, decided by float64 distances where float32 keys leave doubt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dvspark.kernels import loops
from dvspark.kernels.distances import distances
from dvspark.kernels.distances.key_tiles import MOST_DOUBT, KeyTile, KeyTiles
from dvspark.kernels.distances.reach import is_within
from dvspark.kernels.workspace import Workspace
from dvspark.schemas import Bools, Float64s, Floats, Int64s, TrainArrays, UInt8s

# So many pairs of a point and a row, and those of one more tile, wait before they get exact keys.
WAITING_PAIRS = 2**18
# Radius, its square and its difference to a constant are rounded a few times, in float64.
RADIUS_ERROR = 2.0**-50

_Pairs = tuple[Int64s, Int64s]


@dataclass(frozen=True)
class _Query:
    """A question about some points: ``limits`` are the approximate keys at the radius, with a ``margin`` of doubt."""

    train: TrainArrays
    z: Floats
    metric: str
    radius: float
    limits: Float64s
    margin: float

    def within(self, point: int, rows: Int64s) -> Bools:
        keys = distances.exact_keys(self.train.x, rows, self.z[point], self.metric)
        return is_within(distances.distance_from_key(keys, self.metric), self.radius, self.metric)


def decide(train: TrainArrays, z: Floats, metric: str, radius: float, bits: UInt8s, workspace: Workspace) -> None:
    """Fill ``bits`` (n_points, n_bytes) with the rows within the radius, by products where these leave no doubt."""
    tiles = KeyTiles(train, z, metric, workspace, RADIUS_ERROR)
    key = radius * abs(radius) if metric == "euclidean" else radius
    margin = RADIUS_ERROR * abs(key)
    if metric == "cosine":  # what `is_within` takes for rounding
        margin += 2.0 * distances.COSINE_TIE_GAP * (abs(key) ** 0.5 + distances.COSINE_TIE_GAP)
    query = _Query(train, z, metric, radius, key - tiles.constants, margin)
    places = workspace.array("places", (len(z) * min(distances.TILE_ROWS, train.n_train),), np.int64)
    waiting: list[_Pairs] = []
    n_waiting = 0
    for start in tiles.starts:
        pairs = _doubtful_pairs(query, tiles, start, bits, places)
        waiting.append(pairs)
        n_waiting += len(pairs[0])
        if n_waiting > WAITING_PAIRS:
            _decide_waiting(query, waiting, bits)
            waiting, n_waiting = [], 0
    if waiting:
        _decide_waiting(query, waiting, bits)


def _doubtful_pairs(query: _Query, tiles: KeyTiles, start: int, bits: UInt8s, places: Int64s) -> _Pairs:
    """Set the bits of a tile's rows that are surely within the radius; return (points, rows) still in doubt."""
    if tiles.int8_pays:
        tile = tiles.int8(start)
        n_found = _decide_tile(query, tile, bits, places)
        tiles.int8_pays = n_found <= MOST_DOUBT * tile.products.size
    if not tiles.int8_pays:
        tile = tiles.float32(start)
        n_found = _decide_tile(query, tile, bits, places)
    # One bound decided for all rows of the tile; those in doubt now get bounds of their own.
    point, row = np.divmod(places[:n_found], tile.n_rows)
    own = tile.bounds.errors(point, tile.terms, row) + query.margin
    beyond = tile.keys_at(point, row).astype(np.float64) - query.limits[point]
    _set_bits(bits, point[beyond < -own], tile.start + row[beyond < -own])
    doubtful = ~(np.abs(beyond) > own)  # so is what is not a number
    return point[doubtful], tile.start + row[doubtful]


def _decide_tile(query: _Query, tile: KeyTile, bits: UInt8s, places: Int64s) -> int:
    """Fill in the bits of a tile's rows, and the places of those in doubt; return how many these are."""
    errors = tile.largest_errors() + query.margin
    with np.errstate(over="ignore", invalid="ignore"):  # an infinite bound leaves all rows in doubt
        low = np.nextafter((query.limits - errors).astype(np.float32), np.float32(-np.inf))
        high = np.nextafter((query.limits + errors).astype(np.float32), np.float32(np.inf))
    bytes_here = bits[:, tile.start // 8 : tile.start // 8 + -(-tile.n_rows // 8)]
    return int(loops.fastest().decide_tile(*tile.keys, low, high, bytes_here, places))


def _decide_waiting(query: _Query, waiting: list[_Pairs], bits: UInt8s) -> None:
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
