"""Marginals along random orders of the players: the Shapley value, and semivalues by weights of sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy

from dvspark.errors import ConfigError, Problem
from dvspark.games.bounds import Promise, draws_within, empirical_bernstein_error, hoeffding_error
from dvspark.games.draws import Drawn
from dvspark.games.estimators.base import EstimatedValues, Estimator, draws_of
from dvspark.games.moments import Moments
from dvspark.games.totals import Totals
from dvspark.games.utility import Ends, Worths
from dvspark.schemas import Float64s, Int64s

SAMPLINGS = ("antithetic", "permutations", "stratified")
BOUNDS = ("empirical_bernstein", "hoeffding")


@dataclass(frozen=True)
class Permutations(Estimator):
    """The Shapley value as the mean of what players add when they join in random order: unbiased.

    A draw is the mean over one or several orders:
    - ``permutations``: one.
    - ``antithetic``: an order and its reverse, so who joins early joins late, too.
    - ``stratified``: ``strata`` rotations of an order by n / strata places each, so every player joins once at each
      stretch of sizes.

    ``truncation``: players who join a coalition whose worth is this close to that of all players add nothing. This is
    biased.
    Cost of a draw: (n - 1) worths an order, fewer with ``truncation``.
    Source: Castro, Gómez & Tejada, Computers & Operations Research 36(5), 2009, doi:10.1016/j.cor.2008.04.004;
    antithetic: Mitchell, Cooper, Frank & Holmes, JMLR 23(43), 2022; truncation: Ghorbani & Zou, ICML 2019.
    """

    sampling: str = "antithetic"
    strata: int = 8
    truncation: float | None = None
    bound: str = "empirical_bernstein"

    range_draws: ClassVar[int] = 16

    @property
    def most_draws(self) -> int | None:
        """One player joins in one order only."""
        return self.least_draws if self.n_players == 1 else None

    @property
    def draw_cost(self) -> int:
        """The most coalitions whose worth one draw asks for: all but the two ends."""
        return max(1, self.n_orders * (self.n_players - 1))

    @property
    def n_orders(self) -> int:
        """The orders of a draw."""
        if self.sampling == "stratified":
            return min(self.strata, self.n_players)
        return 2 if self.sampling == "antithetic" else 1

    def require_ends(self, ends: Ends) -> None:
        """Raise ConfigError if truncation ends every order before its first player: a draw would cost nothing."""
        if self.truncation is None or self.n_players == 1 or abs(ends.gain) > self.truncation:
            return
        expected = f"less than {abs(ends.gain):.6g}, the distance of U(N) and U(∅)"
        hint = "leave it out, or give less: no player would add anything, so no coalition be asked for"
        raise ConfigError(Problem("parameter 'truncation'", expected, f"{self.truncation:.6g}", hint))

    def size_weights(self) -> Float64s | None:
        """Return the weight of what a player adds to 0..n - 1 others, float64 (n,); None: one each."""
        return None

    def orders(self, order: Int64s) -> list[Int64s]:
        """Return the orders of the draw whose first order is given."""
        if self.sampling == "antithetic":
            return [order, order[::-1]]
        return [np.roll(order, -(j * self.n_players // self.n_orders)) for j in range(self.n_orders)]

    def moments(self, drawn: Drawn, seed: int, worths: Worths, ends: Ends) -> tuple[Moments, ...]:
        """Return the moments of the mean marginals of each draw."""
        draws, weights = draws_of(drawn, seed), self.size_weights()
        found = np.zeros((drawn.n, self.n_players))
        for row in found:
            for order in self.orders(draws.order(self.n_players)):
                marginals = np.diff(worths.along(order, ends, self.truncation))
                row[order] += marginals if weights is None else marginals * weights
        found /= self.n_orders
        return (Moments.of(found),)

    def estimate(self, totals: Totals, ends: Ends) -> EstimatedValues:  # noqa: ARG002 - draws hold them
        """Return the means of the draws."""
        return self.of_mean(totals.moments[0])

    def error_bound(self, totals: Totals, ends: Ends, promise: Promise) -> float:  # noqa: ARG002
        """Return the bound that was chosen: by Hoeffding, or from the variance of the draws by Maurer & Pontil."""
        if self.bound == "hoeffding":
            return self._hoeffding(totals.n_draws, totals.n_ranges, promise)
        variance = totals.moments[0].variance
        return empirical_bernstein_error(totals.n_draws, variance, self._size(promise), promise.delta, totals.n_ranges)

    def enough_draws(self, ends: Ends, promise: Promise) -> int | None:  # noqa: ARG002
        """Return the number of draws by Hoeffding's inequality, under ``bound`` hoeffding."""
        if self.bound != "hoeffding" or promise.epsilon is None:
            return None
        # A range more than are played, so that errors fall with every draw.
        return draws_within(lambda n: self._hoeffding(n, 1 + n / self.range_draws, promise), promise.epsilon)

    def _hoeffding(self, n_draws: int, look: float, promise: Promise) -> float:
        return hoeffding_error(n_draws, self.n_players, self._size(promise), promise.at_look(look).delta)

    def _size(self, promise: Promise) -> float:
        """Return how large a draw can be, at most."""
        weights = self.size_weights()
        return promise.utility_range * (1.0 if weights is None else float(weights.max()))


@dataclass(frozen=True)
class WeightedPermutations(Permutations):
    """The Beta(alpha, beta) semivalue: marginals along random orders, weighted by the size of the coalition; unbiased.

    A player joins 0..n - 1 others equally often, so a marginal's weight is n times the semivalue's chance of its size.
    Source: Kwon & Zou, AISTATS 2022, arXiv:2110.14049, section 3.
    """

    alpha: float = 16.0
    beta: float = 1.0

    def size_weights(self) -> Float64s:
        """Return n C(n - 1, s) B(s + beta, n - 1 - s + alpha) / B(alpha, beta) for s = 0..n - 1."""
        n = self.n_players
        joined = np.arange(float(n))
        log = -scipy.special.betaln(joined + 1, n - joined)
        log += scipy.special.betaln(joined + self.beta, n - 1 - joined + self.alpha)
        return np.exp(log - scipy.special.betaln(self.alpha, self.beta))
