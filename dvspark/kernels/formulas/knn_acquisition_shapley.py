"""Acquisition KNN-Shapley: what candidate rows are worth to someone who owns other rows already."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dvspark.kernels.formulas.kinds import OrderedFormulas
from dvspark.kernels.ranking.ordered import OrderedPoint, given
from dvspark.schemas import Bools, Float64s, Int64s


@dataclass(frozen=True)
class _Candidates:
    """The candidates that can change a vote, nearest first: fewer than k owned rows are nearer than each.

    ``places`` (n,): their ranks from 0 among all rows. ``matches`` (n,) float64. ``before`` (n,): owned rows nearer
    than each. ``owned`` (m,) float64: whether each of the k nearest owned rows matches.
    """

    places: Int64s
    matches: Float64s
    before: Int64s
    owned: Float64s


@dataclass(frozen=True)
class KnnAcquisitionShapley(OrderedFormulas):
    """Acquisition KNN-Shapley, any k >= 1."""

    def point_values(self, point: OrderedPoint) -> Float64s:
        """Return the values of all rows by rank, (n,) float64; owned rows, and candidates too far to vote, get 0.

        The players are the candidates. Owned rows are in every coalition: U(S) = matches among the k nearest of owned
        rows and S, / k, less the same without S. Let candidate i, by rank among candidates, have match m_i and b_i
        owned rows nearer, and let a_r be the match of the r-th nearest owned row, 0 without one. With b = k after the
        last candidate,
        s_i - s_(i+1) = 1 / (k i) Σ_{j < min(i, k)} [m_i - m_(i+1) if b_(i+1) + j < k, or m_i - a_(k-j) if b_i + j < k].
        Sums of consecutive a are differences of running sums.
        Cost: O(n) time, 60 bytes a candidate that is nearer than the k-th owned row.
        Source: the game of Jia et al., PVLDB 12(11), 2019, doi:10.14778/3342263.3342637, with rows in every coalition;
        compared with all coalitions in the tests.
        """
        values = np.zeros(len(point.matches))
        seen = self._candidates(point)
        n = len(seen.places)
        ranks = np.arange(1, n + 1)
        most = np.minimum(ranks, self.k)
        # Of j from 0: up to `next_in` the next candidate would take the place, then up to `own_in` an owned row has it.
        own_in = np.minimum(most, self.k - seen.before)
        next_in = np.append(np.minimum(most[:-1], self.k - seen.before[1:]), np.zeros(min(n, 1), np.int64))
        running = np.append(0.0, np.cumsum(seen.owned))
        upper, lower = (running[np.minimum(self.k - j, len(seen.owned))] for j in (next_in, own_in))
        following = np.append(seen.matches[1:], np.zeros(min(n, 1)))
        gained = own_in * seen.matches - next_in * following - (upper - lower)
        values[seen.places] = np.cumsum((gained / (self.k * ranks.astype(np.float64)))[::-1])[::-1]
        return values

    def utilities(self, point: OrderedPoint) -> tuple[float, float]:
        """Return the utility of owned rows and all candidates, and that of the owned rows alone."""
        owned = point.matches[given(point.owned, "owned")][: self.k]
        return np.count_nonzero(point.matches[: self.k]) / self.k, np.count_nonzero(owned) / self.k

    def reference_values(self, point: OrderedPoint) -> Float64s:
        """Return what `point_values` returns, term by term of the sums. O(n k)."""
        values = np.zeros(len(point.matches))
        seen = self._candidates(point)
        n, k = len(seen.places), self.k
        of_rank = dict(enumerate(seen.owned.tolist(), 1))
        matches, before = [*seen.matches.tolist(), 0.0], [*seen.before.tolist(), k]
        value = 0.0
        for i in range(n, 0, -1):
            match, nearer, following, nearer_following = matches[i - 1], before[i - 1], matches[i], before[i]
            for j in range(min(i, k)):
                if nearer_following + j < k:
                    value += (match - following) / (k * i)
                elif nearer + j < k:
                    value += (match - of_rank.get(k - j, 0.0)) / (k * i)
            values[seen.places[i - 1]] = value
        return values

    def _candidates(self, point: OrderedPoint) -> _Candidates:
        """Return the candidates of a point that can change its vote, and its nearest owned rows."""
        is_owned: Bools = given(point.owned, "owned")
        owned = np.flatnonzero(is_owned)[: self.k]
        last = int(owned[-1]) if len(owned) == self.k else len(is_owned)
        places = np.flatnonzero(~is_owned[:last])
        before = np.searchsorted(owned, places).astype(np.int64)
        return _Candidates(
            places, point.matches[places].astype(np.float64), before, point.matches[owned].astype(np.float64)
        )
