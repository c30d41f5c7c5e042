"""Threshold KNN-Beta, as a declaration."""

from __future__ import annotations

from dvspark.kernels.formulas.threshold_knn_beta import ThresholdKnnBeta
from dvspark.methods.kinds.radius import RADIUS, RadiusMethod
from dvspark.methods.parameters import ALPHA, BETA, N_CLASSES

THRESHOLD_KNN_BETA = RadiusMethod(
    name="threshold_knn_beta",
    formulas=ThresholdKnnBeta,
    parameters=(RADIUS, N_CLASSES, ALPHA, BETA),
    reference="Kwon & Zou, AISTATS 2022, arXiv:2110.14049; Wang et al., NeurIPS 2023, arXiv:2308.15709",
)
