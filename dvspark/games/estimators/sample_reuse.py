"""Maximum sample reuse: the Banzhaf value, every coalition counting for every player."""

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
class SampleReuse(BoundedByCount):
    """The Banzhaf value: the mean worth of coalitions with a player, less that of coalitions without.

    Every player joins with chance 1/2. Given that both kinds were drawn, the difference is unbiased.
    Source: Wang & Jia, Data Banzhaf, AISTATS 2023, arXiv:2205.15466, section 4.2.
    """

    n_moments: ClassVar[int] = 2

    @property
    def least_draws(self) -> int:
        """With so many draws a player has two on either side, but with a chance below 1e-9."""
        return 48 + 2 * math.ceil(math.log2(self.n_players))

    def moments(self, drawn: Drawn, seed: int, worths: Worths, ends: Ends) -> tuple[Moments, ...]:  # noqa: ARG002
        """Return the moments of worths of coalitions with each player, and of those without."""
        draws = draws_of(drawn, seed)
        joined = np.array([draws.halves(self.n_players) for _ in range(drawn.n)])
        found = np.array([worths.of(one) for one in joined])[:, None]
        return Moments.of(found, joined), Moments.of(found, ~joined)

    def estimate(self, totals: Totals, ends: Ends) -> EstimatedValues:  # noqa: ARG002 - worth no more than others
        """Return the differences, with Welch's standard errors and degrees of freedom."""
        joined, others = totals.moments
        parts = joined.error_square, others.error_square
        square = parts[0] + parts[1]
        # Shares of the square, since squares of small squares are too small for float64.
        shares = [part / np.where(square > 0, square, 1.0) for part in parts]
        spread = shares[0] ** 2 / np.maximum(joined.n - 1, 1) + shares[1] ** 2 / np.maximum(others.n - 1, 1)
        degrees = np.where(spread > 0, 1 / np.where(spread > 0, spread, 1.0), np.inf)
        return EstimatedValues(joined.mean - others.mean, np.sqrt(square), degrees)

    def error_after(self, n_draws: int, ends: Ends, promise: Promise) -> float:  # noqa: ARG002
        """Return the bound by Hoeffding's inequality, half of ``delta`` each for the counts and for the means.

        A player is in fewer than ``fewest`` draws, or out of so many, with a chance of at most delta / 4n each. Given
        these counts, either mean of worths is off by ``off`` with a chance of at most delta / 4n.
        """
        off = counted_error(n_draws, 0.5, promise.utility_range, 4 * self.n_players / promise.delta)
        return 2 * off
