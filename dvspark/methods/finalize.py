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

    ``aggregate`` "mean" or "sum"; ``score``, a linear function, is what becomes of mean values. The standard error of a
    mean of n points is the square root of their sample variance (n - 1) over n; of a sum, n times that; None for one
    point, and unless ``with_errors``.
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
    return mean * scale, np.sqrt(spread / n) * scale


def certificate(totals: Partial, aggregate: str) -> tuple[float, Float64s | None]:
    """Return how far any value may be from the exact one, and each row's own bound, if it was asked for.

    The rows' bounds are float64 (n_train,), means or sums as the values are, and the first is their largest. Without
    them it adds up each point's largest, whichever row that is, which is never smaller.
    """
    scale = totals.n_validation if aggregate == "mean" else 1
    if totals.row_bounds is None:
        return totals.error_bound / scale, None
    bounds = totals.row_bounds / scale
    return float(bounds.max()), bounds
