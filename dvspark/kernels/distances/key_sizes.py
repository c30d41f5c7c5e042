"""Key sizes: the size of the numbers from which float32 keys are added up. Rounding is in proportion to this size."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dvspark.schemas import Float64s, Floats, TrainArrays


@dataclass(frozen=True)
class KeySize:
    """The size of the numbers from which one point's float32 keys are added up.

    ``weight`` is what `approximate_keys` returned for the point. ``largest_norm`` is the largest squared norm of all
    rows. ``units`` says whether keys are products of unit vectors, whose size is 1.
    """

    weight: float
    metric: str
    largest_norm: float
    units: bool

    def of(self, norms: Float64s) -> Float64s:
        """Return the size for rows that enter products with these squared norms, (n,) float64."""
        if self.units:
            return np.ones(len(norms))
        return self.weight * np.sqrt(norms) + (0.0 if self.metric == "inner_product" else norms)

    @property
    def largest(self) -> float:
        """The size for the row with the largest norm."""
        return self._of_norm(math.sqrt(self.largest_norm))

    @property
    def of_point(self) -> float:
        """The size for a row as long as the point; infinite under the inner product.

        Keys of the inner product do not bound how long a row is.
        """
        return math.inf if self.metric == "inner_product" else self._of_norm(self._length)

    def is_even(self, times: float) -> bool:
        """Return whether `largest_at` of any key is surely at least 1 / ``times`` of the largest size. Cost: O(1)."""
        return self.largest <= times * self.of_point

    @property
    def _length(self) -> float:
        """The length of the point in the form in which it was placed: half its weights, or under cosine its weights."""
        return self.weight / 2.0 if self.metric == "euclidean" else self.weight

    def _of_norm(self, norm: float) -> float:
        return 1.0 if self.units else self.weight * norm + (0.0 if self.metric == "inner_product" else norm * norm)

    def largest_at(self, keys: Floats) -> Float64s:
        """Return the largest size that a row with such a float32 key, or a smaller one, can have, (n,) float64.

        A row is at most as long as the point plus the distance between them, and at most as long as the longest row.
        """
        most = self.of(np.full(len(keys), self.largest_norm))
        if self.units or self.metric == "inner_product":
            return most
        # A key is the squared distance less the point's square; of cosine keys, half of that.
        twice, length = 1.0 if self.metric == "euclidean" else 2.0, self._length
        squares = twice * np.asarray(keys, np.float64) + length * length
        # The root of what rounding may add to a square is far more than the error can be.
        reach = length + np.sqrt(np.maximum(squares, 0.0) + 1e-4 * length * length)
        with np.errstate(invalid="ignore"):  # a point of zeros, and an infinite key
            return np.fmin(most, 1.001 * self.of(reach * reach))


def key_size(train: TrainArrays, weight: float, metric: str) -> KeySize:
    """Return the size of the numbers from which the keys of a point with such a ``weight`` were added up."""
    return KeySize(weight, metric, train.largest_norm, train.scale is not None and train.center is None)
