"""Truncated KNN-Shapley: the k* nearest rows get their value less that of the last of them; other rows get zero."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dvspark.errors import ConfigError, Problem, close_matches, written
from dvspark.kernels.formulas.kinds import NearestFormulas
from dvspark.kernels.formulas.knn_shapley import KnnShapley
from dvspark.kernels.nearest.near_values import NearestPoint, NearValues
from dvspark.kernels.ranking.rank_values import rank_values
from dvspark.schemas import EXACT, Bools, Float64s

TAILS = ("zero", "bound")


@dataclass(frozen=True)
class TruncatedKnnShapley(NearestFormulas):
    """Truncated KNN-Shapley: either ``epsilon`` or ``k_star`` is given; ``tail`` says what farther rows get.

    ``index`` says how rows are found, not what they get.
    """

    epsilon: float | None = None
    k_star: int | None = None
    tail: str = "zero"
    index: str = EXACT

    @property
    def efficient(self) -> bool:
        """Whether the values have a known sum."""
        return self.tail == "zero"

    def n_nearest(self, n_players: int) -> int:
        """Return k*: as given, or max(k, 1 / epsilon rounded up), so that no error exceeds epsilon; at most n_players.

        With fewer rows than that, the error is at most 1 / max(k, n_players), and under ``tail`` "bound" zero.
        Raises: ConfigError with all that is wrong with the parameters.
        """
        if problems := parameter_problems(k=self.k, epsilon=self.epsilon, k_star=self.k_star, tail=self.tail):
            raise ConfigError(problems)
        wanted = self.k_star if self.epsilon is None else max(self.k, math.ceil(1.0 / self.epsilon))
        return min(n_players, int(wanted or self.k))

    def error_bound(self, n_players: int) -> float:
        """Return how far a value may be from the exact one: 1 / max(k, m) for m near rows; half of this under "bound".

        Source: as in `near_values`.
        """
        m = self.n_nearest(n_players)
        if self.tail == "bound" and m == n_players:
            return 0.0
        return (1.0 if self.tail == "zero" else 0.5) / max(self.k, m)

    def error(self, n_players: int) -> float:
        """Return the proven bound. Under approximate search nothing is proven: both values are within 1 / k of zero."""
        return self.error_bound(n_players) if self.index == EXACT else 2.0 / self.k

    def near_values(self, point: NearestPoint) -> NearValues:
        """Return the values of the k* nearest rows and of the others.

        - ``tail`` "zero": the recursion, from zero at rank k*; rows beyond get zero. Every value is within 1 / max(k,
          m) of the exact one, for m rows.
        - ``tail`` "bound": the m rows are in order, and all others are one bin. Each value is then known up to an
          interval, and the result is the middle of it, so the error is at most half as large. These values have no
          known sum.
        If an approximate search finds fewer rows than k although more play, the rows found get values by the recursion,
        and others get zero.
        Cost: O(m).
        Source: Jia et al., PVLDB 12(11), 2019, doi:10.14778/3342263.3342637, theorem 2; the bin is this project's own,
        tested by enumeration.
        """
        k, n, matches = self.k, point.n_players, point.matches
        m, flags = len(matches), matches.astype(np.float64)
        steps = (flags[:-1] - flags[1:]) / np.maximum(k, np.arange(1, m))
        values = np.append(np.cumsum(steps[::-1])[::-1], 0.0)
        if self.tail == "zero" or m < min(k, n):
            return NearValues(values)
        # Beyond rank m the q matches come first, and the near rows lose most, or last.
        q = point.n_matches - int(np.count_nonzero(matches))
        least, most = 1.0 / (n - q) - 1.0 / n, 1.0 / m - 1.0 / (m + q)
        values += flags[-1] / max(k, m) - (least + most) / 2.0
        if n == m:
            return NearValues(values)
        # A match is worth least as the last row, most as the next one with the other matches last.
        others_last = 1.0 / (n - max(q - 1, 0)) - 1.0 / n
        of_match = (1.0 / n + 1.0 / (m + 1) - others_last) / 2.0
        # Another row is worth nothing as the last row, least as the next one with the matches after it.
        return NearValues(values, of_match, (1.0 / (m + 1 + q) - 1.0 / (m + 1)) / 2.0)

    def utilities(self, n_nearest_matches: float, n_players: int) -> tuple[float, float]:
        """Return U(N) and U(∅) of a point with that many matches among its min(k, n_players) nearest rows."""
        return KnnShapley(self.k).utilities(n_nearest_matches, n_players)

    def total(self, point: NearestPoint) -> tuple[float, float]:
        """Return what the values of a point sum to under ``tail`` "zero", for the audit; else U(N) and U(∅).

        U(N) - a_(k*): what truncation takes from efficiency. With fewer than k rows, U(N) - n a_n / k.
        """
        if self.tail != "zero":
            return super().total(point)
        k, matches = self.k, point.matches
        return float(np.count_nonzero(matches[:k]) - min(len(matches), k) * float(matches[-1])) / k, 0.0

    def reference_values(self, matches: Bools) -> Float64s:
        """Return the values of the rows at ranks 1..n, (n,) float64, from exact values of all ranks, for checks.

        Under ``tail`` "bound" they come from the four orders of the far rows that give the ends of the intervals. Cost:
        O(n).
        """
        n = len(matches)
        m = self.n_nearest(n)
        near, q = matches[:m], int(np.count_nonzero(matches[m:]))
        weights = KnnShapley(self.k).rank_weights(n)

        def exact(*far: int) -> Float64s:
            return rank_values(np.concatenate([near, np.array(far, np.bool_)]), weights, np.empty(n))

        if self.tail == "zero":
            values = exact(*matches[m:])
            return np.concatenate([values[:m] - values[m - 1], np.zeros(n - m)])
        zeros, ones = [0] * (n - m - q), [1] * q
        first, last = exact(*ones, *zeros), exact(*zeros, *ones)
        values = (first + last) / 2.0
        if q:
            best = exact(1, *zeros, *ones[1:])[m]
            values[m:][matches[m:]] = (best + last[-1]) / 2.0
        if q < n - m:
            worst = exact(0, *ones, *zeros[1:])[m]
            values[m:][~matches[m:]] = worst / 2.0
        return values


def parameter_problems(
    *, k: int, epsilon: float | None = None, k_star: int | None = None, tail: str = "zero"
) -> list[Problem]:
    """Return what is wrong with the parameters taken together; None stands for left out."""
    problems = []
    if (epsilon is None) == (k_star is None):
        got = "neither" if epsilon is None else f"epsilon {epsilon!r} and k_star {k_star!r}"
        hint = "epsilon bounds the error of every value; k_star = max(k, 1 / epsilon) says the same in rows"
        problems.append(Problem("parameters 'epsilon' and 'k_star'", "one of the two", got, hint))
    if epsilon is not None and not 0.0 < epsilon <= 1.0:
        problems.append(Problem("parameter 'epsilon'", "a number above 0, up to 1", written(epsilon), "0.001 is usual"))
    if k_star is not None and k_star < k:
        hint = "the k nearest rows decide the utility; take 20 k or more for a good order of the rows"
        problems.append(Problem("parameter 'k_star'", f"k = {k} or more", written(k_star), hint))
    if tail not in TAILS:
        expected = f"one of {', '.join(map(repr, TAILS))}"
        problems.append(Problem("parameter 'tail'", expected, written(tail), close_matches(str(tail), TAILS)))
    return problems
