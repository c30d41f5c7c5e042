"""Sketch: a few numbers by which a partial is recognized; the sketch of a sum is the sum of the parts' sketches."""

from __future__ import annotations

import numpy as np

from dvspark.schemas import Float64s, Partial

# Train rows of each block whose values are in the sketch.
ROWS = 16
# For each block: values of some rows, the sum of all values, and the sum of their squares over points.
OF_BLOCK = ROWS + 2
# For all blocks together: validation rows, U(N), U(∅).
OF_ALL = 3


def block_sketch(value: Float64s, value_squared: Float64s, n_validation: int) -> Float64s:
    """Return the sketch of one block's values, (OF_BLOCK,). Squared differences are not used, as they do not add up."""
    squares = value_squared.sum() + np.dot(value, value) / max(n_validation, 1)
    rows = np.linspace(0, len(value) - 1, ROWS).astype(np.int64)
    return np.concatenate([value[rows], [value.sum(), squares]])


def sketch(partial: Partial, block_rows: int) -> Float64s:
    """Return the sketch of a partial in blocks of ``block_rows`` rows, (n_blocks × OF_BLOCK + OF_ALL,) float64."""
    cuts = [slice(start, start + block_rows) for start in range(0, len(partial.value), block_rows)]
    blocks = [block_sketch(partial.value[cut], partial.value_squared[cut], partial.n_validation) for cut in cuts]
    return np.concatenate([*blocks, [partial.n_validation, partial.utility, partial.empty_utility]])


def distance(one: Float64s, other: Float64s, n_values: int) -> float:
    """Return how far apart two sketches of partials of ``n_values`` values are, relative to the size of their terms.

    The distance is 0 for the same bits, and infinite for sketches of other lengths, or with numbers that are not
    finite.
    """
    if one.shape != other.shape:
        return np.inf
    if np.array_equal(one, other):
        return 0.0
    both = np.stack([one, other])
    blocks, sums = both[:, :-OF_ALL].reshape(2, -1, OF_BLOCK), both[:, -OF_ALL:]
    # A value, and a sum of values of both signs, is as exact as the largest that it may be: |v| <= (points · Σ v²)^½.
    largest = np.sqrt(np.abs(sums[:, 0]).max() * np.abs(blocks[:, :, -1]).sum(axis=1).max())
    apart = [
        _relative(blocks[:, :, :ROWS], largest),
        _relative(blocks[:, :, ROWS], largest * np.sqrt(n_values)),
        _relative(blocks[:, :, -1], np.abs(blocks[:, :, -1]).max()),
        _relative(sums[:, 0], np.abs(sums[:, 0]).max()),
        _relative(sums[:, 1:], np.abs(sums[:, 1:]).max()),
    ]
    found = max(apart)
    return found if np.isfinite(found) else np.inf


def _relative(both: Float64s, size: float) -> float:
    away = float(np.abs(both[0] - both[1]).max())
    return away if away == 0 or not np.isfinite(away) else float(away / size) if size > 0 else np.inf
