"""Head gradients: each row's loss times its gradient in a softmax head, and sums of these; no gradient is written out.

The gradient of a row is the product of its scaled residuals r, one for each class, and its features f. So <g, h> =
<r_g, r_h> <f_g, f_h>.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from dvspark.kernels.distances.distances import TILE_ROWS
from dvspark.kernels.gradients.softmax_head import SoftmaxHead
from dvspark.schemas import Float64s, Floats, Int32s

# Rows x (n, n_features) and their classes (n,).
Piece = tuple[Floats, Int32s]


@dataclass(frozen=True)
class GradientSums:
    """Sums of ``n`` gradients: ``total`` (n_classes, n_features + 1), and ``squares``, the sum of squared lengths."""

    n: int
    total: Float64s
    squares: float


@dataclass(frozen=True)
class RowFormula:
    """What a row with gradient g gets: ``own`` |g|² + <g, ``direction``> + ``shared``; direction is shaped like g."""

    own: float
    direction: Float64s
    shared: float


def gradient_sums(head: SoftmaxHead, pieces: Iterable[Piece]) -> GradientSums:
    """Return the sums over all rows, tile by tile, so how rows are cut into pieces of whole tiles changes no bit.

    Cost: O(n × classes × features) time; a tile of residuals and of features in float64.
    """
    n, total, squares = 0, np.zeros_like(head.weights), 0.0
    for residuals, features in _tiles(head, pieces):
        n += len(residuals)
        total += residuals.T @ features
        squares += float(squared_lengths(residuals, features).sum())
    return GradientSums(n, total, squares)


def gradient_values(head: SoftmaxHead, formula: RowFormula, pieces: Iterable[Piece]) -> Float64s:
    """Return what all rows get, in their order. Cost as in `gradient_sums`."""
    found = [
        formula.own * squared_lengths(residuals, features)
        + np.einsum("nc,nc->n", residuals, features @ formula.direction.T)
        + formula.shared
        for residuals, features in _tiles(head, pieces)
    ]
    return np.concatenate(found) if found else np.empty(0)


def squared_lengths(residuals: Float64s, features: Float64s) -> Float64s:
    """Return |g|² of each row."""
    lengths: Float64s = np.einsum("nc,nc->n", residuals, residuals) * np.einsum("nd,nd->n", features, features)
    return lengths


def _tiles(head: SoftmaxHead, pieces: Iterable[Piece]) -> Iterator[tuple[Float64s, Float64s]]:
    """Yield residuals and features of the rows, one tile at a time."""
    for x, codes in pieces:
        for start in range(0, len(x), TILE_ROWS):
            here = slice(start, start + TILE_ROWS)
            features = head.features(x[here])
            yield head.scaled_residuals(features, codes[here]), features
