"""Key bounds: proven bounds on the errors of keys from float32 or int8 products, for any order of addition."""

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
# Numbers of a point and of a row whose products add up to a bound, see `row_terms`.
N_TERMS = 6
# More than what products of small errors, and the rounding of bounds themselves, add to a bound.
SPARE = 1.0 + 2.0**-20


@dataclass(frozen=True)
class KeyBounds:
    """How the approximate keys of some points compare with exact keys.

    An exact key is the approximate one plus the point's number in ``constants`` (n_points,) float64, which
    `distances.tile_products` leaves out, within the bound that `errors` returns: the product of the point's ``terms``
    (n_points, 6) float64 and those of the row, see `row_terms`. ``weights`` (n_points,) float64 are norms.
    """

    constants: Float64s
    weights: Float64s
    terms: Float64s

    def errors(self, points: Int64s | slice, rows: Float64s, places: Int64s | slice = slice(None)) -> Float64s:
        """Return the bounds for pairs of points and ``places`` of ``rows`` (6, n), `row_terms` of theirs, float64.

        They are infinite where a float32 number may overflow.
        """
        bounds = self.terms[points, 0] * rows[0][places]
        for term in range(1, N_TERMS):
            if self.terms[:, term].any():
                bounds += self.terms[points, term] * rows[term][places]
        sizes = self.weights[points] * rows[1][places]
        sizes += rows[2][places]
        bounds[~(sizes < OVERFLOW)] = np.inf
        return bounds

    def with_int8(self, lengths: Float64s, losses: Float64s) -> KeyBounds:
        """Return the bounds for products of quantized rows with quantized points, `quantized` of which are as long.

        ``lengths`` (n_points,) float64 are those of the quantized points, ``losses`` those of what quantizing took from
        them, as they enter products. <x, w> - <x', w'> = <x - x', w'> + <x, w - w'>, then Cauchy and Schwarz. The exact
        integer product is rounded a few times on its way to a float32 key.
        """
        terms = self.terms.copy()
        terms[:, 4] = lengths * SPARE
        terms[:, 5] = (losses + OTHER_ROUNDINGS * UNIT * lengths) * SPARE
        return KeyBounds(self.constants, self.weights, terms)

    def widened(self, margins: Float64s) -> KeyBounds:
        """Return bounds with ``margins`` (n_points,) float64 added to every error of a point."""
        terms = self.terms.copy()
        terms[:, 0] += margins
        return KeyBounds(self.constants, self.weights, terms)


def row_terms(norms: Float64s, scales: Float64s | None) -> Float64s:
    """Return what the errors of rows are in proportion to, (6, n) float64: 1, norm, its square, scale; loss, length.

    ``norms`` (n,) are those of the rows in the form in which they enter products, ``scales`` (n,) are 1 / |x| under
    cosine. The last two are zero unless rows are quantized.
    """
    terms = np.zeros((N_TERMS, len(norms)))
    terms[0], terms[1], terms[2] = 1.0, norms, norms * norms
    if scales is not None:
        terms[3] = scales
    return terms


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
        return _bounds(none + 1.0, weights, fixed, none, per_scale, 0.0)
    tiny = underflow * (1.0 + 4.0 * weights)
    per_norm = of_product * weights + 4.0 * underflow
    center = 0.0 if train.center is None else float(np.sqrt(train.center @ train.center))
    if metric == "inner_product":
        constants = none if train.center is None else -(np.asarray(z, np.float64) @ train.center)
        return _bounds(constants, weights, tiny + 2.0 * wide * weights * center, per_norm, none, 0.0)
    norms = weights / 2.0 if metric == "euclidean" else weights
    constants = norms * norms if metric == "euclidean" else 0.5 * norms * norms
    fixed = of_norm * norms * norms + tiny
    if metric == "cosine":  # the center leaves rows near it with the errors of their unit vectors
        placing = 4.0 * wide * (1.0 + center)
        fixed, per_norm = fixed + placing * (norms + placing), per_norm + placing
    return _bounds(constants, weights, fixed, per_norm, none, of_norm)


def _bounds(
    constants: Float64s,
    weights: Float64s,
    fixed: Float64s,
    per_norm: Float64s,
    per_scale: Float64s,
    per_square: float,
) -> KeyBounds:
    terms = np.zeros((len(weights), N_TERMS))
    terms[:, 0], terms[:, 1], terms[:, 2], terms[:, 3] = fixed, per_norm, per_square, per_scale
    return KeyBounds(constants, weights, terms)


def _gamma(n: int, unit: float) -> float:
    return n * unit / (1.0 - n * unit)
