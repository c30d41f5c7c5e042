"""Head gradients: what is known of the gradients of rows in a softmax head without writing any of them out."""

from __future__ import annotations

from dataclasses import dataclass

from dvspark.schemas import Float64s, Floats, Int32s

# Rows x (n, n_features) and their classes (n,); also with their losses (n,), where the table tells them.
Piece = tuple[Floats, Int32s]
AnyPiece = Piece | tuple[Floats, Int32s, Float64s]


@dataclass(frozen=True)
class GradientSums:
    """Sums of ``n`` gradients: ``total`` (n_classes, n_features + 1), and ``squares``, the sum of squared lengths."""

    n: int
    total: Float64s
    squares: float


@dataclass(frozen=True)
class RowFormula:
    """What a row with gradient g gets: ``own`` |g|² + <g, ``direction``> + ``shared``; direction is shaped like g.

    Without a direction it gets ``own`` times its loss, + ``shared``.
    """

    own: float
    direction: Float64s | None
    shared: float
