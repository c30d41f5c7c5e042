"""KNN-Banzhaf, as a declaration."""

from __future__ import annotations

from dvspark.kernels.formulas import knn_banzhaf as kernel
from dvspark.methods.base import never
from dvspark.methods.kinds.ranking import RankingMethod
from dvspark.methods.parameters import N_CLASSES, UTILITY, K

KNN_BANZHAF = RankingMethod(
    name="knn_banzhaf",
    parameters=(K, UTILITY, N_CLASSES),
    rank_weights=kernel.rank_weights,
    utility=kernel.utility,
    recursive_values=kernel.recursive_values,
    efficient=never,
    reference="Wang & Jia, Data Banzhaf, AISTATS 2023, arXiv:2205.15466",
)
