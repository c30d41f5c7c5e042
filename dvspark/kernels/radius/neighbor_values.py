"""Values of neighbors if U(S) is a share of matches: each neighbor gets one of two values, which follow from counts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy

from dvspark.schemas import Float64s, Int64s

# Sums of so many terms come from a table; beyond it digamma, or Stirling's series to its second term, are as exact as
# float64: what the third adds to a step is under 1e-15 of it there.
TABLE_TERMS = 128


def utility(n: Int64s, n_matches: Int64s, *, n_classes: int) -> tuple[Float64s, Float64s]:
    """Return U(N) and U(∅) of points with ``n`` neighbors, of which ``n_matches`` match, (n_points,) float64 each.

    Source: Wang et al., Threshold KNN-Shapley, NeurIPS 2023, arXiv:2308.15709.
    """
    empty = np.full(len(n), 1.0 / n_classes)
    return np.where(n > 0, n_matches / np.maximum(n, 1), empty), empty


def two_values(
    n: Int64s, n_matches: Int64s, alone: Float64s, beyond: Float64s, n_classes: int
) -> tuple[Float64s, Float64s]:
    """Return the values of a match and of another neighbor, (n_points,) float64 each; zero without neighbors.

    This holds for any semivalue: ``alone`` (n_points,) is the weight of joining nobody. ``beyond`` is E[1 / |S ∪ i|]
    over the coalitions S that are not empty; it is not used if there is only one neighbor.
    Source: Wang et al. 2023, theorem 13, in the form that holds for all semivalues.
    """
    others = np.maximum(n - 1, 1)
    match = alone * (1.0 - 1.0 / n_classes) + np.where(n > 1, beyond * ((n - n_matches) / others), 0.0)
    other = -alone / n_classes - np.where(n > 1, beyond * (n_matches / others), 0.0)
    return np.where(n > 0, match, 0.0), np.where(n > 0, other, 0.0)


def counted_values(n: int, n_matches: int, weights: Float64s, *, n_classes: int) -> tuple[float, float]:
    """Return the values of a match and of another neighbor as a sum over the sizes of coalitions, for checks.

    ``weights`` (n,) float64: the chance with which the semivalue has a player join 0..n - 1 other neighbors. The value
    is NaN for a kind of neighbor that does not occur. Cost: O(n).
    """
    joined = np.arange(1, n)
    values = []
    for own, fellow_matches, there in ((1.0, n_matches - 1, n_matches > 0), (0.0, n_matches, n_matches < n)):
        # Of a coalition of s other neighbors s fellow_matches / (n - 1) match on average.
        mean_matches = joined * fellow_matches / max(n - 1, 1)
        gains = np.append(own - 1.0 / n_classes, (mean_matches + own) / (joined + 1) - mean_matches / joined)
        values.append(float(weights @ gains) if there else np.nan)
    return values[0], values[1]


def reciprocal_sum(n_terms: Int64s, first: float) -> Float64s:
    """Return Σ 1 / (first + i) over i < n_terms, (n_points,) float64; relative error about 1e-15; ``first`` > 0."""
    terms = 1.0 / (first + np.arange(TABLE_TERMS))
    table = np.concatenate([[0.0], np.cumsum(terms)])
    digamma = scipy.special.digamma
    far = np.asarray(digamma(first + np.maximum(n_terms, TABLE_TERMS)) - digamma(first))
    return np.where(n_terms <= TABLE_TERMS, table[np.minimum(n_terms, TABLE_TERMS)], far)


def log_product(n_terms: Int64s, first: float, step: float) -> Float64s:
    """Return Σ log(1 + step / (first + i)) over i < n_terms, (n_points,) float64; ``first`` and first + step > 0.

    This is ln Γ(first + n + step) Γ(first) / (Γ(first + n) Γ(first + step)). Each of these log-gammas would lose
    log10(n) digits. Here the relative error stays about 1e-15 for any n and any small step.
    """
    terms = np.log1p(step / (first + np.arange(TABLE_TERMS)))
    table = np.concatenate([[0.0], np.cumsum(terms)])
    far = np.maximum(n_terms, TABLE_TERMS).astype(np.float64) + first
    beyond = _log_gamma_step(far, step) - _log_gamma_step(np.float64(TABLE_TERMS + first), step)
    return table[np.minimum(n_terms, TABLE_TERMS)] + np.where(n_terms > TABLE_TERMS, beyond, 0.0)


def _log_gamma_step(x: npt.NDArray[np.float64] | np.float64, step: float) -> npt.NDArray[np.float64]:
    """Return ln Γ(x + step) - ln Γ(x) by Stirling's series, for x >= TABLE_TERMS."""
    end = x + step
    # The difference of the second terms is divided out, since for a small step it would be nothing but rounding.
    second = step * (x * x + x * end + end * end) / (360.0 * (x * end) ** 3)
    return np.asarray((x - 0.5) * np.log1p(step / x) + step * np.log(end) - step - step / (12.0 * x * end) + second)
