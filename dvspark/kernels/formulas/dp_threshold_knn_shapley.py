"""Threshold KNN-Shapley of noisy counts: the formulas of exact ones, and what a private release promises of them."""

from __future__ import annotations

from dataclasses import dataclass

from dvspark.kernels.formulas.threshold_knn_shapley import ThresholdKnnShapley


@dataclass(frozen=True)
class DpThresholdKnnShapley(ThresholdKnnShapley):
    """Private Threshold KNN-Shapley; see `privacy.calibrate` for the parameters of the release."""

    epsilon: float
    delta: float
    adjacency: str
    sampling_rate: float
    unit: str
    rows_per_owner: int

    @property
    def efficient(self) -> bool:
        """No: each row subtracts itself from noisy counts."""
        return False
