"""Average marginal effects: coalitions that all players join with one chance, which is drawn first."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dvspark.games.bounds import Promise, bernstein_error
from dvspark.games.draws import Drawn
from dvspark.games.estimators.base import BoundedByCount, EstimatedValues, draws_of
from dvspark.games.moments import Moments
from dvspark.games.totals import Totals
from dvspark.games.utility import Ends, Worths

# The article's chances to join, each equally likely.
CHANCES = np.array([0.2, 0.4, 0.6, 0.8])


@dataclass(frozen=True)
class MarginalEffect(BoundedByCount):
    """The average marginal effect: what a player adds to a coalition that others join with chance 0.2, 0.4, 0.6 or 0.8.

    value = mean of (U(S) - c) (1[player in S] / p - 1[not in S] / (1 - p)), c halfway between U(N) and U(∅): unbiased
    for every c. Every coalition counts for all players.
    Source: Lin et al., ICML 2022, arXiv:2206.10013, section 3. The article then shrinks small effects by a LASSO, which
    biases them; the mean is what the LASSO is a shrunken form of, and has a standard error.
    """

    def moments(self, drawn: Drawn, seed: int, worths: Worths, ends: Ends) -> tuple[Moments, ...]:
        """Return the moments of the draws."""
        draws, center = draws_of(drawn, seed), ends.center
        found = np.empty((drawn.n, self.n_players))
        for draw in range(drawn.n):
            chance = CHANCES[int(draws.uniform(1)[0] * len(CHANCES))]
            joined = draws.uniform(self.n_players) < chance
            found[draw] = (worths.of(joined) - center) * np.where(joined, 1 / chance, -1 / (1 - chance))
        return (Moments.of(found),)

    def estimate(self, totals: Totals, ends: Ends) -> EstimatedValues:
        """Return the means of the draws; one player adds all that is added."""
        if self.n_players == 1:
            return EstimatedValues(np.array([ends.gain]), np.zeros(1), np.full(1, np.inf))
        return self.of_mean(totals.moments[0])

    def error_after(self, n_draws: int, ends: Ends, promise: Promise) -> float:
        """Return the bound after so many draws, by Bernstein's inequality.

        |U(S) - c| is at most h = range - |U(N) - U(∅)| / 2, so a draw is at most h / 0.2 in size, and has a variance of
        at most h² times the mean of 1 / (p (1 - p)).
        """
        apart = ends.apart(promise.utility_range)
        variance = apart**2 * math.fsum(1 / (CHANCES * (1 - CHANCES))) / len(CHANCES)
        return bernstein_error(n_draws, self.n_players, variance, 2 * apart / CHANCES.min(), promise.delta)
