"""Finalize: totals over validation points become values, standard errors and certificates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dvspark.schemas import Float64s, Partial

Score = Callable[[Float64s], Float64s]


def finalize(
    totals: Partial, aggregate: str, score: Score | None = None, *, with_errors: bool = True
) -> tuple[Float64s, Float64s | None]:
    """Return values and their standard errors over validation points, each (n_train,) float64.

    ``aggregate`` is "mean" or "sum". ``score`` is a linear function that is applied to mean values.
    The standard error of a mean over n points is the square root of their sample variance (with n - 1) over n; that of
    a sum is n times as large. It is None for a single point, and without ``with_errors``.
    """
    values, errors = _totaled(totals, aggregate)
    errors = errors if with_errors else None
    if score is None:
        return values, errors
    return score(values), None if errors is None else score(errors) - score(np.zeros_like(errors))


def _totaled(totals: Partial, aggregate: str) -> tuple[Float64s, Float64s | None]:
    n = totals.n_validation
    mean = totals.value / n
    scale = 1.0 if aggregate == "mean" else float(n)
    if n == 1:
        return mean * scale, None
    spread = np.maximum(totals.value_squared, 0.0) / (n - 1)
    return mean * scale, np.sqrt(spread / n) * scale * totals.square_unit


def certificate(totals: Partial, aggregate: str) -> tuple[float, Float64s | None]:
    """Return how far any value may be from the exact one, and the bound of each row, if bounds were asked for.

    The bounds of rows are float64 (n_train,), means or sums as the values are; the first number is then the largest of
    them. Without bounds of rows, the first number adds up the largest bound of each point, whichever row it belongs to;
    this is never smaller.
    """
    scale = totals.n_validation if aggregate == "mean" else 1
    if totals.row_bounds is None:
        return totals.error_bound / scale, None
    bounds = totals.row_bounds / scale
    return float(bounds.max()), bounds
