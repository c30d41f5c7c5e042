"""Threshold KNN-Banzhaf, as a declaration."""

from __future__ import annotations

from dvspark.kernels.formulas import threshold_knn_banzhaf as kernel
from dvspark.methods.base import never
from dvspark.methods.kinds.radius import RADIUS, RadiusMethod
from dvspark.methods.parameters import N_CLASSES

THRESHOLD_KNN_BANZHAF = RadiusMethod(
    name="threshold_knn_banzhaf",
    parameters=(RADIUS, N_CLASSES),
    neighbor_values=kernel.neighbor_values,
    utility=kernel.utility,
    counted_values=kernel.counted_values,
    efficient=never,
    reference="Wang & Jia, AISTATS 2023, arXiv:2205.15466; Wang et al., NeurIPS 2023, arXiv:2308.15709",
)
