"""KNN-Beta, as a declaration."""

from __future__ import annotations

from dvspark.kernels.formulas import knn_beta as kernel
from dvspark.methods.base import never
from dvspark.methods.kinds.ranking import RankingMethod
from dvspark.methods.parameters import ALPHA, BETA, N_CLASSES, UTILITY, K

KNN_BETA = RankingMethod(
    name="knn_beta",
    parameters=(K, UTILITY, N_CLASSES, ALPHA, BETA),
    rank_weights=kernel.rank_weights,
    utility=kernel.utility,
    recursive_values=kernel.recursive_values,
    efficient=never,
    reference="Kwon & Zou, Beta Shapley, AISTATS 2022, arXiv:2110.14049",
)
