"""Small keys: what stands for a float64 key that would vanish, in its order among all others."""

from __future__ import annotations

import numpy as np

from dvspark.schemas import Float64s, Floats, Int64s

# Squares and products of float64 numbers lose bits below 2^-1022 and vanish below 2^-1075, where the numbers themselves
# still have all of theirs. For a key below SMALL its fourth root stands, times SCALE: it meets the others at SMALL,
# ascends with the key, and is 0 where the key is, and else 2^-1017 or more. What it loses are the key's last two bits.
SMALL = 2.0**-640
SCALE = SMALL**0.75
# Differences, or both factors, times this one have squares and products of at least 2^-948.
FACTOR = 2.0**600
ROOT_OF_FACTOR = 2.0**300


def replace_small(keys: Float64s, x: Floats, rows: Int64s, z: Float64s, metric: str) -> None:
    """Replace small ``keys`` (n,) of ``rows`` (n,) of ``x`` to a point ``z`` by what stands for them.

    Those of float32 rows are 0, or not small: nothing is done. O(n_features) a small key.
    """
    some = np.flatnonzero(np.abs(keys) < SMALL) if x.dtype == np.float64 else ()
    if not len(some):
        return
    wide = x[rows[some]]
    with np.errstate(over="ignore", invalid="ignore"):
        if metric == "inner_product":
            found = -((wide * FACTOR) * (z * FACTOR)).sum(axis=1)
        else:
            found = np.square((wide - z) * FACTOR).sum(axis=1)
    # Large factors, whose products are small as they cancel, lose nothing without it.
    found = np.where(np.isfinite(found), found, keys[some] * FACTOR * FACTOR)
    roots = np.sqrt(np.sqrt(np.abs(found))) * (SCALE / ROOT_OF_FACTOR)
    keys[some] = np.copysign(np.minimum(roots, SMALL), found)


def restore_small(keys: Float64s, distances: Float64s, metric: str) -> None:
    """Fill in the ``distances`` (n,) of those ``keys`` (n,) that stand for small ones; O(n)."""
    some = np.abs(keys) < SMALL
    roots = keys[some] / SCALE
    squares = roots * roots
    distances[some] = squares if metric == "euclidean" else np.copysign(squares * squares, roots)
