"""Key sizes: from what sizes of numbers float32 keys are added up, to which their rounding is in proportion."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dvspark.schemas import Float64s, Floats, TrainArrays


@dataclass(frozen=True)
class KeySize:
    """From what sizes of numbers one point's float32 keys are added up; their rounding is in proportion to it.

    ``weight`` what `approximate_keys` returned for the point; ``largest_norm`` the largest squared norm of all rows;
    ``units`` whether keys are products of unit vectors, whose size is 1.
    """

    weight: float
    metric: str
    largest_norm: float
    units: bool

    def of(self, norms: Float64s) -> Float64s:
        """Return the size for rows with these squared norms, as they enter products, (n,) float64."""
        if self.units:
            return np.ones(len(norms))
        return self.weight * np.sqrt(norms) + (0.0 if self.metric == "inner_product" else norms)

    @property
    def largest(self) -> float:
        """The size for the longest of all rows."""
        return self._of_norm(math.sqrt(self.largest_norm))

    @property
    def of_point(self) -> float:
        """The size for a row as long as the point; under the inner product, whose keys do not tell it, infinite."""
        return math.inf if self.metric == "inner_product" else self._of_norm(self._length)

    def is_even(self, times: float) -> bool:
        """Return whether `largest_at` any key is surely no more than some ``times`` smaller than the largest; O(1)."""
        return self.largest <= times * self.of_point

    @property
    def _length(self) -> float:
        """The length of the point as it was placed, which is half its weights; under cosine, these."""
        return self.weight / 2.0 if self.metric == "euclidean" else self.weight

    def _of_norm(self, norm: float) -> float:
        return 1.0 if self.units else self.weight * norm + (0.0 if self.metric == "inner_product" else norm * norm)

    def largest_at(self, keys: Floats) -> Float64s:
        """Return the largest size that a row with such a float32 key, or a smaller one, can have, (n,) float64.

        A row is no longer than the point and the distance to it together, nor than the longest of all.
        """
        most = self.of(np.full(len(keys), self.largest_norm))
        if self.units or self.metric == "inner_product":
            return most
        # A key is the squared distance less the point's square; of cosine keys, half of that.
        twice, length = 1.0 if self.metric == "euclidean" else 2.0, self._length
        squares = twice * np.asarray(keys, np.float64) + length * length
        # The root of what rounding may add to a square is more than it can be, by far.
        reach = length + np.sqrt(np.maximum(squares, 0.0) + 1e-4 * length * length)
        with np.errstate(invalid="ignore"):  # a point of zeros, and an infinite key
            return np.fmin(most, 1.001 * self.of(reach * reach))


def key_size(train: TrainArrays, weight: float, metric: str) -> KeySize:
    """Return from what sizes of numbers the keys of the point with such a ``weight`` were added up."""
    return KeySize(weight, metric, train.largest_norm, train.scale is not None and train.center is None)
