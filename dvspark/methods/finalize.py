"""Finalize: totals over validation points become values and standard errors."""

from __future__ import annotations

import numpy as np

from dvspark.schemas import Float64s, Partial


def finalize(totals: Partial, aggregate: str) -> tuple[Float64s, Float64s | None]:
    """Return values and their standard errors over validation points, each (n_train,) float64.

    ``aggregate`` "mean" or "sum". The standard error of a mean of n points is the square root of their sample
    variance (n - 1) over n; of a sum, n times that; None for one point.
    """
    n = totals.n_validation
    mean = totals.value / n
    scale = 1.0 if aggregate == "mean" else float(n)
    if n == 1:
        return mean * scale, None
    spread = np.maximum(totals.value_squared - totals.value * mean, 0.0) / (n - 1)
    return mean * scale, np.sqrt(spread / n) * scale
