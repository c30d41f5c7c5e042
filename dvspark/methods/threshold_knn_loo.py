"""Threshold leave-one-out, as a declaration."""

from __future__ import annotations

from dvspark.kernels.formulas.threshold_knn_loo import ThresholdKnnLoo
from dvspark.methods.kinds.radius import RADIUS, RadiusMethod
from dvspark.methods.parameters import N_CLASSES

THRESHOLD_KNN_LOO = RadiusMethod(
    name="threshold_knn_loo",
    formulas=ThresholdKnnLoo,
    parameters=(RADIUS, N_CLASSES),
    reference="the definition, U(N) - U(N without i); utility of Wang et al., NeurIPS 2023, arXiv:2308.15709",
)
