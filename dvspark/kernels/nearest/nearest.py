"""Nearest: the m nearest training rows of each validation point in exact order, found by float32 keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dvspark.kernels import loops
from dvspark.kernels.distances import distances
from dvspark.kernels.distances.key_tiles import KeyTile, KeyTiles
from dvspark.kernels.ranking import ranking
from dvspark.kernels.ranking.ranking import RankingOptions
from dvspark.kernels.workspace import Workspace
from dvspark.schemas import Bools, ChunkArrays, Float64s, Floats, Int32s, Int64s, Search, TrainArrays

# Rows that are kept before all but the nearest are dropped: so many for each of the m, and a minimum. Limits that are
# found often are narrow, and to find them costs less than rows that they would have left out.
CANDIDATES_PER_ROW = 2
FEWEST_CANDIDATES = 256
# Bytes of a row that is kept: a place and two bounds; with what is spare, and a copy while there is made more room.
KEPT_BYTES = 60
# So many rows for each of the m make limits from float32 products, which are narrow. Where int8 products leave more
# than this share of a tile, they are given up. Each time that so many times as many rows were seen, the nearest so far
# get exact keys: more often costs more exact keys than narrower limits save (docs/decisions/0032).
ROWS_BEFORE_INT8 = 1_024
MOST_ADDED = 1 / 32
SETTLED_AGAIN = 4
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

    For P points: products with a tile of T rows, the rows that are kept before and after there is room for more, and
    those of one more tile. For one point: exact keys of m rows, flags and values of all rows. Five tiles in float64.
    """
    points, tile = distances.POINTS_PER_PRODUCT, min(n_train, distances.TILE_ROWS)
    kept = min(n_train, max(CANDIDATES_PER_ROW * m, FEWEST_CANDIDATES)) + tile
    of_features = 42 * tile + 24 * points + 24 * min(m, n_train)
    return points * (5 * tile + KEPT_BYTES * kept) + 40 * n_train + of_features * n_features + 2**20


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
    tiles = KeyTiles(train, z, metric, workspace, KEY_ERROR)
    near = _NearSoFar(m, metric, tiles.constants, absent, workspace)
    settled = 0
    for start in tiles.starts:
        is_int8 = tiles.int8_pays and start >= ROWS_BEFORE_INT8 * m and near.is_limited
        n_added = near.add_tile(tiles.int8(start) if is_int8 else tiles.float32(start))
        if is_int8:
            tiles.int8_pays = n_added <= MOST_ADDED * len(z) * distances.TILE_ROWS
            if start >= SETTLED_AGAIN * settled:
                near.settle(train.x, z, metric)
                settled = start
    near.drop_all()
    if settled:
        near.settle(train.x, z, metric)
        near.drop_all()
    return near.rows()


class _NearSoFar:
    """Rows that may be among the m nearest of each point, with a lower and an upper bound of each exact key.

    ``limits`` (n_points,) float64: the keys of m rows are surely no larger, or it is infinite. ``absent`` (n_points,):
    the rows that sit out a game.
    """

    def __init__(self, m: int, metric: str, constants: Float64s, absent: Int64s | None, workspace: Workspace) -> None:
        n_points = len(constants)
        self.m, self.constants = m, constants
        self.gap = TIE_GAPS * distances.COSINE_TIE_GAP if metric == "cosine" else 0.0
        self.absent = np.full(n_points, -1) if absent is None else absent
        self.limits, self.settled = np.full(n_points, np.inf), np.full(n_points, np.inf)
        self.room = max(CANDIDATES_PER_ROW * m, FEWEST_CANDIDATES)
        self.allowed, self.n_kept = np.full(n_points, self.room), np.zeros(n_points, np.int64)
        self.workspace = workspace
        self.kept = np.empty((n_points, 0), np.int32), np.empty((n_points, 0)), np.empty((n_points, 0))

    @property
    def is_limited(self) -> bool:
        """Whether every point has a limit."""
        return bool(np.isfinite(self.limits).all())

    def add_tile(self, tile: KeyTile) -> int:
        """Add the rows of a tile that are not surely beyond the limits; return how many there are."""
        before = int(self.n_kept.sum())
        self._make_room(tile.n_rows)
        with np.errstate(over="ignore", invalid="ignore"):  # rows in doubt are kept
            # One bound for all rows of the tile; the rows that are left get bounds of their own.
            highest = (self._reaches() - self.constants + tile.largest_errors()).astype(np.float32)
            highest = np.nextafter(highest, np.float32(np.inf))
        bounds = (self.constants, tile.bounds.weights, tile.bounds.terms, tile.terms)
        loops.fastest().keep_near(*tile.keys, highest, tile.start, self.absent, *bounds, *self.kept, self.n_kept)
        n_added = int(self.n_kept.sum()) - before
        self._drop()
        return n_added

    def settle(self, x: Floats, z: Floats, metric: str) -> None:
        """Give the m nearest rows of each point exact keys, so that limits are no wider than these. Cost: O(m D).

        Only points whose rows were dropped since the last time have new limits.
        """
        for point in np.flatnonzero(self.limits != self.settled).tolist():
            rows, least, most = (of[point, : self.n_kept[point]] for of in self.kept)
            places = np.flatnonzero((most <= self.limits[point]) & (least < most))
            keys = distances.exact_keys(x, rows[places].astype(np.int64), z[point], metric)
            known = np.isfinite(keys)
            least[places[known]] = most[places[known]] = keys[known]
            self.limits[point] = np.partition(most, self.m - 1)[self.m - 1]
        self.settled = self.limits.copy()

    def drop_all(self) -> None:
        """Drop the rows of all points that are surely beyond the limits."""
        self.allowed[:] = 0
        self._drop()

    def rows(self) -> list[Int64s]:
        """Return for each point the rows that are kept, ascending."""
        return [rows[:n].astype(np.int64) for rows, n in zip(self.kept[0], self.n_kept.tolist(), strict=True)]

    def _drop(self) -> None:
        loops.fastest().drop_far(*self.kept, self.n_kept, self.allowed, self.limits, self.m, self.gap, self.room)

    def _reaches(self) -> Float64s:
        return self.limits if self.gap == 0 else np.square(np.sqrt(np.maximum(self.limits, 0.0)) + self.gap)

    def _make_room(self, n_rows: int) -> None:
        needed = int(self.n_kept.max()) + n_rows
        if needed > self.kept[0].shape[1]:
            self.kept = self._larger(max(needed + needed // 2, self.room + n_rows))

    def _larger(self, capacity: int) -> tuple[Int32s, Float64s, Float64s]:
        """Return arrays with what is kept and room for so many rows of each point."""
        used, shape = int(self.n_kept.max()), (len(self.n_kept), capacity)
        rows, least, most = (of[:, :used].copy() for of in self.kept)  # the old arrays make room for the new ones
        larger = (
            self.workspace.array("near_rows", shape, np.int32),
            self.workspace.array("near_least", shape, np.float64),
            self.workspace.array("near_most", shape, np.float64),
        )
        for old, new in zip((rows, least, most), larger, strict=True):
            new[:, :used] = old
        return larger
