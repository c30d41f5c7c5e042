"""CHG-Shapley: U(S) = |alpha|² - |mean of S - alpha|², U(∅) = 0: rows are worth what they bring the mean to alpha."""

from __future__ import annotations

import numpy as np

from dvspark.schemas import Float64s, Floats


def chg_values(x: Floats, alpha: Floats | None = None) -> Float64s:
    """Return the values of the rows of ``x`` (n, p), (n,) float64, any n >= 0; ``alpha`` (p,), None: their mean.

    value_j = |alpha|² / n + q |d_j|² + c d_j·T + s |T|² + o Σ |d|², with d_j = x_j - alpha, T = Σ d, and q, c, s, o
    of n alone. Distances from alpha do not cancel where the rows lie far from 0, as squares of x do. On the mean
    T = 0: the nearer to the mean, the more valuable. The values sum to |alpha|² - |T / n|².
    Rows are gradients of the last layer, loss times gradient: x and alpha must be on one scale.
    O(n p) time, 16 n p bytes.
    Source: Cai, CHG Shapley, 2024, arXiv:2406.11730, equation (3), which is 0 / 0 for n <= 2; here in centered form.
    """
    rows = np.asarray(x, np.float64)
    n = len(rows)
    if n == 0:
        return np.empty(0)
    target = rows.mean(axis=0) if alpha is None else np.asarray(alpha, np.float64)
    own, with_total, total_squared, squares = _coefficients(n)
    offset = rows - target
    total = offset.sum(axis=0) if alpha is not None else np.zeros(rows.shape[1])
    squared = np.einsum("np,np->n", offset, offset)
    shared = target @ target / n + total_squared * (total @ total) + squares * squared.sum()
    return own * squared + with_total * (offset @ total) + shared


def utility(x: Floats, alpha: Floats | None = None) -> tuple[float, float]:
    """Return U(N) and U(∅)."""
    rows = np.asarray(x, np.float64)
    if len(rows) == 0:
        return 0.0, 0.0
    mean = rows.mean(axis=0)
    target = mean if alpha is None else np.asarray(alpha, np.float64)
    return float(target @ target - (mean - target) @ (mean - target)), 0.0


def reference_values(x: Floats, alpha: Floats | None = None) -> Float64s:
    """Return the same from the squares and products of x itself, for checks: another formula. O(n p).

    U(S) = 2 mean·alpha - |mean|². Loses digits where rows lie far from 0. Source: Cai 2024, equation (3).
    """
    rows = np.asarray(x, np.float64)
    n = len(rows)
    target = rows.sum(axis=0) / max(n, 1) if alpha is None else np.asarray(alpha, np.float64)
    squared = (rows * rows).sum(axis=1)
    if n < 2:
        return 2.0 * (rows @ target) - squared
    h1, h2 = sum(1.0 / j for j in range(n, 0, -1)), sum(1.0 / j**2 for j in range(n, 0, -1))
    triple = (2.0 * h1 - 2.0 * h2 - 1.0 + 1.0 / n) / (n * (n - 1) * (n - 2)) if n > 2 else 0.0
    pairs = n * (n - 1)
    total = rows.sum(axis=0)
    values = (-h2 / n + (2.0 * h1 - 3.0 * h2 + 1.0 / n) / pairs + 2.0 * triple) * squared
    values += (-2.0 * (h1 - h2) / pairs - 2.0 * triple) * (rows @ total)
    values += triple * (total @ total) + ((h2 - 1.0 / n) / pairs - triple) * squared.sum()
    return values + 2.0 * (h1 - 1.0 / n) / (n - 1) * (rows @ target) - 2.0 * (h1 - 1.0) / pairs * (total @ target)


def _coefficients(n: int) -> tuple[float, float, float, float]:
    """Return what |d_j|², d_j·T, |T|² and Σ |d|² count among n rows: means over the size of the coalition."""
    if n == 1:
        return -1.0, 0.0, 0.0, 0.0
    reciprocals = 1.0 / np.arange(n, 0, -1)
    h1, h2 = float(reciprocals.sum()), float(reciprocals @ reciprocals)
    of_own, of_pair = h1 - h2, h2 - 1.0 / n
    pairs = n * (n - 1)
    triple = (2.0 * of_own - 1.0 + 1.0 / n) / (pairs * (n - 2)) if n > 2 else 0.0
    own = -h2 / n + (2.0 * of_own - of_pair) / pairs + 2.0 * triple
    return own, -2.0 * of_own / pairs - 2.0 * triple, triple, of_pair / pairs - triple
