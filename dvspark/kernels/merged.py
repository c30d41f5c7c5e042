"""Points merged from parts: each block of training rows gives its keys, and one place ranks them all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from dvspark.kernels import distances, ranking
from dvspark.kernels.near_order import NearKeys
from dvspark.kernels.partials import UtilityOf, WeightsOf, sum_points, value_points
from dvspark.kernels.ranking import RankedRows, RankingOptions, Scratch
from dvspark.kernels.workspace import Workspace
from dvspark.schemas import Bools, ChunkArrays, Float64s, Floats, Int64s, Partial, TrainBlock


@dataclass(frozen=True)
class BlockPart:
    """A block's part of one point; holds until the next point is asked for.

    ``keys`` (n_rows,) float32, or float64 that need no others; ``matches`` (n_rows,) bool. ``near_rows`` (n_near,)
    int64, ascending: the rows that can be among the nearest of all, with their exact keys, ties not settled, and
    the sizes of `distances.key_sizes`.
    """

    keys: Floats
    matches: Bools
    near_rows: Int64s = field(default_factory=lambda: np.empty(0, np.int64))
    near_keys: Float64s = field(default_factory=lambda: np.empty(0))
    near_sizes: Float64s = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True)
class MergedPoint(BlockPart):
    """One point's parts, one after the other, rows counted in the whole table.

    The row that is ``absent`` sits out the game; ``target`` the number to predict, under regression; ``counts`` (2,)
    int64 as in `ChunkArrays`.
    """

    absent: int | None = None
    target: float = 0.0
    counts: Int64s | None = None


def block_parts(block: TrainBlock, chunk: ChunkArrays, options: RankingOptions, n_train: int) -> Iterator[BlockPart]:
    """Yield the block's part of each point of the chunk; ``n_train`` rows of all blocks.

    Rows meet the same points in the same places of the same tiles as in one table, so their keys have the same bits.
    Cost a point: O(n_rows D). Memory beside the block's arrays: 4 P B + (40 T + 24 P) D + 8 B + 32 m bytes, for
    P = `ranking.points_per_block` of ``n_train``, B rows of the block and its guests, T of a tile, D features, m near
    rows.
    """
    train = block.train
    if options.precision == "float64":
        for point in range(chunk.n_validation):
            matches = ranking.match_flags(train.labels, chunk.labels[point], train.n_train)
            yield BlockPart(
                distances.exact_keys(train.x, np.arange(train.n_train), chunk.x[point], options.metric), matches
            )
        return
    step = ranking.points_per_block(n_train)
    keys = np.empty((min(step, chunk.n_validation), train.n_train), np.float32)
    for start in range(0, chunk.n_validation, step):
        z = chunk.x[start : start + step]
        weights = block_keys(block, z, options.metric, keys[: len(z)])
        for place in range(len(z)):
            matches = ranking.match_flags(train.labels, chunk.labels[start + place], train.n_train)
            absent = _absent_row(block, chunk, start + place)
            if absent is not None:
                keys[place, absent], matches[absent] = np.inf, False
            near = nearest_rows(keys[place], options)
            exact = distances.exact_keys(train.x, near, z[place], options.metric)
            sizes = distances.key_sizes(train, near, float(weights[place]), options.metric)
            yield BlockPart(keys[place], matches, near, exact, sizes)


def block_keys(block: TrainBlock, z: Floats, metric: str, out: Floats) -> Float64s:
    """Fill ``out`` (n_points, n_rows) as `distances.approximate_keys` does for the rows in one table."""
    weights = distances.approximate_keys(block.train, z, metric, out)
    if block.guests is not None:
        of_guests = np.empty((len(z), block.guests.n_train), np.float32)
        distances.approximate_keys(block.guests, z, metric, of_guests)
        out[:, block.guest_pairs[:, 0]] = of_guests[:, block.guest_pairs[:, 1]]
    return weights


def merged_partial(
    points: Iterable[MergedPoint],
    n_train: int,
    n_players: int,
    options: RankingOptions,
    weights_of: WeightsOf,
    utility_of: UtilityOf,
) -> Partial:
    """Return the partial of points, added up as they come: the bits of `partials.ranking_partial` when sorted.

    ``n_players`` rows play, all ``n_train`` or, under self-validation, all but one.
    Cost a point: O(n_train log n_train); memory: 160 bytes a training row, or 240 where ties are averaged.
    """
    scratch = Scratch(n_train, Workspace())
    ranked = (rank_merged(point, options, scratch) for point in points)
    return sum_points(value_points(ranked, n_players, weights_of), n_train, options, utility_of)


def rank_merged(point: MergedPoint, options: RankingOptions, scratch: Scratch) -> RankedRows:
    """Return the rows that play, nearest first, as `ranking.ranked_points` does; the arrays are the scratch's."""
    if len(point.keys) == 1 and point.absent is not None:
        return ranking.NO_ROWS
    if options.precision == "float64":
        return ranking.rank_exact_keys(np.asarray(point.keys, np.float64), point.matches, point.absent, options)

    def found(table: Float64s, rows: Int64s) -> Float64s:
        return table[np.searchsorted(point.near_rows, rows)]

    near = NearKeys(
        exact=lambda rows: found(point.near_keys, rows),
        sizes=lambda rows: found(point.near_sizes, rows),
    )
    n_players = ranking.rank_rows(point.keys, point.matches, scratch) - (point.absent is not None)
    return ranking.order_near(near, n_players, options, scratch)


def _absent_row(block: TrainBlock, chunk: ChunkArrays, point: int) -> int | None:
    """Return the row of the block that sits out the point's game, if it is in this block."""
    if chunk.train_rows is None:
        return None
    row = int(chunk.train_rows[point]) - block.first_row
    return row if 0 <= row < block.train.n_train else None


def nearest_rows(keys: Floats, options: RankingOptions) -> Int64s:
    """Return the rows nearest by (key, row), ascending: as many as the exact ones of a whole table.

    Among the nearest of all rows there cannot be more of this block. Under ties="average" all rows tied with the
    last one are there, since the whole table's last exact row may be any of them.
    """
    n_exact = ranking.exact_rows(options.k)
    if len(keys) <= n_exact:
        return np.arange(len(keys))
    last = np.partition(keys, n_exact - 1)[n_exact - 1]
    rows = np.flatnonzero(keys <= last)
    if options.ties == "average":
        return rows
    tied = np.flatnonzero(keys[rows] == last)
    return np.delete(rows, tied[len(tied) - (len(rows) - n_exact) :])
