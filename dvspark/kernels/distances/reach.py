"""Reach: which rows are within a radius, by their distances."""

from __future__ import annotations

import numpy as np

from dvspark.kernels.distances.distances import COSINE_TIE_GAP
from dvspark.schemas import Bools, Float64s


def is_within(distances: Float64s, radius: float, metric: str) -> Bools:
    """Return whether distances in the metric's own unit are at most ``radius``, (n,) bool.

    Under cosine, distances that are above it by no more than rounding count as equal to it, as those of rows at a right
    angle do for radius 1.
    """
    if metric == "cosine":
        distances = distances - COSINE_TIE_GAP * np.sqrt(distances)
    return distances <= radius
