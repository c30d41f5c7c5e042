"""Group testing: the Shapley value from coalitions whose sizes are drawn by one law, all players at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dvspark.games.bounds import Promise, bernstein_error
from dvspark.games.draws import Drawn
from dvspark.games.estimators.base import BoundedByCount, EstimatedValues, draws_of
from dvspark.games.moments import Moments
from dvspark.games.totals import Totals
from dvspark.games.utility import Ends, Worths
from dvspark.schemas import Float64s


@dataclass(frozen=True)
class GroupTesting(BoundedByCount):
    """The Shapley value from coalitions of 1..n - 1 players, sizes k having chances (1 / k + 1 / (n - k)) / Z.

    value = (U(N) - U(∅)) / n + mean of Z (U(S) - c) (1[player in S] - k / n), where c lies halfway between U(N) and
    U(∅): unbiased for every c. Values sum to U(N) - U(∅) whatever was drawn, so this sum checks nothing.
    Source: Jia et al., AISTATS 2019, arXiv:1902.10275, algorithm 1, in the linear form of its lemma, centered.
    """

    @property
    def most_draws(self) -> int | None:
        """The value of one player is known without a draw."""
        return self.least_draws if self.n_players == 1 else None

    @property
    def z(self) -> float:
        """Z = 2 (1 + 1/2 + … + 1 / (n - 1))."""
        return 2 * math.fsum(1 / k for k in range(1, self.n_players))

    @cached_property
    def _chances(self) -> Float64s:
        """The chance of a size of at most 1..n - 1, float64 (n - 1,)."""
        sizes = np.arange(1.0, self.n_players)
        sums = np.cumsum(1 / sizes + 1 / (self.n_players - sizes))
        return sums / sums[-1]

    def moments(self, drawn: Drawn, seed: int, worths: Worths, ends: Ends) -> tuple[Moments, ...]:
        """Return the moments of Z (U(S) - c) (1[player in S] - k / n)."""
        n = self.n_players
        draws, center = draws_of(drawn, seed), ends.center
        found = np.zeros((drawn.n, n))
        if n == 1:
            return (Moments.of(found),)
        sizes = np.searchsorted(self._chances, draws.uniform(drawn.n), side="right") + 1
        for draw, size in enumerate(sizes.tolist()):
            joined = draws.of_size(n, size)
            found[draw] = self.z * (worths.of(joined) - center) * (joined - size / n)
        return (Moments.of(found),)

    def estimate(self, totals: Totals, ends: Ends) -> EstimatedValues:
        """Return the means of the draws, beside an equal share each."""
        found = self.of_mean(totals.moments[0])
        return EstimatedValues(ends.gain / self.n_players + found.values, found.standard_errors, found.degrees)

    def error_after(self, n_draws: int, ends: Ends, promise: Promise) -> float:
        """Return the bound after so many draws, by Bernstein's inequality.

        |U(S) - c| is at most h = range - |U(N) - U(∅)| / 2. The mean of (1[player in S] - k / n)² over coalitions of
        size k is k (n - k) / n², and its mean over sizes is (n - 1) / (n Z). So the variance of a draw is at most
        Z h² (n - 1) / n, and about Z h² 2 ln(2 n / delta) / epsilon² draws keep the promise.
        """
        share = 1 - 1 / self.n_players
        apart = ends.apart(promise.utility_range)
        variance, size = self.z * apart * apart * share, 2 * self.z * apart * share
        return bernstein_error(n_draws, self.n_players, variance, size, promise.delta)
