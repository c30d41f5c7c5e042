"""Owner sum of points: the values of an owner's rows under `knn_shapley`, added up (Faithful Group Shapley Value)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dvspark.kernels.formulas.kinds import OrderedFormulas
from dvspark.kernels.formulas.knn_shapley import KnnShapley
from dvspark.kernels.formulas.top_sums import top_sum_values
from dvspark.kernels.ranking.ordered import OrderedPoint, given
from dvspark.schemas import Float64s


@dataclass(frozen=True)
class OwnerSumOfPoints(OrderedFormulas):
    """2019 values of rows, added up by owner."""

    def point_values(self, point: OrderedPoint) -> Float64s:
        """Return for each owner the sum of its rows' values, (n_owners,) float64; 0 for one without rows. O(n).

        Who splits a data set, or copies it, gains: with k = 1, matches of A at ranks 1 and 2 and of B at rank 3 are
        worth 2/3 and 1/3 here, 1/2 and 1/2 in the game of owners. `owner_knn_shapley` is that game.
        Source of the rows' values: Jia et al., PVLDB 12(11), 2019, doi:10.14778/3342263.3342637, theorem 1.
        """
        of_rows = top_sum_values(point.matches / self.k, self.k)
        return np.bincount(given(point.owners, "owners"), of_rows, point.n_owners).astype(np.float64)

    def utilities(self, point: OrderedPoint) -> tuple[float, float]:
        """Return U(N) and U(∅) of the game of rows, whose values are only added up otherwise."""
        return np.count_nonzero(point.matches[: self.k]) / self.k, 0.0

    def reference_values(self, point: OrderedPoint) -> Float64s:
        """Return the same from the recursive form, for checks: another formula. O(n)."""
        values = np.zeros(point.n_owners)
        if len(point.matches):
            of_rows = KnnShapley(self.k).recursive_values(point.matches.astype(np.float64))
            np.add.at(values, given(point.owners, "owners"), of_rows)
        return values
