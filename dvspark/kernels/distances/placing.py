"""Placing: rows as float32, in the form in which they enter products."""

from __future__ import annotations

import numpy as np

from dvspark.schemas import Float64s, Floats

# Under cosine products of two rows, each no shorter than the reciprocal, are far above what float32 cannot hold.
LARGEST_SCALE = 2.0**40


def lifted(rows: Floats, scale: Float64s) -> tuple[Floats, Float64s]:
    """Return rows and 1 / |row|, with short rows multiplied by a power of two that makes their length about one.

    Otherwise their products would vanish in float32, or lose bits.
    """
    short = np.flatnonzero(scale > LARGEST_SCALE)
    if not len(short):
        return rows, scale
    lifted, scale = np.array(rows, np.float64), scale.copy()
    factors = np.ldexp(1.0, np.frexp(scale[short])[1] - 1)
    lifted[short] *= factors[:, None]
    scale[short] /= factors
    return lifted, scale


def place(rows: Floats, scale: Float64s | None, center: Float64s | None) -> Floats:
    """Return rows as float32 in the form in which they enter a product: as they are, or scaled and centered."""
    with np.errstate(over="ignore"):  # precision float64 allows larger numbers, and takes no key from a product
        if center is None:
            return np.asarray(rows, np.float32)
        wide = np.array(rows, np.float64)
        if scale is not None:
            wide *= scale[:, None]
        wide -= center
        return wide.astype(np.float32)
