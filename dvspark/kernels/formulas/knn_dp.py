"""KNN-Shapley with noise on each value: the formulas of exact ones, and how far one other row can move a value."""

from __future__ import annotations

from dataclasses import dataclass

from dvspark.kernels.formulas.knn_shapley import KnnShapley


@dataclass(frozen=True)
class KnnDp(KnnShapley):
    """Naively privatized KNN-Shapley; see `privacy.noisy_values` for the parameters of the release."""

    epsilon: float
    delta: float
    adjacency: str

    @property
    def efficient(self) -> bool:
        """No: each value has noise of its own."""
        return False

    @property
    def sensitivity(self) -> float:
        """The most that one other row, added or removed, moves a value of a point, and so a mean over points.

        Source: Wang et al., NeurIPS 2023, arXiv:2308.15709, theorem 10.
        """
        return 1.0 / (self.k * (self.k + 1))
