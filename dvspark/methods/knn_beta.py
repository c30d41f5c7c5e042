"""KNN-Beta, as a declaration."""

from __future__ import annotations

from dvspark.kernels.formulas.knn_beta import KnnBeta
from dvspark.methods.kinds.ranking import RankingMethod
from dvspark.methods.parameters import ALPHA, BETA, N_CLASSES, UTILITY, K

KNN_BETA = RankingMethod(
    name="knn_beta",
    formulas=KnnBeta,
    parameters=(K, UTILITY, N_CLASSES, ALPHA, BETA),
    reference="Kwon & Zou, Beta Shapley, AISTATS 2022, arXiv:2110.14049",
)
