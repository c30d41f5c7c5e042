"""Point weights: validation points that count differently, such as those of several buyers, tasks or months."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dvspark.schemas import Float64s, Int64s, Partial

# Sums of points as they are, which points with weights share; sums of w times these are sums over weighted points.
WEIGHED = ("utility", "empty_utility", "error_bound", "size")


@dataclass(frozen=True)
class AlikePoints:
    """Points of one ``weight``, above 0 and up to 1, at ``places`` (n,) among all points, ascending."""

    weight: float
    places: Int64s


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


class WeightedSum:
    """Sums over points with weights w, which come in groups of one weight each, as partials of points without weights.

    - ``value`` (n_values,) float64: Σ w φ. ``bounds`` (n_values,): Σ w · certificate, or None.
    - ``counted``: a partial without values, whose numbers are those of the weighted points.
    Beside these it keeps Σ w² φ and Σ w² (φ - c)² about the mean c of φ by w², so that no group is looked at twice.
    Memory: 24 bytes a value, or 32 with bounds.
    """

    def __init__(self, n_values: int, *, row_bounds: bool) -> None:
        self.value = np.zeros(n_values)
        self.bounds = np.zeros(n_values) if row_bounds else None
        self.counted = Partial.zeros(0)
        self._weights: list[float] = []
        self._squared, self._center, self._spread = 0.0, np.zeros(n_values), np.zeros(n_values)

    @property
    def weight(self) -> float:
        """Σ w over all points."""
        return sum(self._weights)

    def add(self, weight: float, partial: Partial) -> None:
        """Add a group of points of one weight, from 0 to 1. Cost: O(n_values)."""
        self._weights.append(weight * partial.n_validation)
        self.value += weight * partial.value
        if self.bounds is not None and partial.row_bounds is not None:
            self.bounds += weight * partial.row_bounds
        self._count(weight, partial)
        squared, squares = weight * weight, np.maximum(partial.value_squared, 0.0)
        self._add_squares(squared * partial.n_validation, squared * partial.value, squared * squares)

    def plus(self, other: WeightedSum, unit: float) -> None:
        """Add the points of another sum, whose weights are in a unit of so much of this one's. Cost: O(n_values)."""
        self._weights += [unit * weight for weight in other._weights]
        self.value += unit * other.value
        if self.bounds is not None and other.bounds is not None:
            self.bounds += unit * other.bounds
        self._count(unit, other.counted)
        squared = unit * unit
        self._add_squares(squared * other._squared, squared * other._center, squared * other._spread)

    def scale(self, unit: float | None = None) -> float:
        """Return what sums are multiplied by, see `partial`."""
        return self.counted.n_validation / self.weight if unit is None else unit

    def partial(self, unit: float | None = None) -> Partial:
        """Return the sums as a partial of points without weights, from which values and errors follow as from any.

        ``unit``: of the weights, for values that are sums; None: for means, for which weights are 1 in the mean.
        Squared differences are Σ w² (φ - mean)², so the standard error of the mean of n points is
        √(Σ w² (φ - mean)²) / Σ w · √(n / (n - 1)): weights are taken as given numbers.
        """
        scale = self.scale(unit)
        # The power of two in a unit stays apart, which changes no bit: below 1e-154 squares of units vanish.
        of_squares, power = (scale, 0) if unit is None else math.frexp(scale)
        apart = self._apart(self.value / self.weight, self._center / self._squared) if self._squared else 0.0
        return Partial(
            self.value * scale,
            (self._spread + self._squared * apart * apart) * of_squares * of_squares,
            n_validation=self.counted.n_validation,
            row_bounds=None if self.bounds is None else self.bounds * scale,
            n_alone=self.counted.n_alone,
            widest=self.counted.widest,
            square_unit=math.ldexp(1.0, power),
            **{name: getattr(self.counted, name) * scale for name in WEIGHED},
        )

    def _count(self, weight: float, partial: Partial) -> None:
        """Add the numbers of points with so much weight."""
        numbers = {name: weight * getattr(partial, name) for name in WEIGHED}
        n, alone = partial.n_validation, partial.n_alone
        none = np.empty(0)
        self.counted.add(Partial(none, none, n_validation=n, n_alone=alone, widest=partial.widest, **numbers))

    def _add_squares(self, squared: float, center: Float64s, spread: Float64s) -> None:
        """Add Σ w², Σ w² φ and Σ w² (φ - c)² of other points.

        Source: Chan, Golub & LeVeque, The American Statistician 37(3), 1983, doi:10.1080/00031305.1983.10483115.
        """
        self._spread += spread
        if self._squared and squared:
            apart = self._apart(self._center / self._squared, center / squared)
            self._spread += apart * apart * (self._squared * squared / (self._squared + squared))
        self._squared += squared
        self._center += center

    def _apart(self, one: Float64s, other: Float64s) -> Float64s:
        """Return how far apart two means are; 0 where that is rounding, of one addition a group."""
        apart = one - other
        apart[np.abs(apart) <= 2.0**-51 * (len(self._weights) + 1) * np.abs(one)] = 0.0
        return apart
