"""Soft-label KNN-Shapley of Wang & Jia 2023, as a declaration."""

from __future__ import annotations

from dvspark.kernels.formulas import soft_knn_shapley as kernel
from dvspark.methods.kinds.ranking import RankingMethod
from dvspark.methods.parameters import N_CLASSES, K

SOFT_KNN_SHAPLEY = RankingMethod(
    name="soft_knn_shapley",
    parameters=(K, N_CLASSES),
    rank_weights=kernel.rank_weights,
    utility=kernel.utility,
    recursive_values=kernel.recursive_values,
    reference="Wang & Jia, 2023, arXiv:2304.04258, theorem 7, corrected for fewer than k rows",
)
