"""Out of bag: how well models that were trained without a row do on that row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dvspark.games.bounds import Promise, counted_error
from dvspark.games.draws import Drawn
from dvspark.games.estimators.base import BoundedByCount, EstimatedValues, draws_of
from dvspark.games.moments import Moments
from dvspark.games.totals import Totals
from dvspark.games.utility import Ends, Worths


@dataclass(frozen=True)
class OutOfBag(BoundedByCount):
    """The mean score of a row under models trained on bags that it is not in: no semivalue, but a forecast of one row.

    A draw is a bag: n rows drawn with replacement. The utility says what a model trained on a bag scores on each row.
    Source: Kwon & Zou, Data-OOB, ICML 2023, arXiv:2304.07718, equation 2.
    """

    range_draws: ClassVar[int] = 16
    least_players: ClassVar[int] = 2

    @property
    def least_draws(self) -> int:
        """With so many draws every row is out of two bags, but with a chance below 1e-9."""
        share = math.log1p(-self._chance)
        return math.ceil((math.log(1e-9 / self.n_players) - 5) / share)

    @property
    def _chance(self) -> float:
        """The chance that a row is not in a bag: (1 - 1 / n)^n."""
        return (1 - 1 / self.n_players) ** self.n_players

    def moments(self, drawn: Drawn, seed: int, worths: Worths, ends: Ends) -> tuple[Moments, ...]:  # noqa: ARG002
        """Return the moments of each row's scores under the models of bags that it is not in."""
        draws, n = draws_of(drawn, seed), self.n_players
        scores, out = np.zeros((drawn.n, n)), np.ones((drawn.n, n), np.bool_)
        for draw in range(drawn.n):
            bag = np.sort((draws.uniform(n) * n).astype(np.int64))
            out[draw, bag] = False
            scores[draw] = worths.scores(bag)
        return (Moments.of(scores, out),)

    def estimate(self, totals: Totals, ends: Ends) -> EstimatedValues:  # noqa: ARG002 - of bags alone
        """Return the mean scores."""
        return self.of_mean(totals.moments[0])

    def error_after(self, n_draws: int, ends: Ends, promise: Promise) -> float:  # noqa: ARG002
        """Return the bound by Hoeffding's inequality, half of ``delta`` each for the counts and for the means.

        A row is out of fewer than ``fewest`` bags with a chance of at most delta / 2n. Given how many these are, its
        mean score is off by more than the bound with a chance of at most delta / 2n.
        """
        return counted_error(n_draws, self._chance, promise.utility_range, 2 * self.n_players / promise.delta)
