"""Values from noisy counts, which each row may be told after the release, at no further cost of privacy."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy

from dvspark.arguments import count_problems
from dvspark.errors import ConfigError, Problem
from dvspark.schemas import Float64s
from dvspark.schemas.columns import unmasked

# digamma(n + 1) + gamma is within 3.6e-15 of H_n; the table has the short sums' own digits.
_TABLE = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, 65))])


def values_from_noisy_counts(noisy_match: Any, noisy_nonmatch: Any, n_classes: int) -> tuple[Any, Any]:
    """Return the threshold-KNN-Shapley values of a matching and of a non-matching neighbor, from noisy counts.

    The counts are for one validation point: how many of all training rows within the radius match its label, and how
    many do not, each with noise. They are numbers, or arrays of one shape; the values have the same shape, float64.
    Rows outside the radius have value 0.
    Counts are rounded half up and clipped at 0. The row that is valued knows itself, so it is subtracted from its own
    count (not below 0) and added exactly: n = 1 + match + nonmatch. The order of rounding, clipping and subtracting is
    part of the definition.
    Cost: O(size). Raises: ConfigError for counts that are not finite, or if there are no classes.
    Source: Wang, Zhu, Wang, Jia & Mittal, NeurIPS 2023, arXiv:2308.15709, theorem 13, in closed form.
    """
    if problems := count_problems("n_classes", n_classes, "give the size of the label space"):
        raise ConfigError(problems)
    match = _rounded("noisy_match", noisy_match)
    nonmatch = _rounded("noisy_nonmatch", noisy_nonmatch)
    other_matches = np.maximum(match - 1, 0)
    of_match, _ = _threshold_values(1 + other_matches + nonmatch, 1 + other_matches, n_classes)
    _, of_nonmatch = _threshold_values(1 + match + np.maximum(nonmatch - 1, 0), match, n_classes)
    return of_match, of_nonmatch


def _rounded(name: str, counts: Any) -> Float64s:
    """Return the counts rounded half up and clipped at 0; whole numbers below 2^53 are exact."""
    result = unmasked(counts)
    if not np.isfinite(result).all():
        raise ConfigError(Problem(name, "finite counts", "infinite or missing ones", "release the counts again"))
    return np.maximum(np.floor(result + 0.5), 0)


def _threshold_values(n: Float64s, n_matches: Float64s, n_classes: int) -> tuple[Float64s, Float64s]:
    """Return the values of a match and of another neighbor among n >= 1 neighbors, of which ``n_matches`` match."""
    # One neighbor has no others: the second terms vanish, not 0 / 0.
    share = (_harmonic(n) - 1) / np.maximum(n * (n - 1), 1)
    of_match = (1 - 1 / n_classes) / n + share * (n - n_matches)
    return of_match, -1 / (n_classes * n) - share * n_matches


def _harmonic(n: Float64s) -> Float64s:
    """Return H_n = 1 + 1/2 + ... + 1/n of whole numbers."""
    short = _TABLE[np.minimum(n, 64).astype(np.int64)]
    return np.where(n <= 64, short, scipy.special.digamma(n + 1) + np.euler_gamma)
