"""Average marginal effects: coalitions that all players join with one chance, which is drawn first."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dvspark.games.bounds import Promise, bernstein_error
from dvspark.games.draws import Drawn
from dvspark.games.estimators.base import BoundedByCount, EstimatedValues, draws_of
from dvspark.games.estimators.effect_lasso import (
    FOLDS,
    MEAN,
    EffectRecord,
    corrected_effects,
    lasso_effects,
    require_lasso,
)
from dvspark.games.moments import Moments
from dvspark.games.totals import Totals
from dvspark.games.utility import Ends, Worths

# The article's chances to join, each equally likely.
CHANCES = np.array([0.2, 0.4, 0.6, 0.8])


@dataclass(frozen=True)
class MarginalEffect(BoundedByCount):
    """The average marginal effect: what a player adds to a coalition that others join with chance 0.2, 0.4, 0.6 or 0.8.

    ``fit`` mean: mean of (U(S) - c) (1[player in S] / p - 1[not in S] / (1 - p)), c halfway between U(N) and U(∅):
    unbiased for every c. Every coalition counts for all players. ``fit`` lasso and corrected: see `effect_lasso`.
    Source: Lin et al., ICML 2022, arXiv:2206.10013.
    """

    fit: str = MEAN
    penalty: float | None = None

    def __post_init__(self) -> None:
        if self.fit != MEAN:
            require_lasso()

    @property
    def least_draws(self) -> int:
        """With fewer draws there is no standard error: draws that a LASSO of others corrects have one by folds."""
        return 2 if self.fit == MEAN else 2 * FOLDS

    def moments(self, drawn: Drawn, seed: int, worths: Worths, ends: Ends) -> tuple[Moments, ...]:
        """Return the moments of the draws."""
        return self.recorded(drawn, seed, worths, ends)[0]

    def recorded(self, drawn: Drawn, seed: int, worths: Worths, ends: Ends) -> tuple[tuple[Moments, ...], bytes]:
        """Return the moments of the draws and, where a LASSO is to be fitted, the draws."""
        draws, center = draws_of(drawn, seed), ends.center
        chances, joined = np.empty(drawn.n), np.empty((drawn.n, self.n_players), np.bool_)
        for draw in range(drawn.n):
            chances[draw] = CHANCES[int(draws.uniform(1)[0] * len(CHANCES))]
            joined[draw] = draws.uniform(self.n_players) < chances[draw]
        found = np.array([worths.of(one) for one in joined])
        record = EffectRecord(found - center, chances, joined)
        return (Moments.of(record.worths[:, None] * record.weights),), b"" if self.fit == MEAN else record.packed()

    def estimate(self, totals: Totals, ends: Ends) -> EstimatedValues:
        """Return the means of the draws, or the effects that a LASSO finds; one player adds all that is added."""
        if self.n_players == 1:
            return EstimatedValues(np.array([ends.gain]), np.zeros(1), np.full(1, np.inf))
        if self.fit == MEAN:
            return self.of_mean(totals.moments[0])
        record = EffectRecord.unpacked(totals.record, self.n_players)
        corrected = corrected_effects(record, self.penalty, _mean_inverse())
        if self.fit != "lasso":
            return corrected
        return EstimatedValues(
            lasso_effects(record, self.penalty, _mean_inverse()), corrected.standard_errors, corrected.degrees
        )

    def error_after(self, n_draws: int, ends: Ends, promise: Promise) -> float:
        """Return the bound of the mean after so many draws, by Bernstein's inequality.

        |U(S) - c| is at most h = range - |U(N) - U(∅)| / 2, so a draw is at most h / 0.2 in size, and has a variance of
        at most h² times the mean of 1 / (p (1 - p)).
        """
        apart = ends.apart(promise.utility_range)
        variance, size = apart * apart * _mean_inverse(), 2 * apart / float(CHANCES.min())
        return bernstein_error(n_draws, self.n_players, variance, size, promise.delta)


def _mean_inverse() -> float:
    """Return the mean of 1 / (p (1 - p)) over the chances p."""
    return math.fsum(1 / (CHANCES * (1 - CHANCES))) / len(CHANCES)
