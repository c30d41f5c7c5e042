"""The binned ranking of a chunk: near rows sorted, the rest by bins, the full sort where bins would not do."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from dvspark.kernels import bins, ranking
from dvspark.kernels.rank_values import RankWeights, rank_values, tied_rank_values
from dvspark.kernels.ranking import KeyedPoint, RankedRows, RankingOptions, Scratch
from dvspark.schemas import ChunkArrays, Float64s, Int64s, Partial, TrainArrays

# Where a point's certificate is too wide, this many times more rows are ordered, then four times that; then all.
MORE_NEAR = (1, 4, 16)


@dataclasses.dataclass
class BinnedScratch:
    """What one point after the other uses again."""

    bins: npt.NDArray[np.uint16]
    sample: Int64s
    full: Scratch | None = None
    near: Scratch | None = None


@dataclasses.dataclass(frozen=True)
class ValuedPoint:
    """One point's values: of the near rows in rank order, and of the others by bin (None: all rows are near)."""

    near: RankedRows
    near_values: Float64s
    by_bin: bins.BinValues | None


def value_point(
    train: TrainArrays,
    point: KeyedPoint,
    match_rows: Int64s,
    options: RankingOptions,
    weights: RankWeights,
    tails: bins.Tails,
    scratch: BinnedScratch,
) -> ValuedPoint:
    """Return the values of all rows for one point, none further than the tolerance from the sorted ranking's.

    ``match_rows`` the rows that match, ascending; the bins of the rows are left in ``scratch``.
    O(n_train), or a sort where the rows lie so that bins cannot keep the tolerance.
    """
    n_train = train.n_train
    n_exact = ranking.exact_rows(options.k)
    share_open = min(0.01, n_train * options.tolerance)
    sample = point.keys[scratch.sample]
    for more in MORE_NEAR:
        n_near = more * bins.near_rows(n_train, n_exact)
        if 2 * n_near > n_train:
            break
        low, per_unit = bins.edges(sample[np.isfinite(sample)], n_near / n_train, share_open)
        if per_unit == 0:
            break
        bins.assign_bins(point.keys, low, per_unit, scratch.bins)
        counts = bins.count_bins(scratch.bins)
        if point.absent is not None:
            counts[-1] -= 1
        if counts[0] < n_exact:
            continue
        of_match = np.bincount(scratch.bins[match_rows], minlength=bins.N_BINS)
        by_bin = bins.bin_values(counts, of_match, weights, tails)
        if by_bin.bound > options.tolerance:
            continue
        return _with_affine(_near(train, point, options, scratch), by_bin, len(match_rows), weights)
    scratch.full = scratch.full or Scratch(n_train)
    ranked = ranking.rank_all(train, point, options, scratch.full)
    return _with_affine(ranked, None, len(match_rows), weights)


def _near(train: TrainArrays, point: KeyedPoint, options: RankingOptions, scratch: BinnedScratch) -> RankedRows:
    """Return the rows of bin 0 in order."""
    rows = np.flatnonzero(scratch.bins == 0)
    if scratch.near is None or len(scratch.near.rows) < len(rows):
        scratch.near = Scratch(2 * len(rows))
    ranking.rank_rows(point.keys[rows], point.matches[rows], scratch.near)
    scratch.near.rows[: len(rows)] = rows[scratch.near.rows[: len(rows)]]
    return ranking.settle_near(train, point, len(rows), options, scratch.near)


def _with_affine(near: RankedRows, by_bin: bins.BinValues | None, n_matches: int, weights: RankWeights) -> ValuedPoint:
    """Return the near rows' values, and the bins', with the terms that depend on the match alone."""
    n = len(near.rows)
    ranks = RankWeights(weights.own[:n], weights.suffix[:n])
    if near.block_starts is None:
        values = rank_values(near.matches, ranks, np.empty(n), np.empty(n))
    else:
        values = tied_rank_values(near.matches, near.block_starts, ranks)
    constant = weights.shared * n_matches + weights.constant
    values += np.where(near.matches, constant + weights.match, constant)
    if by_bin is not None:
        values -= by_bin.near_loss
        by_bin.match[1:] += constant + weights.match
        by_bin.other[1:] += constant
    return ValuedPoint(near, values, by_bin)


def binned_partial(
    train: TrainArrays,
    chunk: ChunkArrays,
    options: RankingOptions,
    weights_of: Callable[[int], RankWeights],
    utility_of: Callable[[RankedRows, int], tuple[float, float]],
) -> Partial:
    """Return the partial of a chunk under the binned ranking; the certificates add up in ``error_bound``.

    Cost: O(V N D) for the products and O(V N) beyond; memory: `ranking.scratch_bytes`.
    """
    partial = Partial.zeros(train.n_train)
    n_players = train.n_train - (chunk.train_rows is not None)
    weights = weights_of(n_players)
    tails = bins.Tails.of(weights)
    scratch = BinnedScratch(np.empty(train.n_train, np.uint16), bins.sample_rows(train.n_train))
    for point in ranking.keyed_points(train, chunk, options.metric):
        match_rows = np.flatnonzero(point.matches)
        valued = value_point(train, point, match_rows, options, weights, tails, scratch)
        _add(partial, valued, match_rows, point.absent, scratch)
        full, empty = utility_of(valued.near, n_players)
        partial.n_validation += 1
        partial.utility += full
        partial.empty_utility += empty
    return partial


def _add(partial: Partial, valued: ValuedPoint, match_rows: Int64s, absent: int | None, scratch: BinnedScratch) -> None:
    """Add one point's values and squares; the row that sits out gets nothing."""
    kept = None if absent is None else (partial.value[absent], partial.value_squared[absent])
    if valued.by_bin is not None:
        bins.add_values(scratch.bins, match_rows, valued.by_bin, partial.value, partial.value_squared)
        partial.error_bound += valued.by_bin.bound
    partial.value[valued.near.rows] += valued.near_values
    partial.value_squared[valued.near.rows] += valued.near_values**2
    if absent is not None and kept is not None:
        partial.value[absent], partial.value_squared[absent] = kept
