"""Threshold KNN-Banzhaf: the threshold game with every coalition equally likely."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from dvspark.kernels.formulas.kinds import RadiusFormulas
from dvspark.kernels.radius import neighbor_values as of_neighbors
from dvspark.schemas import Float64s, Int64s


@dataclass(frozen=True)
class ThresholdKnnBanzhaf(RadiusFormulas):
    """Threshold KNN-Banzhaf."""

    @property
    def efficient(self) -> bool:
        """False: among semivalues, only the Shapley value is efficient."""
        return False

    def neighbor_values(self, n: Int64s, n_matches: Int64s) -> tuple[Float64s, Float64s]:
        """Return what a match and another row within the radius get from each point, (n_points,) float64 each.

        For n neighbors of which A match, with p = 2^(1 - n) and e = 2 (1 - 2^-n) / n - p: a match gets p (1 - 1/C) + e
        (n - A) / (n - 1), another neighbor -p / C - e A / (n - 1); zero for n = 0.
        Cost: O(n_points).
        Source: Wang et al., Threshold KNN-Shapley, NeurIPS 2023, arXiv:2308.15709, its equation for semivalues in
        closed form; Wang & Jia, Data Banzhaf, AISTATS 2023, arXiv:2205.15466.
        """
        alone = np.exp2(1.0 - np.maximum(n, 1))
        beyond = (2.0 - alone) / np.maximum(n, 1) - alone
        return of_neighbors.two_values(n, n_matches, alone, beyond, self.n_classes)

    def counted_values(self, n: int, n_matches: int) -> tuple[float, float]:
        """Return the same for one point by another formula, for checks: s others join with binom(n - 1, s) p. O(n)."""
        size = np.arange(n)
        gammaln = scipy.special.gammaln
        logs = gammaln(n) - gammaln(size + 1) - gammaln(n - size) - (n - 1) * np.log(2.0)
        return of_neighbors.counted_values(n, n_matches, np.exp(logs), n_classes=self.n_classes)
