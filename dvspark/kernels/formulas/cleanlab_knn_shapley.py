"""The scores of cleanlab's `data_shapley_knn`: KNN-Shapley truncated at k, with each row valued by all other rows.

The scores are tested against cleanlab 2.9.0, and equal to the last bit if no two distances are equal. This is
self-validation: every row is a validation point, and is not a neighbor of itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

from dvspark.arguments import count_problems
from dvspark.errors import ConfigError, InputError, Problem
from dvspark.kernels.formulas.kinds import NearestFormulas
from dvspark.kernels.formulas.knn_shapley import KnnShapley
from dvspark.kernels.formulas.truncated_knn_shapley import TruncatedKnnShapley
from dvspark.kernels.nearest.near_values import NearestPoint, NearValues
from dvspark.schemas import Bools, Float64s, Int64s


@dataclass(frozen=True)
class CleanlabKnnShapley(NearestFormulas):
    """The mean values from which `score` makes cleanlab's scores."""

    @property
    def efficient(self) -> bool:
        """False: a point's values sum to U(N) less the term of its k-th row."""
        return False

    def n_nearest(self, n_players: int) -> int:
        """Return how many nearest rows are needed: k. Raises: ConfigError if there are fewer."""
        if self.k > n_players:
            hint = "cleanlab refuses this too; lower k"
            raise ConfigError(Problem("parameter 'k'", f"at most the {n_players} other rows", str(self.k), hint))
        return self.k

    def near_values(self, point: NearestPoint) -> NearValues:
        """Return (a_i - a_k) / k for the k nearest rows; all others get nothing. Cost: O(k).

        Source: the behavior of cleanlab 2.9.0, `data_valuation.data_shapley_knn`; Jia et al., PVLDB 12(11), 2019,
        doi:10.14778/3342263.3342637, theorem 2 with k* = k.
        """
        flags = point.matches.astype(np.float64)
        return NearValues((flags - flags[-1]) / self.k)

    def utilities(self, n_nearest_matches: float, n_players: int) -> tuple[float, float]:
        """Return U(N) and U(∅) of a point with that many matches among its min(k, n_players) nearest rows."""
        return KnnShapley(self.k).utilities(n_nearest_matches, n_players)

    def reference_values(self, matches: Bools) -> Float64s:
        """Return the values of the rows at ranks 1..n, (n,) float64, from those of all ranks, for checks. O(n)."""
        return TruncatedKnnShapley(self.k, k_star=self.k).reference_values(matches)


def score(mean: Float64s) -> Float64s:
    """Return (1 + mean) / 2 of the mean values over all rows as validation points, from 0 to 1."""
    return 0.5 * (mean + 1.0)


def graph_scores(knn_graph: scipy.sparse.csr_matrix, labels: npt.NDArray[np.integer], k: int) -> Float64s:
    """Return the scores of all rows, (n,) float64, from a graph of their nearest neighbors.

    ``knn_graph`` (n, n): the stored numbers of a row are the distances to at least k other rows, in any order; equal
    distances rank as they are stored. ``labels`` (n,) are codes.
    Cost: O(stored numbers) time and bytes, never n × n.
    Raises: ConfigError for a k below 1; InputError for an unusable graph.
    """
    if problems := count_problems("parameter 'k'", k, "10 is usual"):
        raise ConfigError(problems)
    n = len(labels)
    if knn_graph.shape != (n, n):
        hint = "give the graph of exactly the rows that have labels"
        raise InputError(Problem("knn_graph", f"shape ({n}, {n}), one row a label", str(knn_graph.shape), hint))
    nearest = _nearest(knn_graph, k)
    matches = (labels[nearest] == labels[:, None]).astype(np.float64)
    values = (matches - matches[:, -1:]) / k
    # Added up in the order of the validation points, like a sum over a table of n × n numbers.
    total = np.bincount(nearest.ravel(), weights=values.ravel(), minlength=n)
    return score(total / n)


def _nearest(knn_graph: scipy.sparse.csr_matrix, k: int) -> Int64s:
    """Return the k nearest other rows of every row, (n, k)."""
    n = knn_graph.shape[0]
    row_of = np.repeat(np.arange(n), np.diff(knn_graph.indptr))
    others = knn_graph.indices != row_of
    row_of, rows, far = row_of[others], knn_graph.indices[others], knn_graph.data[others]
    if not np.all(np.isfinite(far)):
        hint = "distances of neighbors are finite numbers"
        raise InputError(Problem("knn_graph", "finite distances", "NaN or infinity", hint))
    n_others = np.bincount(row_of, minlength=n)
    if n_others.min() < k:
        row = int(np.argmin(n_others))
        got = f"{n_others[row]} for row {row}"
        hint = "make the graph with more neighbors, the row itself not counted, or lower k"
        raise InputError(Problem("knn_graph", f"at least k = {k} neighbors a row", got, hint))
    if np.any((far[1:] < far[:-1]) & (row_of[1:] == row_of[:-1])):
        rows = rows[np.lexsort((far, row_of))]
    starts = np.cumsum(n_others) - n_others
    return rows[starts[:, None] + np.arange(k)].astype(np.int64)
