"""Checks of games: worths that are asked for again, and ranges of draws that are played again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dvspark.audit.checks import TAKEN_OVER_TOLERANCE, finding
from dvspark.schemas import Finding, Float64s

# In proportion to the largest worth: sums that are added in another order keep as many digits.
WORTH_TOLERANCE = 1e-9


def check_worths(known: Sequence[float], again: Sequence[float], size: float) -> Finding:
    """Return whether coalitions are worth the same when they are asked for again, each alone."""
    gap = float(np.max(np.abs(np.subtract(known, again))))
    meaning = f"largest difference of the worths of {len(known)} sets that were asked for again; set random_state"
    return finding("worths", gap, WORTH_TOLERANCE * size, meaning)


def check_ranges(pairs: Sequence[tuple[Float64s, Float64s]], n_ranges: int) -> Finding:
    """Return whether ranges that are played again tell what they told, by their sketches."""
    apart = max(float(np.max(np.abs(one - other) / np.maximum(np.abs(one), _scale(one)))) for one, other in pairs)
    meaning = f"largest difference of {len(pairs)} of {n_ranges} ranges of draws, played again"
    return finding("ranges", apart, TAKEN_OVER_TOLERANCE, meaning)


def _scale(sketch: Float64s) -> Float64s:
    """Return what the numbers of a sketch are made of: counts of 1, and all others of the largest worth, at most 1."""
    largest = float(np.abs(sketch[2:4]).max())
    scale = np.full(len(sketch), min(largest, 1.0) or 1.0)
    scale[[0, 1, *range(4, len(sketch), 3)]] = 1.0
    return scale
