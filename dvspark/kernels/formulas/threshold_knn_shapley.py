"""Threshold KNN-Shapley: U(S) = share of matches among the rows of S within the radius, U(∅) = 1/C."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dvspark.kernels.formulas.kinds import RadiusFormulas
from dvspark.kernels.radius import neighbor_values as of_neighbors
from dvspark.schemas import Float64s, Int64s


@dataclass(frozen=True)
class ThresholdKnnShapley(RadiusFormulas):
    """Threshold KNN-Shapley."""

    def neighbor_values(self, n: Int64s, n_matches: Int64s) -> tuple[Float64s, Float64s]:
        """Return what a match and another row within the radius get from each point, (n_points,) float64 each.

        For n neighbors of which A match: a match gets (1 - 1/C) / n + (H_n - 1) (n - A) / (n (n - 1)), another neighbor
        -1 / (C n) - (H_n - 1) A / (n (n - 1)); zero for n = 0.
        Cost: O(n_points).
        Source: Wang et al., Threshold KNN-Shapley, NeurIPS 2023, arXiv:2308.15709, theorem 13, whose sum over coalition
        sizes is H_n - 1.
        """
        alone = 1.0 / np.maximum(n, 1)
        beyond = of_neighbors.reciprocal_sum(np.maximum(n - 1, 0), 2.0) * alone
        return of_neighbors.two_values(n, n_matches, alone, beyond, self.n_classes)

    def counted_values(self, n: int, n_matches: int) -> tuple[float, float]:
        """Return the two values of one point by another formula, for checks.

        Coalitions of each size weigh 1 / n. Cost: O(n).
        """
        return of_neighbors.counted_values(n, n_matches, np.full(n, 1.0 / n), n_classes=self.n_classes)
