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
    """Owner sum of points: the values of an owner's rows under `knn_shapley`, added up."""

    def point_values(self, point: OrderedPoint) -> Float64s:
        """Return for each owner the sum of the values of the owner's rows, (n_owners,) float64; 0 without rows. O(n).

        An owner gains nothing by splitting into several owners: the values of rows do not depend on who owns the rows.
        An owner gains by handing in copies. With k = 1, let matches of owner A be at ranks 1 and 2, and one of B at
        rank 3: the sums are 2/3 and 1/3. In the game of owners, `owner_knn_shapley`, the values are 1/2 and 1/2.
        Source: Jia et al., PVLDB 12(11), 2019, doi:10.14778/3342263.3342637, theorem 1, for the values of rows; Lee et
        al., Faithful Group Shapley Value, 2025, arXiv:2505.19013, for their sum by owner.
        """
        of_rows = top_sum_values(point.matches / self.k, self.k)
        return np.bincount(given(point.owners, "owners"), of_rows, point.n_owners).astype(np.float64)

    def utilities(self, point: OrderedPoint) -> tuple[float, float]:
        """Return U(N) and U(∅) of the game whose players are rows: the values of all owners sum to the difference."""
        return np.count_nonzero(point.matches[: self.k]) / self.k, 0.0

    def reference_values(self, point: OrderedPoint) -> Float64s:
        """Return what `point_values` returns, by another formula: the recursion of `knn_shapley`. O(n)."""
        values = np.zeros(point.n_owners)
        if len(point.matches):
            of_rows = KnnShapley(self.k).recursive_values(point.matches.astype(np.float64))
            np.add.at(values, given(point.owners, "owners"), of_rows)
        return values
