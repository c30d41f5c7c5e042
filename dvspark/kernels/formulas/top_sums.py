"""Top sums: values of U(S) = the sum of a number over the k nearest rows of S, U(∅) = 0."""

from __future__ import annotations

import numpy as np

from dvspark.kernels.formulas.knn_shapley import KnnShapley
from dvspark.schemas import Float64s


def top_sum_values(gains: Float64s, k: int) -> Float64s:
    """Return the values of the rows at ranks 1..n, (n,) float64, whose numbers are ``gains`` (n,), of either sign.

    value_i = gain_i min(1, k / i) - k Σ_{j > max(i, k)} gain_j / (j (j - 1)). O(n) time, 40 n bytes.
    Source: Jia et al., PVLDB 12(11), 2019, doi:10.14778/3342263.3342637, theorem 1 times k: the game is linear in
    the gains, which need not be matches.
    """
    weights = KnnShapley(k).rank_weights(len(gains))
    return k * (gains * weights.own - beyond(gains * weights.suffix))


def recursive_top_sum_values(gains: Float64s, k: int) -> Float64s:
    """Return the values by theorem 1's recursion, for checks.

    value_i = value_(i+1) + (gain_i - gain_(i+1)) min(1, k / i). Cost: O(n).
    """
    n = len(gains)
    steps = np.append(gains[:-1] - gains[1:], gains[-1:]) * (np.minimum(k, np.arange(1, n + 1)) / np.arange(1, n + 1))
    return np.cumsum(steps[::-1])[::-1]


def beyond(terms: Float64s) -> Float64s:
    """Return for each rank the sum of the terms at later ranks, (n,) float64, added from the far end. O(n)."""
    return np.append(np.cumsum(terms[:0:-1])[::-1], 0.0)[: len(terms)]
