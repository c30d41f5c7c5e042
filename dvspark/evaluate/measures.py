"""Measures of how well values tell spoiled rows from others; rows with low values are the suspicious ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy

from dvspark.schemas import Float64s

# The shares of rows at which curves are told.
SHARES = tuple(float(share) for share in np.round(np.arange(0, 1.0001, 0.05), 2))

# Values that are equal but for their additions differ by less, relative to the largest.
ROUNDING = 1e-13


def auroc(is_spoiled: Any, values: Any) -> float:
    """Return the chance that a spoiled row has a lower value than another row; equal values count half.

    NaN where no row is spoiled, or all are. Cost: O(n log n).
    Source: Mann & Whitney 1947, doi:10.1214/aoms/1177730491.
    """
    spoiled = np.asarray(is_spoiled, bool)
    n_spoiled, n_others = int(spoiled.sum()), int((~spoiled).sum())
    if not n_spoiled or not n_others:
        return float("nan")
    ranks = scipy.stats.rankdata(-np.asarray(values, np.float64))
    return float((ranks[spoiled].sum() - n_spoiled * (n_spoiled + 1) / 2) / (n_spoiled * n_others))


def found_by_rank(is_spoiled: Any, values: Any) -> Float64s:
    """Return how many spoiled rows are among the first j from the lowest value, float64 (n + 1,), for j = 0 to n.

    Rows with equal values come in any order; the number is the mean over these orders. Cost: O(n log n).
    """
    values = np.asarray(values, np.float64)
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    spoiled = np.bincount(group, np.asarray(is_spoiled, np.float64), len(sizes))
    ends = np.concatenate([[0], np.cumsum(sizes)])
    return np.interp(np.arange(len(values) + 1), ends, np.concatenate([[0.0], np.cumsum(spoiled)]))


def precision_at(is_spoiled: Any, values: Any, n: int) -> float:
    """Return the share of spoiled rows among the ``n`` ≥ 1 with the lowest values, as `found_by_rank` counts them."""
    return float(found_by_rank(is_spoiled, values)[n] / n)


def found_share(is_spoiled: Any, values: Any, shares: Sequence[float] = SHARES) -> Float64s:
    """Return the share of all spoiled rows that is found once these shares of rows, lowest first, are looked at."""
    found = found_by_rank(is_spoiled, values)
    n = len(found) - 1
    return np.interp(np.asarray(shares) * n, np.arange(n + 1), found) / max(found[-1], 1)


def ideal_share(share_spoiled: float, share: float) -> float:
    """Return what `found_share` is at ``share`` where all spoiled rows come first."""
    return min(share / share_spoiled, 1.0) if share_spoiled else 0.0


def rank_correlation(first: Any, second: Any) -> float:
    """Return Spearman's rank correlation of two vectors, ties at their mean rank; NaN where one is constant.

    Constant is what differs by rounding alone: such ranks would tell of additions, not of rows.
    Source: Spearman 1904, doi:10.2307/1412159; SciPy's `spearmanr`.
    """
    if any(np.ptp(one) <= ROUNDING * np.abs(one).max() for one in (first, second)):
        return float("nan")
    return float(scipy.stats.spearmanr(first, second).statistic)


def macro_recall(truth: Any, predicted: Any) -> float:
    """Return the mean over the classes of ``truth`` of the share of their rows that is predicted rightly."""
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    return float(np.mean([np.mean(predicted[truth == label] == label) for label in np.unique(truth)]))


def band(samples: Sequence[float]) -> dict[str, float]:
    """Return mean, standard deviation (of n - 1; 0 for one sample), lowest and highest of samples over seeds."""
    found = np.asarray(samples, np.float64)
    spread = float(found.std(ddof=1)) if len(found) > 1 else 0.0
    return {"mean": float(found.mean()), "sd": spread, "lowest": float(found.min()), "highest": float(found.max())}
