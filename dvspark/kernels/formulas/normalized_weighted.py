"""Weighted KNN-Shapley, normalized: U(S) = share of the weight of the k nearest rows that is on matches; k <= 3."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dvspark.errors import Problem
from dvspark.kernels.ranking.ordered import OrderedPoint, given
from dvspark.schemas import Bools, Float64s, Int64s

# Every set of k rows is looked at, n**k / k! of them: 1 s a point at n = 1,000, k = 3; 250 times that for k = 4.
LARGEST_K = 3

# Shares of so many sets are in memory at once (1 MiB an array): as fast as 4 MiB, twice as fast as n² of them.
BLOCK_SETS = 2**17


def normalized_limit(k: int) -> list[Problem]:
    """Return the problem of a k with too many sets, or nothing."""
    if k <= LARGEST_K:
        return []
    expected = f"k <= {LARGEST_K} under kind='normalized', which looks at every set of k rows, n**k / k! of them"
    hint = "take kind='raw' (any k, O(n)) or kind='hard' (any k, whole weights), which are exact too; or a smaller k"
    return [Problem("parameter 'k'", expected, str(k), hint)]


def point_values(point: OrderedPoint, *, k: int, empty_utility: float = 0.0) -> Float64s:
    """Return the values of the rows at ranks 1..n, (n,) float64; k <= 3.

    A set of k rows, the farthest at rank r, votes whenever its rows come before the other r - k of the first r rows.
    Each member then gets 1 / (k C(r, k)) of the set's share, and each of the others loses 1 / ((r - k) C(r, k)). A
    smaller set counts only while it is the whole coalition: the same with n in place of r.
    A set of rows whose weights are all 0 has no share, and is worth ``empty_utility`` like the empty set.
    Cost: O(n**k / k!) shares of O(k), 8 MiB. At n = 1,000: 0.02 s for k = 2, 1 s for k = 3 (one core).
    Raises: ValueError for k > 3; ask `normalized_limit` before.
    Source: Jia et al., PVLDB 12(11), 2019, doi:10.14778/3342263.3342637, on weighted KNN; here a sum over sets where
    the source has marginals.
    """
    _refuse_large(k)
    weights, n = given(point.weights, "weights"), len(point.matches)
    values = np.zeros(n)
    if n == 0:
        return values
    values -= empty_utility / n
    for size in range(1, min(k, n) + 1):
        with_row = np.zeros(n)
        for farthest in range(size, n + 1):
            shares = _shares_with_row(weights[:farthest], point.matches[:farthest], size, empty_utility)
            if size < k:
                with_row[:farthest] += shares
            else:
                values[:farthest] += _paid(shares, size)
        if size < k:
            values += _paid(with_row, size)
    return values


def utility(point: OrderedPoint, *, k: int, empty_utility: float = 0.0) -> tuple[float, float]:
    """Return U(N) and U(∅); without rows both are that of the empty set."""
    weights, matches = given(point.weights, "weights")[:k], point.matches[:k]
    if len(matches) == 0:
        return empty_utility, empty_utility
    return float(weights[matches].sum() / weights.sum()) if weights.any() else empty_utility, empty_utility


def reference_values(point: OrderedPoint, *, k: int, empty_utility: float = 0.0) -> Float64s:
    """Return the values from differences of neighbors in rank, for checks: another formula.

    value_i - value_(i+1) is the mean of U(R + i) - U(R + (i + 1)) over the sets R of up to k - 1 other rows. Sets of
    size l < k - 1 have weight 1 / ((n - 1) C(n - 2, l)). Sets of size k - 1 have weight 1 / ((r - 1) C(r - 2, k - 1)),
    with r the farthest rank of R, i and i + 1. The sum of all values, U(N) - U(∅), sets the level.
    Cost: O(n**k) shares, 50 n**(k - 1) bytes and a few MiB; at n = 1,000, k = 3, 17 s.
    Source: Jia et al. 2019, the lemma on differences of two values.
    """
    _refuse_large(k)
    weights, n = given(point.weights, "weights"), len(point.matches)
    if n == 0:
        return np.empty(0)
    steps = np.zeros(n)
    for size in range(min(k, n - 1)):
        sets = _RowSets.of(point, weights, size)
        rank = np.maximum(np.arange(1.0, n + 1), size + 2.0)
        odds = np.full(n, 1.0 / ((n - 1) * math.comb(n - 2, size)))
        if size == k - 1:
            odds = math.factorial(size) / np.prod([rank - 1.0 - j for j in range(size + 1)], axis=0)
        for i in range(n - 1):
            without = ~np.isin(sets.rows, (i, i + 1)).any(axis=1)
            steps[i] = (
                steps[i]
                + (sets.gained(i, i + 1, empty_utility) * odds[np.maximum(sets.farthest, i + 1)])[without].sum()
            )
    values = np.cumsum(steps[::-1])[::-1]
    full, empty = utility(point, k=k, empty_utility=empty_utility)
    return values + (full - empty - values.sum()) / n


def _refuse_large(k: int) -> None:
    if found := normalized_limit(k):
        raise ValueError(str(found[0]))


def _paid(with_row: Float64s, size: int) -> Float64s:
    """Return what sets of one size pay to n rows, from the sum of shares of each row's sets, (n,)."""
    n = len(with_row)
    n_sets = math.comb(n, size)
    lost = 1.0 / ((n - size) * n_sets) if n > size else 0.0
    return with_row * (1.0 / (size * n_sets) + lost) - with_row.sum() / size * lost


def _shares_with_row(weights: Float64s, matches: Bools, size: int, none: float) -> Float64s:
    """Return for each of n rows the sum of the shares of its sets of ``size`` rows, the last row among them, (n,).

    ``none`` is the share of a set without weight.
    """
    n, gains = len(weights), weights * matches
    sums = np.zeros(n)
    if size == 1:
        sums[-1] = matches[-1] if weights[-1] > 0 else none
    elif size == 2:
        sums[:-1] = _share(gains[:-1] + gains[-1], weights[:-1] + weights[-1], none)
        sums[-1] = sums[:-1].sum()
    else:
        step = max(BLOCK_SETS // n, 1)
        for start in range(0, n - 1, step):
            here = slice(start, min(start + step, n - 1))
            gain = (gains[here] + gains[-1])[:, None] + gains[None, :-1]
            weight = (weights[here] + weights[-1])[:, None] + weights[None, :-1]
            shares = _share(gain, weight, none)
            shares[np.arange(len(shares)), np.arange(here.start, here.stop)] = 0.0  # a row is no pair
            sums[here] = shares.sum(axis=1)
        sums[-1] = sums[:-1].sum() / 2.0
    return sums


def _share(gain: Float64s, weight: Float64s, none: float) -> Float64s:
    """Return gain / weight, or ``none`` if there is no weight; overwrites ``gain``, (any,)."""
    if weight.min(initial=np.inf) > 0:
        return np.divide(gain, weight, out=gain)
    gain[weight == 0] = none
    return np.divide(gain, weight, out=gain, where=weight > 0)


@dataclass(frozen=True)
class _RowSets:
    """All sets of 0, 1 or 2 rows, ``rows`` (n_sets, size), with their sums, (n_sets,) each, for the reference."""

    point: OrderedPoint
    weights: Float64s
    rows: Int64s

    @classmethod
    def of(cls, point: OrderedPoint, weights: Float64s, size: int) -> _RowSets:
        n = len(weights)
        pairs = np.stack(np.triu_indices(n, 1), axis=1)
        rows = pairs if size == 2 else np.arange(n)[:, None] if size else np.empty((1, 0), np.int64)
        return cls(point, weights, rows)

    @cached_property
    def farthest(self) -> Int64s:
        return self.rows.max(axis=1, initial=0)

    @cached_property
    def sums(self) -> tuple[Float64s, Float64s]:
        gain = self.weights * self.point.matches
        return gain[self.rows].sum(axis=1), self.weights[self.rows].sum(axis=1)

    def shares(self, row: int, none: float) -> Float64s:
        """Return U of each set with one more row, by the definition; ``none`` without weight."""
        gain, weight = self.sums
        own = self.weights[row]
        total = weight + own
        return np.where(total > 0, (gain + own * self.point.matches[row]) / np.where(total > 0, total, 1.0), none)

    def gained(self, row: int, other: int, none: float) -> Float64s:
        """Return for each set U with the one row minus U with the other row."""
        return self.shares(row, none) - self.shares(other, none)
