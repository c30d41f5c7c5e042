"""KNN-Banzhaf, as a declaration."""

from __future__ import annotations

from dvspark.kernels.formulas.knn_banzhaf import KnnBanzhaf
from dvspark.methods.kinds.ranking import RankingMethod
from dvspark.methods.parameters import N_CLASSES, UTILITY, K

KNN_BANZHAF = RankingMethod(
    name="knn_banzhaf",
    formulas=KnnBanzhaf,
    parameters=(K, UTILITY, N_CLASSES),
    reference="Wang & Jia, Data Banzhaf, AISTATS 2023, arXiv:2205.15466",
)
