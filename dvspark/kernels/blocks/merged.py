"""Merged points: each block of training rows reports its keys of a point, and one place ranks them all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from dvspark.kernels.distances import distances
from dvspark.kernels.ranking import ranking
from dvspark.kernels.ranking.near_order import NearKeys
from dvspark.kernels.ranking.partials import UtilityOf, WeightsOf, sum_points, value_points
from dvspark.kernels.ranking.rank_weights import RankWeights
from dvspark.kernels.ranking.ranking import RankedRows, RankingOptions, Scratch
from dvspark.kernels.workspace import Workspace
from dvspark.schemas import Bools, ChunkArrays, Floats, Int64s, Partial, TrainBlock


@dataclass(frozen=True)
class BlockPart:
    """A block's part of one point; valid until the next point.

    ``keys`` (n_rows,) float32, or float64 if they are exact; ``matches`` (n_rows,) bool.
    """

    keys: Floats
    matches: Bools


@dataclass(frozen=True)
class MergedPoint(BlockPart):
    """The parts of one point, one after the other, with rows numbered in the whole table.

    ``near`` gives exact keys if the keys are float32. The row that is ``absent`` sits out the game. ``target`` is the
    number to predict, under regression; ``counts`` (2,) int64 as in `ChunkArrays`.
    """

    near: NearKeys | None = None
    absent: int | None = None
    target: float = 0.0
    counts: Int64s | None = None


def block_parts(block: TrainBlock, chunk: ChunkArrays, options: RankingOptions, n_train: int) -> Iterator[BlockPart]:
    """Yield the block's part of each point of the chunk; ``n_train`` is the number of rows in all blocks.

    Rows meet the same points in the same places of the same tiles as in one table, so their keys have the same bits.
    Cost of a point: O(n_rows D). Memory beside the block's arrays: 4 P B + (40 T + 24 P) D + 8 B bytes, for P =
    `ranking.points_per_block` of ``n_train``, B rows of the block and its guests, T rows of a tile, D features.
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
        block_keys(block, z, options.metric, keys[: len(z)])
        for place in range(len(z)):
            matches = ranking.match_flags(train.labels, chunk.labels[start + place], train.n_train)
            absent = _absent_row(block, chunk, start + place)
            if absent is not None:
                keys[place, absent], matches[absent] = np.inf, False
            yield BlockPart(keys[place], matches)


def block_keys(block: TrainBlock, z: Floats, metric: str, out: Floats) -> None:
    """Fill ``out`` (n_points, n_rows) with the keys that `distances.approximate_keys` gives these rows in one table."""
    distances.approximate_keys(block.train, z, metric, out)
    if block.guests is not None:
        of_guests = np.empty((len(z), block.guests.n_train), np.float32)
        distances.approximate_keys(block.guests, z, metric, of_guests)
        out[:, block.guest_pairs[:, 0]] = of_guests[:, block.guest_pairs[:, 1]]


def merged_partial(
    points: Iterable[MergedPoint],
    n_train: int,
    n_players: int,
    options: RankingOptions,
    weights_of: WeightsOf,
    utility_of: UtilityOf,
) -> Partial:
    """Return the partial of points, added up in order, with the bits of `partials.ranking_partial` when sorted.

    ``n_players`` rows play: all ``n_train``, or under self-validation all but one.
    Cost of a point: O(n_train log n_train). Memory: 160 bytes a training row, or 240 if ties are averaged.
    """
    scratch, weights = Scratch(n_train, Workspace()), weights_of(n_players) if n_players else None
    ranked = (rank_merged(point, options, scratch, weights) for point in points)
    return sum_points(value_points(ranked, weights), n_train, options, utility_of)


def rank_merged(
    point: MergedPoint, options: RankingOptions, scratch: Scratch, weights: RankWeights | None = None
) -> RankedRows:
    """Return the playing rows, nearest first, as `ranking.ranked_points` does; the arrays belong to ``scratch``.

    Raises: ValueError for a point with float32 keys that was made without exact ones.
    """
    if len(point.keys) == 1 and point.absent is not None:
        return ranking.NO_ROWS
    if options.precision == "float64":
        return ranking.rank_exact_keys(np.asarray(point.keys, np.float64), point.matches, point.absent, options)
    if point.near is None:
        raise ValueError("expected what tells exact keys beside float32 ones; give MergedPoint(near=...)")
    return ranking.rank_rows(point.keys, point.matches, point.absent, point.near, options, scratch, weights)


def _absent_row(block: TrainBlock, chunk: ChunkArrays, point: int) -> int | None:
    """Return the row that sits out the point's game, if it is in this block."""
    if chunk.train_rows is None:
        return None
    row = int(chunk.train_rows[point]) - block.first_row
    return row if 0 <= row < block.train.n_train else None
