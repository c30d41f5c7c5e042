"""Threshold KNN-Beta: the threshold game, with coalition sizes weighed by Beta(alpha, beta); (1, 1) gives Shapley."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from dvspark.kernels.formulas.kinds import RadiusFormulas
from dvspark.kernels.formulas.log_moment import log_moment
from dvspark.kernels.radius import neighbor_values as of_neighbors
from dvspark.schemas import Float64s, Int64s


@dataclass(frozen=True)
class ThresholdKnnBeta(RadiusFormulas):
    """Threshold KNN-Beta of Beta(``alpha``, ``beta``), both > 0."""

    alpha: float
    beta: float

    @property
    def efficient(self) -> bool:
        """False: among semivalues, only the Shapley value is efficient."""
        return False

    def neighbor_values(self, n: Int64s, n_matches: Int64s) -> tuple[Float64s, Float64s]:
        """Return what a match and another row within the radius get from each point, (n_points,) float64 each.

        A row joins with chance t ~ Beta(beta, alpha), both > 0; a large alpha favors small coalitions. For n neighbors
        of which A match: a match gets p (1 - 1/C) + e (n - A) / (n - 1), another neighbor -p / C - e A / (n - 1); zero
        for n = 0. Here p = E[(1 - t)^(n - 1)] and e + p = E[(1 - (1 - t)^n) / (n t)] = (1 + alpha (1 - q) / (beta - 1))
        / n, where q = Π (alpha + i) / (alpha + beta - 1 + i) over 1 <= i < n. The relative error is about 1e-15 (1 +
        alpha / (beta n)).
        Cost: O(n_points).
        Source: Kwon & Zou, Beta Shapley, AISTATS 2022, arXiv:2110.14049; Wang et al., Threshold KNN-Shapley, NeurIPS
        2023, arXiv:2308.15709, its equation for semivalues in closed form.
        """
        alpha, beta, joined = self.alpha, self.beta, np.maximum(n - 1, 0)
        alone = np.exp(-of_neighbors.log_product(joined, alpha, beta))
        excess = beta - 1.0
        if excess == 0.0:
            rise = of_neighbors.reciprocal_sum(joined, alpha + 1.0)
        else:
            rise = -np.expm1(-self._log_shrink(joined)) / excess
        beyond = (1.0 + alpha * rise) / np.maximum(n, 1) - alone
        return of_neighbors.two_values(n, n_matches, alone, beyond, self.n_classes)

    def _log_shrink(self, joined: Int64s) -> Float64s:
        """Return -log q, see `neighbor_values`, (n_points,) float64; ``joined`` is n - 1."""
        alpha, excess = self.alpha, self.beta - 1.0
        if excess > -0.5 * (alpha + 1.0):
            return of_neighbors.log_product(joined, alpha + 1.0, excess)
        # The first ratio is close to 0, and would be lost in its difference from 1.
        first = np.log((alpha + self.beta) / (alpha + 1.0))
        rest = of_neighbors.log_product(np.maximum(joined - 1, 0), alpha + 2.0, excess)
        return np.where(joined > 0, first + rest, 0.0)

    def counted_values(self, n: int, n_matches: int) -> tuple[float, float]:
        """Return the two values of one point by another formula, for checks; sizes are beta-binomial. Cost: O(n)."""
        alpha, beta, size = self.alpha, self.beta, np.arange(float(n))
        gammaln = scipy.special.gammaln
        logs = gammaln(n) - gammaln(size + 1) - gammaln(n - size)
        weights = np.exp(logs + log_moment(size, n - 1 - size, alpha, beta))
        return of_neighbors.counted_values(n, n_matches, weights, n_classes=self.n_classes)
