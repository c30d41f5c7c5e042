"""Threshold KNN-Shapley, as a declaration."""

from __future__ import annotations

from dvspark.kernels.formulas import threshold_knn_shapley as kernel
from dvspark.methods.kinds.radius import RADIUS, RadiusMethod
from dvspark.methods.parameters import N_CLASSES

THRESHOLD_KNN_SHAPLEY = RadiusMethod(
    name="threshold_knn_shapley",
    parameters=(RADIUS, N_CLASSES),
    neighbor_values=kernel.neighbor_values,
    utility=kernel.utility,
    counted_values=kernel.counted_values,
    reference="Wang et al., Threshold KNN-Shapley, NeurIPS 2023, arXiv:2308.15709, theorem 13",
)
