"""Partials of the `ranking` kind: the values of a chunk's points, added up in the chunk's order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from dvspark.kernels.binned import binned_partial
from dvspark.kernels.rank_values import RankWeights, rank_values, tied_rank_values
from dvspark.kernels.ranking import NO_ROWS, RankedRows, RankingOptions, ranked_points
from dvspark.schemas import ChunkArrays, Float64s, Partial, TrainArrays

WeightsOf = Callable[[int], RankWeights]
UtilityOf = Callable[[float, int], tuple[float, float]]


def point_values(
    train: TrainArrays, chunk: ChunkArrays, options: RankingOptions, weights_of: WeightsOf
) -> Iterator[tuple[RankedRows, Float64s]]:
    """Yield for each validation point its ranked rows and their values in rank order, until the next point."""
    n_players = train.n_train - (chunk.train_rows is not None)
    ranked = ranked_points(train, chunk, options) if n_players else [NO_ROWS] * chunk.n_validation
    yield from ranked_values(ranked, n_players, weights_of)


def ranked_values(
    points: Iterable[RankedRows], n_players: int, weights_of: WeightsOf
) -> Iterator[tuple[RankedRows, Float64s]]:
    """Yield each point's ranked rows and their values in rank order, until the next point."""
    if n_players == 0:  # one training row under self-validation plays no game
        yield from ((ranked, np.empty(0)) for ranked in points)
        return
    weights = weights_of(n_players)
    values, scratch = np.empty(n_players), np.empty(n_players)
    for ranked in points:
        if ranked.block_starts is None:
            yield ranked, rank_values(ranked.matches, weights, values, scratch)
        else:
            yield ranked, tied_rank_values(ranked.matches, ranked.block_starts, weights)


def ranking_partial(
    train: TrainArrays,
    chunk: ChunkArrays,
    options: RankingOptions,
    weights_of: WeightsOf,
    utility_of: UtilityOf,
) -> Partial:
    """Return the partial of a chunk: Σ value, Σ value² and the utilities that the audit asks for.

    U(N) is counted from the labels of the nearest rows, never from the values. Under ties="average" it is
    the mean over tie orders, so a tie block that straddles rank k counts in part.
    Cost: O(V (N D + N log N)); memory: `ranking.scratch_bytes`.
    """

    def utility_of_ranked(ranked: RankedRows, n_players: int) -> tuple[float, float]:
        return utility_of(_nearest_matches(ranked, options.k), n_players)

    plays = train.n_train > (chunk.train_rows is not None)  # one row under self-validation has no game to bin
    if options.ranking == "binned" and options.precision == "default" and plays:
        return binned_partial(train, chunk, options, weights_of, utility_of_ranked)
    points = point_values(train, chunk, options, weights_of)
    return sum_points(points, train.n_train, options.k, utility_of)


def sum_points(points: Iterable[tuple[RankedRows, Float64s]], n_train: int, k: int, utility_of: UtilityOf) -> Partial:
    """Return the partial of some points, added up as they come; U(N) as in `ranking_partial`. O(n_train) a point."""
    partial = Partial.zeros(n_train)
    spread = np.zeros(n_train)
    squares = np.empty(n_train)
    for ranked, values in points:
        if len(values) < n_train:  # a row that sits out its own game gets nothing
            spread[:] = 0.0
        spread[ranked.rows] = values
        partial.value += spread
        np.multiply(spread, spread, out=squares)
        partial.value_squared += squares
        full, empty = utility_of(_nearest_matches(ranked, k), len(values))
        partial.n_validation += 1
        partial.utility += full
        partial.empty_utility += empty
    return partial


def _nearest_matches(ranked: RankedRows, k: int) -> float:
    """Return the matches among the min(k, n) nearest rows, in the mean over tie orders."""
    whole = int(np.count_nonzero(ranked.matches[:k]))
    if ranked.block_starts is None or k >= len(ranked.rows) or ranked.block_starts[k]:
        return whole
    start = int(np.flatnonzero(ranked.block_starts[: k + 1])[-1])
    following = np.flatnonzero(ranked.block_starts[k:])
    end = k + int(following[0]) if len(following) else len(ranked.rows)
    inside = np.count_nonzero(ranked.matches[start:end]) / (end - start)
    return float(np.count_nonzero(ranked.matches[:start]) + inside * (k - start))
