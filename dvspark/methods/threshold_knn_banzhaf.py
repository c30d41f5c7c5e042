"""Threshold KNN-Banzhaf, as a declaration."""

from __future__ import annotations

from dvspark.kernels.formulas.threshold_knn_banzhaf import ThresholdKnnBanzhaf
from dvspark.methods.kinds.radius import RADIUS, RadiusMethod
from dvspark.methods.parameters import N_CLASSES

THRESHOLD_KNN_BANZHAF = RadiusMethod(
    name="threshold_knn_banzhaf",
    formulas=ThresholdKnnBanzhaf,
    parameters=(RADIUS, N_CLASSES),
    reference="Wang & Jia, AISTATS 2023, arXiv:2205.15466; Wang et al., NeurIPS 2023, arXiv:2308.15709",
)
