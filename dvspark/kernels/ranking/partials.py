"""Partials of the `ranking` kind: the values of a chunk's points, added up in the chunk's order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from dvspark.kernels import loops
from dvspark.kernels.binning.binned import RankingGame, binned_partial
from dvspark.kernels.binning.bins import Tails
from dvspark.kernels.ranking import ranking
from dvspark.kernels.ranking.gap_values import CodedPoints
from dvspark.kernels.ranking.near_order import near_keys
from dvspark.kernels.ranking.rank_values import ranked_values
from dvspark.kernels.ranking.rank_weights import RankWeights
from dvspark.kernels.ranking.ranking import RankedRows, RankingOptions, ranked_points
from dvspark.kernels.ranking.row_values import value_rows
from dvspark.kernels.workspace import Workspace
from dvspark.schemas import ChunkArrays, Float64s, Partial, TrainArrays

WeightsOf = Callable[[int], RankWeights]
UtilityOf = Callable[[float, int], tuple[float, float]]


def point_values(
    train: TrainArrays, chunk: ChunkArrays, options: RankingOptions, weights_of: WeightsOf, workspace: Workspace
) -> Iterator[tuple[RankedRows, Float64s]]:
    """Yield each validation point's ranked rows and their values in rank order; valid until the next point."""
    n_players = train.n_train - (chunk.train_rows is not None)
    weights = weights_of(n_players) if n_players else None
    yield from value_points(ranked_points(train, chunk, options, workspace, weights), weights)


def value_points(points: Iterable[RankedRows], weights: RankWeights | None) -> Iterator[tuple[RankedRows, Float64s]]:
    """Yield each point's ranked rows and their values in rank order, until the next point; none without weights."""
    if weights is None:  # under self-validation a single training row has no game
        yield from ((ranked, np.empty(0)) for ranked in points)
        return
    out = np.empty(len(weights.own))
    for ranked in points:
        yield ranked, ranked_values(ranked.matches, ranked.block_starts, weights, out)


def ranking_partial(
    train: TrainArrays,
    chunk: ChunkArrays,
    options: RankingOptions,
    weights_of: WeightsOf,
    utility_of: UtilityOf,
    workspace: Workspace,
) -> Partial:
    """Return the partial of a chunk: Σ value, Σ value² and the utilities that the audit needs.

    U(N) is counted from the labels of the nearest rows, never from the values. Under ties="average" it is the mean over
    tie orders, so a tie block across rank k counts in part.
    Cost: O(V (N D + N log N)). Memory: `memory.scratch_bytes`.
    """
    n_players = train.n_train - (chunk.train_rows is not None)
    if options.is_binned(n_players):
        game = game_of(n_players, options, weights_of, utility_of, workspace)
        partial, left = binned_partial(train, chunk, game, workspace)
        if not len(left):
            return partial
        workspace.clear(but="block")  # the sort takes other arrays, and its keys fit there
        others = _sorted_partial(train, chunk.take(left), options, game.weights, utility_of, workspace)
        return partial.plus(others.placed(left))
    if options.precision == "float64" or n_players == 0:
        points = point_values(train, chunk, options, weights_of, workspace)
        return sum_points(points, train.n_train, options, utility_of)
    return _sorted_partial(train, chunk, options, weights_of(n_players), utility_of, workspace)


def _sorted_partial(
    train: TrainArrays,
    chunk: ChunkArrays,
    options: RankingOptions,
    weights: RankWeights,
    utility_of: UtilityOf,
    workspace: Workspace,
) -> Partial:
    """Return the partial of a chunk whose points are ranked by float32 keys."""
    partial, n_players = Partial.zeros(train.n_train, row_bounds=options.row_bounds), len(weights.own)
    coded = CodedPoints(train, weights, options, partial, workspace)
    for keyed in ranking.keyed_points(train, chunk, options.metric, workspace):
        near = near_keys(train, keyed.z, keyed.weight, options.metric)
        nearest = coded.take(keyed, near)
        if nearest is None:
            coded.add_up()  # sums are added up in the order of the points
            matches, values = ranking.matches_of(train, keyed), workspace.array("of_row", (train.n_train,), np.float64)
            of_point = (keyed.keys, matches, keyed.absent, near)
            nearest = value_rows(*of_point, weights, options, workspace, values, keyed.limits)
            loops.fastest().add_rows(values, partial.value, partial.value_squared)
        partial.count_alike(*utility_of(nearest_matches(nearest, options.k), n_players), nearest.bound)
    coded.add_up()
    return partial.centered()


def game_of(
    n_players: int, options: RankingOptions, weights_of: WeightsOf, utility_of: UtilityOf, workspace: Workspace
) -> RankingGame:
    """Return the game of ``n_players`` rows for the binned ranking, with tables that are kept for the next chunk.

    Cost: O(n_players), 40 bytes a row.
    """

    def tables() -> tuple[RankWeights, Tails]:
        weights = weights_of(n_players)
        return weights, Tails.of(weights)

    # A method of equal parameters has equal weights.
    key = (getattr(weights_of, "__self__", weights_of), n_players)
    weights, tails = workspace.made("rank tables", key, tables)

    def utility(ranked: RankedRows, n: int) -> tuple[float, float]:
        return utility_of(nearest_matches(ranked, options.k), n)

    return RankingGame(options, n_players, weights, tails, utility)


def sum_points(
    points: Iterable[tuple[RankedRows, Float64s]], n_train: int, options: RankingOptions, utility_of: UtilityOf
) -> Partial:
    """Return the partial of some points, added up in order; U(N) as in `ranking_partial`. Cost: O(n_train) a point."""
    partial = Partial.zeros(n_train, row_bounds=options.row_bounds)
    add_ranked = loops.fastest().add_ranked
    for ranked, values in points:
        add_ranked(ranked.rows, values, partial.value, partial.value_squared)
        partial.count_alike(*utility_of(nearest_matches(ranked, options.k), len(values)), ranked.bound)
    return partial.centered()


def nearest_matches(ranked: RankedRows, k: int) -> float:
    """Return the number of matches among the min(k, n) nearest rows, in the mean over tie orders."""
    whole = int(np.count_nonzero(ranked.matches[:k]))
    if ranked.block_starts is None or k >= len(ranked.rows) or ranked.block_starts[k]:
        return whole
    start = int(np.flatnonzero(ranked.block_starts[: k + 1])[-1])
    following = np.flatnonzero(ranked.block_starts[k:])
    end = k + int(following[0]) if len(following) else len(ranked.rows)
    inside = np.count_nonzero(ranked.matches[start:end]) / (end - start)
    return float(np.count_nonzero(ranked.matches[:start]) + inside * (k - start))
