"""Key bounds: proven bounds on the errors of the float32 keys of `distances`, for any order of addition."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dvspark.kernels.distances.distances import PlacedPoints
from dvspark.schemas import Float64s, Floats, Int64s, TrainArrays

# Relative error of one float32, and of one float64, operation.
UNIT = 2.0**-24
WIDE_UNIT = 2.0**-53
# Error of one operation whose result is subnormal, even on processors that take such numbers for zero.
UNDERFLOW = 2.0**-126
# Sums of float32 numbers up to so much may overflow on the way.
OVERFLOW = 2.0**126
# Roundings besides those of a product's D terms: both inputs, norms and scale, the last addition, float64 keys,
# and some to spare for products of errors.
OTHER_ROUNDINGS = 8


@dataclass(frozen=True)
class KeyBounds:
    """How the float32 keys of some points compare with exact keys; all arrays are (n_points,) float64.

    An exact key is the float32 key plus the point's number in ``constants`` (which `distances.tile_products` leaves
    out), within the bound that `errors` returns.
    """

    constants: Float64s
    weights: Float64s
    fixed: Float64s
    per_norm: Float64s
    per_scale: Float64s
    per_square: float

    def errors(self, points: Int64s | slice, norms: Float64s, scales: Float64s | float) -> Float64s:
        """Return the bounds for pairs of points and rows, float64; infinite where a float32 number may overflow.

        ``norms`` are those of the rows in the form in which they enter products. ``scales`` are 1 / |x| under cosine;
        under other metrics they are not used.
        """
        squares = norms * norms
        bounds = self.fixed[points] + self.per_norm[points] * norms + self.per_square * squares
        bounds = bounds + self.per_scale[points] * scales
        return np.where(self.weights[points] * norms + squares < OVERFLOW, bounds, np.inf)


def key_bounds(train: TrainArrays, points: PlacedPoints, z: Floats, metric: str) -> KeyBounds:
    """Return the bounds of placed points, which `distances.place_points` made of ``z`` (n_points, n_features).

    A float32 product of D terms, added up in any order, is within gamma_D |w| |x| of the exact one, where gamma_n = n u
    / (1 - n u) and u = 2^-24. Each rounding of an input, a norm or a sum adds gamma_1.
    Cost: O(n_points D).
    Source: Higham, Accuracy and Stability of Numerical Algorithms, 2002, doi:10.1137/1.9780898718027, section 3.1.
    """
    n_features = z.shape[1]
    of_product, of_norm = _gamma(n_features + OTHER_ROUNDINGS, UNIT), _gamma(OTHER_ROUNDINGS, UNIT)
    wide, underflow = _gamma(n_features + OTHER_ROUNDINGS, WIDE_UNIT), UNDERFLOW * (n_features + OTHER_ROUNDINGS)
    weights, none = points.norms, np.zeros(len(z))
    if points.units is not None:  # |w| |x| scale = 1
        fixed, per_scale = of_product + underflow * (1.0 + points.units), underflow * (1.0 + points.units)
        return KeyBounds(none + 1.0, weights, fixed, none, per_scale, 0.0)
    tiny = underflow * (1.0 + 4.0 * weights)
    per_norm = of_product * weights + 4.0 * underflow
    center = 0.0 if train.center is None else float(np.sqrt(train.center @ train.center))
    if metric == "inner_product":
        constants = none if train.center is None else -(np.asarray(z, np.float64) @ train.center)
        return KeyBounds(constants, weights, tiny + 2.0 * wide * weights * center, per_norm, none, 0.0)
    norms = weights / 2.0 if metric == "euclidean" else weights
    constants = norms * norms if metric == "euclidean" else 0.5 * norms * norms
    fixed = of_norm * norms * norms + tiny
    if metric == "cosine":  # the center leaves rows near it with the errors of their unit vectors
        placing = 4.0 * wide * (1.0 + center)
        fixed, per_norm = fixed + placing * (norms + placing), per_norm + placing
    return KeyBounds(constants, weights, fixed, per_norm, none, of_norm)


def _gamma(n: int, unit: float) -> float:
    return n * unit / (1.0 - n * unit)
