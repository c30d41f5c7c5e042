"""Moments of Beta distributions in logarithms, for checks."""

from __future__ import annotations

import numpy as np
import scipy

from dvspark.schemas import Float64s

# SciPy's log-beta function is off by some alpha log(alpha) eps, which is 1e-13 here, and 2e-11 at 10,000.
SMALL = 100.0
# From here on Stirling's series, cut after its fourth term, is exact to the last digit.
STIRLING_FROM = 20.0
STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680)


def log_moment(joined: Float64s | float, others: Float64s | float, alpha: float, beta: float) -> Float64s:
    """Return log E[t^joined (1 - t)^others] for t of a Beta(beta, alpha) distribution.

    It is the chance that ``joined`` given rows join, and ``others`` given rows do not. The error is some 1e-13; for
    parameters above `SMALL` some (joined + others) eps.
    """
    if max(alpha, beta) <= SMALL:
        return scipy.special.betaln(joined + beta, others + alpha) - scipy.special.betaln(beta, alpha)
    both = alpha + beta
    found = _log_rising(beta, joined, both) + _log_rising(alpha, others, both)
    return found - _log_rising(both, np.add(joined, others), both)


def _log_rising(start: float, n: Float64s | float, scale: float) -> Float64s:
    """Return the sum of log((start + i) / scale) over i from 0 to n - 1."""
    left, found = np.asarray(n, np.float64), np.zeros(np.shape(n))
    while start < STIRLING_FROM:
        found = found + np.where(left > 0, np.log(start / scale), 0.0)
        start, left = start + 1.0, np.maximum(left - 1.0, 0.0)
    rest = (start - 0.5) * np.log1p(left / start) - left + _series(start + left) - _series(np.asarray(start))
    return found + rest + left * np.log((start + left) / scale)


def _series(x: Float64s) -> Float64s:
    found = np.zeros(np.shape(x))
    for place, term in enumerate(STIRLING):
        found = found + term / x ** (2 * place + 1)
    return found
