"""Threshold KNN-Banzhaf, as a declaration."""

from __future__ import annotations

from dvspark.kernels import threshold_knn_banzhaf as kernel
from dvspark.methods.base import never
from dvspark.methods.parameters import N_CLASSES
from dvspark.methods.radius import RADIUS, RadiusMethod

THRESHOLD_KNN_BANZHAF = RadiusMethod(
    name="threshold_knn_banzhaf",
    parameters=(RADIUS, N_CLASSES),
    neighbor_values=kernel.neighbor_values,
    utility=kernel.utility,
    counted_values=kernel.counted_values,
    efficient=never,
    reference="Wang & Jia, AISTATS 2023, arXiv:2205.15466; Wang et al., NeurIPS 2023, arXiv:2308.15709",
)
