"""Point weights: validation points that count differently, such as those of several buyers, tasks or months."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dvspark.schemas import Float64s, Int64s, Partial


@dataclass(frozen=True)
class AlikePoints:
    """Points of one ``weight``, above 0 and up to 1, at ``places`` (n,) among all points, ascending."""

    weight: float
    places: Int64s


@dataclass(frozen=True)
class WeightedTotals:
    """Sums over weighted points, as values need them.

    ``value`` (n_train,): Σ w φ. ``spread`` (n_train,): Σ w² (φ - mean)². ``weight``: Σ w. ``n_validation``: points of
    weight above 0. ``bounds`` (n_train,): Σ w · certificate, or None.
    """

    value: Float64s
    spread: Float64s
    weight: float
    n_validation: int
    bounds: Float64s | None

    def mean(self) -> Float64s:
        """Return Σ w φ / Σ w."""
        return self.value / self.weight

    def standard_errors(self) -> Float64s | None:
        """Return the standard errors of the mean, with weights as given numbers; None for a single point.

        √(Σ w² (φ - mean)²) / Σ w · √(n / (n - 1)) for n points; of equal weights that of the plain mean.
        """
        n = self.n_validation
        if n == 1:
            return None
        return np.sqrt(self.spread) / self.weight * np.sqrt(n / (n - 1))


def alike_points(weights: Float64s) -> list[AlikePoints]:
    """Return the points by weight, ascending; points of weight 0 are left out.

    Weights are in units of the largest: equal weights are all exactly 1, as points without weights are.
    """
    found, group = np.unique(weights, return_inverse=True)
    return [
        AlikePoints(float(weight / found[-1]), np.flatnonzero(group == place))
        for place, weight in enumerate(found)
        if weight > 0
    ]


def weighted_totals(groups: Sequence[tuple[float, Partial]]) -> WeightedTotals:
    """Return the sums of groups of points, each with the weight of its points.

    Squared differences are taken from the weighted mean, group by group, so points of one value have none.
    """
    weight = sum(w * partial.n_validation for w, partial in groups)
    value = _sum([w * partial.value for w, partial in groups])
    mean = value / weight
    spreads = []
    for w, partial in groups:
        apart = partial.value / partial.n_validation - mean
        # What is left of equal values is rounding, of one addition a group.
        apart[np.abs(apart) <= 2.0**-51 * (len(groups) + 1) * np.abs(mean)] = 0.0
        spreads.append(w * w * (np.maximum(partial.value_squared, 0.0) + partial.n_validation * apart * apart))
    bounds = [w * partial.row_bounds for w, partial in groups if partial.row_bounds is not None]
    n_validation = sum(partial.n_validation for _, partial in groups)
    return WeightedTotals(value, _sum(spreads), weight, n_validation, _sum(bounds) if bounds else None)


def _sum(arrays: Sequence[Float64s]) -> Float64s:
    """Return the sum of arrays in their order."""
    total = np.zeros_like(arrays[0])
    for array in arrays:
        total += array
    return total
