"""Small keys: float64 keys that would vanish are replaced by numbers that have the same order among all keys."""

from __future__ import annotations

import numpy as np

from dvspark.schemas import Float64s, Floats, Int64s

# Squares and products of float64 numbers lose bits below 2^-1022 and vanish below 2^-1075, where the numbers themselves
# still have all of theirs. A key below SMALL is replaced by SCALE times its fourth root. This meets others at SMALL,
# ascends with the key, and is 0 where the key is 0, else at least 2^-1017. It loses the last two bits of the key.
SMALL = 2.0**-640
SCALE = SMALL**0.75
# Differences or factors, multiplied by this number, have squares and products of at least 2^-948.
FACTOR = 2.0**600
ROOT_OF_FACTOR = 2.0**300


def replace_small(keys: Float64s, x: Floats, rows: Int64s, z: Float64s, metric: str) -> None:
    """Replace small ``keys`` (n,) of ``rows`` (n,) of ``x`` to a point ``z``, in place.

    Keys of float32 rows are 0 or not small, so nothing is done for them. Cost: O(n_features) for each small key.
    """
    if x.dtype != np.float64 or not len(some := np.flatnonzero(np.abs(keys) < SMALL)):
        return
    wide = x[rows[some]]
    with np.errstate(over="ignore", invalid="ignore"):
        if metric == "inner_product":
            found = -((wide * FACTOR) * (z * FACTOR)).sum(axis=1)
        else:
            found = np.square((wide - z) * FACTOR).sum(axis=1)
    # Large factors whose products cancel to something small lose nothing without this step.
    found = np.where(np.isfinite(found), found, keys[some] * FACTOR * FACTOR)
    roots = np.sqrt(np.sqrt(np.abs(found))) * (SCALE / ROOT_OF_FACTOR)
    keys[some] = np.copysign(np.minimum(roots, SMALL), found)


def restore_small(keys: Float64s, distances: Float64s, metric: str) -> None:
    """Fill in the ``distances`` (n,) of ``keys`` (n,) that were replaced. Cost: O(n)."""
    some = np.abs(keys) < SMALL
    roots = keys[some] / SCALE
    squares = roots * roots
    distances[some] = squares if metric == "euclidean" else np.copysign(squares * squares, roots)
