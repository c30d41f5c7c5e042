"""Threshold leave-one-out, as a declaration."""

from __future__ import annotations

from dvspark.kernels.formulas import threshold_knn_loo as kernel
from dvspark.methods.base import never
from dvspark.methods.kinds.radius import RADIUS, RadiusMethod
from dvspark.methods.parameters import N_CLASSES

THRESHOLD_KNN_LOO = RadiusMethod(
    name="threshold_knn_loo",
    parameters=(RADIUS, N_CLASSES),
    neighbor_values=kernel.neighbor_values,
    utility=kernel.utility,
    counted_values=kernel.counted_values,
    efficient=never,
    reference="the definition, U(N) - U(N without i); utility of Wang et al., NeurIPS 2023, arXiv:2308.15709",
)
