"""Soft-label KNN-Shapley of Wang & Jia 2023, as a declaration."""

from __future__ import annotations

from dvspark.kernels.formulas.soft_knn_shapley import SoftKnnShapley
from dvspark.methods.kinds.ranking import RankingMethod
from dvspark.methods.parameters import N_CLASSES, K

SOFT_KNN_SHAPLEY = RankingMethod(
    name="soft_knn_shapley",
    gives="the value of `knn_shapley`, but a set of fewer than k rows votes with the rows it has",
    purpose="to measure the gain over a guess; tables of few rows",
    cost="sort or bins",
    formulas=SoftKnnShapley,
    parameters=(K, N_CLASSES),
    reference="Wang & Jia, 2023, arXiv:2304.04258, theorem 7, corrected for fewer than k rows",
)
