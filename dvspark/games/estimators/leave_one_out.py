"""Leave-one-out: what all players lose without one; nothing is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dvspark.games.bounds import Promise
from dvspark.games.draws import Drawn
from dvspark.games.estimators.base import EstimatedValues, Estimator
from dvspark.games.moments import Moments
from dvspark.games.totals import Totals
from dvspark.games.utility import Ends, Worths


@dataclass(frozen=True)
class LeaveOneOut(Estimator):
    """U(N) - U(N without i), exact; player i takes the place of draw i."""

    @property
    def least_draws(self) -> int:
        """Every player is left out."""
        return self.n_players

    @property
    def most_draws(self) -> int | None:
        """Every player is left out once."""
        return self.n_players

    def moments(self, drawn: Drawn, seed: int, worths: Worths, ends: Ends) -> tuple[Moments, ...]:  # noqa: ARG002
        """Return what is lost without each player of the stretch, as one draw of that player and none of others."""
        found = Moments.none(self.n_players)
        joined, first = np.ones(self.n_players, np.bool_), drawn.number * self.range_draws
        for player in range(first, first + drawn.n):
            joined[player] = False
            found.mean[player], found.n[player] = ends.all - worths.of(joined), 1
            joined[player] = True
        return (found,)

    def estimate(self, totals: Totals, ends: Ends) -> EstimatedValues:  # noqa: ARG002 - draws hold them
        """Return the losses, without an error."""
        zeros = np.zeros(self.n_players)
        return EstimatedValues(totals.moments[0].mean, zeros, zeros + np.inf)

    def error_bound(self, totals: Totals, ends: Ends, promise: Promise) -> float:  # noqa: ARG002
        """Return 0."""
        return 0.0
