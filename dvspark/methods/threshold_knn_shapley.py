"""Threshold KNN-Shapley, as a declaration."""

from __future__ import annotations

from dvspark.kernels.formulas.threshold_knn_shapley import ThresholdKnnShapley
from dvspark.methods.kinds.radius import RADIUS, RadiusMethod
from dvspark.methods.parameters import N_CLASSES

THRESHOLD_KNN_SHAPLEY = RadiusMethod(
    name="threshold_knn_shapley",
    formulas=ThresholdKnnShapley,
    parameters=(RADIUS, N_CLASSES),
    reference="Wang et al., Threshold KNN-Shapley, NeurIPS 2023, arXiv:2308.15709, theorem 13",
)
