"""Nearest: the m nearest training rows of each validation point in exact order, found by float32 keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dvspark.kernels import loops
from dvspark.kernels.distances import distances
from dvspark.kernels.distances.key_bounds import KeyBounds, key_bounds
from dvspark.kernels.ranking import ranking
from dvspark.kernels.ranking.ranking import RankingOptions
from dvspark.kernels.workspace import Workspace
from dvspark.schemas import Bools, ChunkArrays, Float64s, Floats, Int64s, Search, TrainArrays

# Candidates that are kept before all but the nearest are dropped: so many for each of the m rows, and a minimum.
CANDIDATES_PER_ROW = 8
FEWEST_CANDIDATES = 2_048
# Rounding in float64 that a point's constant adds to keys.
KEY_ERROR = 2.0**-50
# Under cosine, rows within one tie gap of the m-th may tie with it. The second one is for the rounding of this bound.
TIE_GAPS = 2

# An approximate search is asked for so many rows for each of the m, and some more, which are then ranked exactly
# (docs/decisions/0011).
SEARCHED_PER_ROW = 2
SPARE_ROWS = 16


@dataclass(frozen=True)
class NearRows:
    """What a table, or a block of a table, reports about one point: (n,) each, ascending by (key, row).

    ``rows`` int64 are places in the whole table, ``keys`` float64 exact keys before `settle_ties`, ``matches`` bool.
    All rows are there that can be among the m nearest, or tie with those; after an approximate search, the rows that it
    found. ``n_matches`` counts all playing rows that match the point, near or far.
    """

    rows: Int64s
    keys: Float64s
    matches: Bools
    n_matches: int = 0


@dataclass(frozen=True)
class NearestRows:
    """The nearest rows of one point, (n,) each, nearest first; rows whose distances tie are in row order.

    ``rows`` int64, ``matches`` bool, ``distances`` float64 in the metric's unit. The distances come from exact keys. So
    under cosine, tied distances may differ by rounding and need not ascend. ``n_matches`` as in `NearRows`.
    """

    rows: Int64s
    matches: Bools
    distances: Float64s
    n_matches: int = 0

    @property
    def farthest(self) -> float:
        """The distance of the last row, which may be negative under the inner product; 0 if there is no row."""
        return float(self.distances.max()) if len(self.distances) else 0.0


def nearest_points(
    train: TrainArrays, chunk: ChunkArrays, options: RankingOptions, m: int, workspace: Workspace
) -> Iterator[NearestRows]:
    """Yield the m nearest rows of each point of the chunk, or all if fewer play; the same at any precision.

    Under self-validation a point's own row is not among them. Cost and memory as in `near_rows`.
    """
    for part in near_rows(train, chunk, options, m, workspace):
        yield merge_nearest([part], m, options.metric)


def merge_nearest(parts: Sequence[NearRows], m: int, metric: str) -> NearestRows:
    """Return the m nearest rows of one point from the parts of all blocks, with the bits of one table.

    Cost: O(n log n) for n rows in all parts.
    """
    near = _cut(
        NearRows(
            np.concatenate([part.rows for part in parts]),
            np.concatenate([part.keys for part in parts]),
            np.concatenate([part.matches for part in parts]),
        ),
        m,
        metric,
    )
    settled = distances.settle_ties(near.keys, metric)
    order = np.lexsort((near.rows, settled))[:m]
    far = distances.distance_from_key(near.keys[order], metric)
    return NearestRows(near.rows[order], near.matches[order], far, sum(part.n_matches for part in parts))


def near_rows(
    train: TrainArrays,
    chunk: ChunkArrays,
    options: RankingOptions,
    m: int,
    workspace: Workspace,
    first_row: int = 0,
) -> Iterator[NearRows]:
    """Yield for each point of the chunk what a table reports whose first row is ``first_row``, for m rows.

    Rows whose float32 key is surely beyond the m-th get no exact key. With a ``train.search``, if there are more than m
    rows, only the rows that it finds get exact keys, and fewer than m rows may be found.
    Cost of a point: O(N D), and O(D) for each row that is left. With a search, beside the search itself: O(m D), and
    O(N) for the matches. Memory beside the train arrays: `scratch_bytes`, unless more rows tie than it counts.
    """
    search = train.search if m < train.n_train else None
    for start in range(0, chunk.n_validation, distances.POINTS_PER_PRODUCT):
        points = slice(start, start + distances.POINTS_PER_PRODUCT)
        z, absent = chunk.x[points], None if chunk.train_rows is None else chunk.train_rows[points] - first_row
        if search is not None:
            found = _searched(search, z, m, train.n_train, absent)
        else:
            found = _candidates(train, z, options.metric, m, absent, workspace)
        for place, rows in enumerate(found):
            keys = distances.exact_keys(train.x, rows, z[place], options.metric)
            flags = ranking.match_flags(train.labels, chunk.labels[start + place], train.n_train)
            n_matches = int(np.count_nonzero(flags))
            if absent is not None and 0 <= (own := int(absent[place])) < train.n_train:
                n_matches -= int(flags[own])
            yield _cut(NearRows(rows + first_row, keys, flags[rows], n_matches), m, options.metric)


def scratch_bytes(n_train: int, n_features: int, m: int) -> int:
    """Return a bound on the memory beside the train arrays, in bytes, for the m nearest rows of each point.

    For P points: products with a tile of T rows and what is kept of them, waiting pairs of a point and a row, and those
    of one more tile. For one point: exact keys of m rows, flags and values of all rows, and five tiles in float64.
    """
    points, tile = distances.POINTS_PER_PRODUCT, min(n_train, distances.TILE_ROWS)
    waiting = min(n_train, max(CANDIDATES_PER_ROW * m, FEWEST_CANDIDATES)) + tile
    of_features = 40 * tile + 24 * points + 24 * min(m, n_train)
    return points * (13 * tile + 100 * waiting) + 40 * n_train + of_features * n_features + 2**20


def _cut(near: NearRows, m: int, metric: str) -> NearRows:
    """Return the rows on which the m nearest, or rows that tie with those, can depend, ascending by (key, row).

    The m-th key, and what lies within `_reach` of it, do not depend on how the rows came in parts. Of the rows with one
    key, the first m are enough, because all others come after them.
    """
    order = np.lexsort((near.rows, near.keys))
    keys = near.keys[order]
    if len(keys) > m:
        keys = keys[: int(np.searchsorted(keys, _reach(keys[m - 1 : m], metric), side="right")[0])]
        first = np.searchsorted(keys, keys, side="left")
        order = order[: len(keys)][np.arange(len(keys)) - first < m]
    return NearRows(near.rows[order], near.keys[order], near.matches[order], near.n_matches)


def _reach(keys: Float64s, metric: str) -> Float64s:
    """Return for each of ``keys`` the largest key that may count as tied with it.

    The square roots of keys that `distances.settle_ties` makes equal differ by less than the gap.
    """
    if metric != "cosine":
        return keys
    return np.square(np.sqrt(np.maximum(keys, 0.0)) + TIE_GAPS * distances.COSINE_TIE_GAP)


def _searched(search: Search, z: Floats, m: int, n_train: int, absent: Int64s | None) -> list[Int64s]:
    """Return for each point the rows that a search finds, ascending."""
    asked = min(n_train, SEARCHED_PER_ROW * m + SPARE_ROWS)
    own = np.full(len(z), -1) if absent is None else absent
    return [np.unique(rows[(rows >= 0) & (rows != row)]) for rows, row in zip(search(z, asked), own, strict=True)]


def _candidates(
    train: TrainArrays, z: Floats, metric: str, m: int, absent: Int64s | None, workspace: Workspace
) -> list[Int64s]:
    """Return for each point the rows that are not surely beyond the m-th nearest and its ties, ascending."""
    placed = distances.place_points(train, z, metric)
    n_pairs = len(z) * min(distances.TILE_ROWS, train.n_train)
    block = workspace.array("tile_keys", (n_pairs,), np.float32)
    waiting = _Waiting(
        m, metric, key_bounds(train, placed, z, metric), absent, workspace.array("places", (n_pairs,), np.int64)
    )
    room = len(z) * max(CANDIDATES_PER_ROW * m, FEWEST_CANDIDATES)
    allowed = room
    for start, products, addend in distances.tile_products(train, placed, metric, block):
        here = slice(start, start + len(addend))
        scale = None if train.scale is None else train.scale[here]
        waiting.add_tile(products, addend, train.squared_norm[here], scale, start)
        if waiting.n_pairs > allowed:
            waiting.drop()
            allowed = max(room, 2 * waiting.n_pairs)
    points, rows = waiting.drop()
    return np.split(rows, np.searchsorted(points, np.arange(1, len(z))))


class _Waiting:
    """Pairs of a point and a row that may be among the m nearest, with a lower and an upper bound of each key.

    ``limits`` (n_points,) float64: the keys of m rows are surely no larger, or it is infinite. ``absent`` (n_points,):
    the rows that sit out a game. ``places`` (n_points × a tile's rows,): filled by `loops.places_up_to`.
    """

    def __init__(self, m: int, metric: str, bounds: KeyBounds, absent: Int64s | None, places: Int64s) -> None:
        self.m, self.metric, self.bounds, self.absent, self.places = m, metric, bounds, absent, places
        self.margins = KEY_ERROR * np.abs(bounds.constants)
        self.limits = np.full(len(bounds.constants), np.inf)
        self.parts: list[tuple[Int64s, Int64s, Float64s, Float64s]] = []
        self.n_pairs = 0

    def add_tile(
        self, products: Floats, addend: Floats, squared_norms: Float64s, scale: Float64s | None, start: int
    ) -> None:
        """Add the rows of a tile that are not surely beyond the limits; the first row of the tile is ``start``."""
        norms, scales = np.sqrt(squared_norms), np.zeros(1) if scale is None else scale
        # One bound for all rows of the tile; the rows that are left get bounds of their own.
        errors = self.bounds.errors(slice(None), norms.max(keepdims=True), scales.max(keepdims=True)) + self.margins
        with np.errstate(over="ignore", invalid="ignore"):  # rows in doubt are kept
            highest = np.nextafter(
                (self.limits - self.bounds.constants + errors).astype(np.float32), np.float32(np.inf)
            )
            n_found = loops.fastest().places_up_to(products, addend, highest, self.places)
            points, rows = np.divmod(self.places[:n_found], len(addend))
            if self.absent is not None:
                there = start + rows != self.absent[points]
                points, rows = points[there], rows[there]
            own = self.bounds.errors(points, norms[rows], scales[rows % len(scales)]) + self.margins[points]
            middle = (products[points, rows] + addend[rows]) + self.bounds.constants[points]
            known = np.isfinite(middle) & np.isfinite(own)
            least, most = np.where(known, middle - own, -np.inf), np.where(known, middle + own, np.inf)
        self._append(points, start + rows, least, most)

    def drop(self) -> tuple[Int64s, Int64s]:
        """Drop the pairs that are surely beyond m others; return points, ascending, and rows of the pairs that stay."""
        points, rows, least, most = (np.concatenate(part) for part in zip(*self.parts, strict=True))
        order = np.argsort(points, kind="stable")
        ends = np.searchsorted(points[order], np.arange(len(self.limits)), side="right")
        for point, some in enumerate(np.split(most[order], ends[:-1])):
            if len(some) >= self.m:
                self.limits[point] = np.partition(some, self.m - 1)[self.m - 1]
        left = order[least[order] <= _reach(self.limits, self.metric)[points[order]]]
        self.parts, self.n_pairs = [], 0
        self._append(points[left], rows[left], least[left], most[left])
        return points[left], rows[left]

    def _append(self, points: Int64s, rows: Int64s, least: Float64s, most: Float64s) -> None:
        self.parts.append((points, rows, least, most))
        self.n_pairs += len(points)
