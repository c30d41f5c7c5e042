"""Conjugate gradients: the solution of a system of which only products with its matrix are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dvspark.schemas import Float64s


def solved(
    product: Callable[[Float64s], Float64s], right: Float64s, gap: float, most_steps: int
) -> tuple[Float64s, float, int]:
    """Return x with ``product(x)`` = ``right``, the gap that is left, relative to |right|, and how many steps it took.

    The matrix is symmetric and positive definite; x and right have any one shape. SciPy's function takes the gap under
    two names, depending on its version, and none serves all that are allowed.
    Cost: a product a step. Source: Hestenes & Stiefel, 1952, doi:10.6028/jres.049.044.
    """
    x = np.zeros_like(right)
    left, direction = right.copy(), right.copy()
    square = whole = float(np.vdot(right, right))
    for step in range(most_steps):
        if square <= gap * gap * whole:
            return x, float(np.sqrt(square / whole)) if whole else 0.0, step
        along = product(direction)
        length = square / float(np.vdot(direction, along))
        x += length * direction
        left -= length * along
        before, square = square, float(np.vdot(left, left))
        direction = left + square / before * direction
    return x, float(np.sqrt(square / whole)), most_steps
