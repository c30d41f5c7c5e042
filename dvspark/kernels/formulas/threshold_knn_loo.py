"""Threshold KNN leave-one-out: what the threshold game loses without each row, U(N) - U(N without it)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dvspark.kernels.formulas.kinds import RadiusFormulas
from dvspark.kernels.radius import neighbor_values as of_neighbors
from dvspark.schemas import Float64s, Int64s


@dataclass(frozen=True)
class ThresholdKnnLoo(RadiusFormulas):
    """Threshold KNN leave-one-out."""

    @property
    def efficient(self) -> bool:
        """False: the losses without each single row have no known sum."""
        return False

    def neighbor_values(self, n: Int64s, n_matches: Int64s) -> tuple[Float64s, Float64s]:
        """Return what a match and another row within the radius get from each point, (n_points,) float64 each.

        For n neighbors of which A match: a match gets (1 - A / n) / (n - 1), another neighbor -A / (n (n - 1)). For n =
        1 they get 1 - 1/C and -1/C, and for n = 0 zero.
        Cost: O(n_points).
        Source: the definition, with U of Wang et al., Threshold KNN-Shapley, NeurIPS 2023, arXiv:2308.15709.
        """
        alone = np.where(n == 1, 1.0, 0.0)
        return of_neighbors.two_values(n, n_matches, alone, 1.0 / np.maximum(n, 1), self.n_classes)

    def counted_values(self, n: int, n_matches: int) -> tuple[float, float]:
        """Return the two values of one point by another formula, for checks: every row joins the n - 1 others. O(n)."""
        weights = np.zeros(n)
        weights[-1] = 1.0
        return of_neighbors.counted_values(n, n_matches, weights, n_classes=self.n_classes)
