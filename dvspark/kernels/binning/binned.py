"""The binned ranking of a chunk: near rows are sorted, the rest lie in bins, and all rows are sorted if bins do not do.

Two passes over the rows value a block of points. The first pass gives every row of every point a code (bin and match).
The second pass adds up what the codes are worth. Between the passes, the bins of each point are counted, certified and
valued.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from dvspark.kernels import loops
from dvspark.kernels.binning import bins, row_codes
from dvspark.kernels.binning.bins import BinDoubt, BinEdges, Tails
from dvspark.kernels.binning.row_codes import BinnedBlock
from dvspark.kernels.ranking import ranking
from dvspark.kernels.ranking.near_order import NearKeys, near_keys
from dvspark.kernels.ranking.rank_weights import RankWeights
from dvspark.kernels.ranking.ranking import RankedRows, RankingOptions
from dvspark.kernels.ranking.row_values import value_rows
from dvspark.kernels.workspace import Workspace
from dvspark.schemas import Bools, ChunkArrays, Float64s, Floats, Int32s, Int64s, Partial, TrainArrays

# If a point's certificate is too wide, this many times more rows are ordered, then four times that, then all.
MORE_NEAR = (1, 4, 16)

# Error of adding up a value in float64, in proportion to the largest weight. Bins far away are certain up to this.
ROUNDING = 2.0**-50


@dataclass(frozen=True)
class RankingGame:
    """What the games of all points have in common: how rows are compared, and the method for so many players.

    ``utility`` returns U(N) and U(∅) of a point from its ranked rows; the nearest rows are enough for it.
    """

    options: RankingOptions
    n_players: int
    weights: RankWeights
    tails: Tails
    utility: Callable[[RankedRows, int], tuple[float, float]]


@dataclass(frozen=True)
class ValuedPoint:
    """The near rows of one point in rank order (as places in the list of near rows), their values, the certificate.

    ``values`` (n_near,) float64 is by place; ``bound``: no value of the point is further from the exact one.
    """

    near: RankedRows
    values: Float64s
    bound: float


def value_point(
    counts: Int32s,
    doubt: BinDoubt,
    keys: Floats,
    matches: Bools,
    near: NearKeys,
    most_near: int,
    game: RankingGame,
    of_code: Float64s,
    bound_of_code: Float64s,
    workspace: Workspace,
) -> ValuedPoint | None:
    """Return the values of one point, or None if they cannot be certified to keep the tolerance.

    - ``counts`` (6 N_BINS,): rows of each code; ``doubt``: what is in doubt about the bins.
    - ``keys`` (n_near,) float32 and ``matches`` of the near rows, in the order of their rows; ``near`` gives their
      exact keys by place.
    - ``most_near`` as in `row_codes.most_near_rows`.
    - ``of_code`` and ``bound_of_code`` (2 N_BINS,) float64 are filled with what codes are worth, and with its
      certificate.
    Cost: O(bins + n_near log n_near).
    """
    n_near = int(counts[0] + counts[1])
    with_loops = loops.fastest()
    near_doubt = np.array(with_loops.count_from(keys, matches, doubt.low - doubt.limit))
    if n_near != len(keys) or not fewest_near(game) <= n_near - near_doubt[0] <= n_near <= most_near:
        return None
    tails = (game.tails.suffix, game.tails.sums, game.tails.own)
    near_loss, crossed = with_loops.value_bins(counts, doubt.linked, near_doubt, *tails, of_code, bound_of_code)
    bound_of_code += ROUNDING * float(game.tails.own[0])
    bound, of_near = float(bound_of_code.max()), float(bound_of_code[0])
    if not bound <= game.options.tolerance:
        return None
    # Terms that depend on the match alone count all matches. Near rows also lose to matches in the bins.
    of_match, of_other = game.weights.constants(int(counts[1::2].sum()))
    alone = game.weights.of_nearest(n_near, of_other - near_loss)
    values = workspace.array("of_place", (n_near,), np.float64)
    options = replace(game.options, tolerance=game.options.tolerance - of_near)
    limits = np.array([doubt.limit])
    ranked = value_rows(keys, matches, None, near, alone, options, workspace, values, limits)
    # A near row that may really belong to the bins may also be in doubt with rows before it.
    n_last, _ = with_loops.count_from(keys, matches, doubt.low - 2.0 * doubt.limit)
    with_others = n_last * float(game.weights.suffix[n_near - n_last])
    of_order = max(ranked.bound, crossed + min(ranked.bound, with_others))
    bound_of_code[:2] = of_near + of_order
    bound = max(bound, of_near + of_order)
    if not bound <= game.options.tolerance:
        return None
    if of_other or of_match:
        of_code[2::2] += of_other
        of_code[3::2] += of_match
    return ValuedPoint(ranked, values, bound)


def fewest_near(game: RankingGame) -> int:
    """Return the fewest near rows before the bins: the k nearest, and all ranks where suffix weights rise."""
    return max(ranking.sorted_rows(game.options.k), game.tails.falls_from)


def binned_partial(
    train: TrainArrays, chunk: ChunkArrays, game: RankingGame, workspace: Workspace
) -> tuple[Partial, Int64s]:
    """Return the partial of the points of a chunk that bins serve, and the points that bins do not serve.

    A point that bins do not serve with one number of near rows comes again with more near rows. The certificates are
    added up in ``error_bound``.
    Cost: O(V N D) for the products and O(V N) for the rest. Memory: `memory.scratch_bytes`.
    """
    options = game.options
    sample, left = row_codes.sample_arrays(train), np.arange(chunk.n_validation)
    total: Partial | None = None
    for n_near in near_rounds(train.n_train, options):
        if len(left):
            if total is not None:
                workspace.clear()  # more near rows and fewer points at once: arrays of other sizes
            found, left = _round(train, chunk, left, n_near, sample, game, workspace)
            total = found if total is None else total.plus(found)
    return total or Partial.zeros(train.n_train, row_bounds=options.row_bounds), left


def near_rounds(n_train: int, options: RankingOptions) -> list[int]:
    """Return the numbers of near rows to try, one after the other, before all rows are sorted."""
    fewest = bins.near_rows(n_train, ranking.sorted_rows(options.k), options.tolerance)
    return [more * fewest for more in MORE_NEAR if 2 * more * fewest <= n_train]


def _round(
    train: TrainArrays,
    chunk: ChunkArrays,
    left: Int64s,
    n_near: int,
    sample: TrainArrays,
    game: RankingGame,
    workspace: Workspace,
) -> tuple[Partial, Int64s]:
    """Return the partial of the points that so many near rows serve, and the other points."""
    partial, done = Partial.zeros(train.n_train, row_bounds=game.options.row_bounds), np.empty(0, np.int64)
    capacity = row_codes.near_capacity(train.n_train, n_near)
    for points, edges in row_codes.point_blocks(
        sample, chunk, left, game.options.metric, train.n_train, n_near, workspace
    ):
        binnable = points[[found is not None for found in edges]]
        if len(binnable):
            here, known = chunk.take(binnable), [found for found in edges if found is not None]
            block = BinnedBlock.empty(len(binnable), train.n_train, capacity, workspace)
            norms = row_codes.assign_rows(train, here, known, game.options.metric, block, workspace)
            row_codes.take_out(block, here.train_rows)
            served = _value_block(train, here, known, block, norms, game, partial, workspace)
            done = np.append(done, binnable[served])
    return partial.placed(done).centered(), np.setdiff1d(left, done)


def _value_block(
    train: TrainArrays,
    chunk: ChunkArrays,
    edges: list[BinEdges],
    block: BinnedBlock,
    norms: Float64s,
    game: RankingGame,
    partial: Partial,
    workspace: Workspace,
) -> Bools:
    """Add the values of the points to the partial; return for which points they could be certified."""
    n_points = len(block.codes)
    tables = workspace.array("tables", (n_points, 2 * bins.N_BINS), np.float64)
    with_bounds = partial.row_bounds is not None
    bounds = workspace.array("bounds", (n_points if with_bounds else 1, 2 * bins.N_BINS), np.float64)
    with_loops = loops.fastest()
    done, most = np.zeros(n_points, np.bool_), row_codes.most_near_rows(train.n_train, block.capacity)
    for point in range(n_points):
        rows, keys = block.near(point)
        counts = row_codes.count_rows(block, point, absent=int(chunk.train_rows is not None))
        near = near_keys(train, chunk.x[point], float(norms[point]), game.options.metric, rows)
        matches = block.matches(point, rows)
        of_code = (tables[point], bounds[point if with_bounds else 0])
        valued = value_point(counts, edges[point].doubt, keys, matches, near, most, game, *of_code, workspace)
        if valued is not None:
            done[point], block.near_values[point, : len(rows)] = True, valued.values
            partial.count(*game.utility(valued.near, game.n_players), valued.bound)
    points, sums = np.flatnonzero(done), (partial.value, partial.value_squared)
    of_near = (block.near_rows, block.near_values, block.n_near)
    with_loops.add_values(block.codes, points, tables, *of_near, bins.AT_BEGIN - 1, *sums)
    if partial.row_bounds is not None:
        with_loops.add_bounds(block.codes, points, bounds, partial.row_bounds)
    return done
