"""Distance weights: the weight of a row that follows from its distance: finite, not negative, falling with distance."""

from __future__ import annotations

import numpy as np

from dvspark.schemas import Float64s


def inverse_distance(distances: Float64s) -> Float64s:
    """Return 1 / (1 + d) of distances that are not negative, float64. At distance 0 the weight is 1, not infinite.

    d is the distance of the metric, not its square. The weight depends on the unit of d.
    Source of 1 / d: Dudani, IEEE Transactions on Systems, Man, and Cybernetics 6(4), 1976,
    doi:10.1109/TSMC.1976.5408784.
    """
    return 1.0 / (1.0 + distances)


def rbf(distances: Float64s, gamma: float) -> Float64s:
    """Return exp(-gamma d²) of distances that are not negative, float64, for gamma > 0; 0 where it is below 1e-323."""
    with np.errstate(over="ignore"):  # exp(-∞) is 0
        return np.exp(-gamma * np.square(distances))
