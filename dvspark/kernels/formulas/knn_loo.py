"""Leave-one-out: what the utility loses without a row, which follows from the k + 1 nearest rows."""

from __future__ import annotations

from functools import partial

import numpy as np

from dvspark.kernels.formulas import semivalues
from dvspark.kernels.nearest.near_values import NearValues
from dvspark.schemas import Bools, Float64s


def n_nearest(
    n_players: int,
    *,
    k: int,
    utility: str,  # noqa: ARG001 - the parameters of a method go to all of its functions
    n_classes: int,  # noqa: ARG001
) -> int:
    """Return how many nearest rows are needed: k, and one more that takes the place of a row left out."""
    return min(k + 1, n_players)


def near_values(matches: Bools, n_players: int, n_matches: int, *, k: int, utility: str, n_classes: int) -> NearValues:
    """Return the values of the nearest rows; all others have the value 0.

    The value is (a_i - a_(k+1)) / k, with a_(k+1) = 0 if there is no such row. With n <= k rows, "wang2023" divides by
    n, or by n - 1 without the row: (a_i - A / n) / (n - 1), and a_1 - 1 / C if it is the only row.
    Cost: O(m). Raises: ConfigError for an unknown utility.
    Source: the definition, U(N) - U(N without i).
    """
    semivalues.check_utility(utility)
    flags = matches.astype(np.float64)
    if n_players > k:
        values = (flags - flags[k]) / k
        values[k] = 0.0
    elif utility == "jia2019":
        values = flags / k
    elif n_players == 1:
        values = flags - 1.0 / n_classes
    else:
        values = (flags - n_matches / n_players) / (n_players - 1)
    return NearValues(values)


def utility(n_nearest_matches: float, n_players: int, *, k: int, utility: str, n_classes: int) -> tuple[float, float]:
    """Return U(N) and U(∅) of a point with that many matches among its min(k, n_players) nearest rows."""
    return semivalues.utility_values(n_nearest_matches, n_players, k=k, utility=utility, n_classes=n_classes)


def reference_values(matches: Bools, *, k: int, utility: str, n_classes: int) -> Float64s:
    """Return the values of the rows at ranks 1..n, (n,) float64, as differences of two utilities, for checks. O(n)."""
    n = len(matches)
    worth = partial(semivalues.utility_values, k=k, utility=utility, n_classes=n_classes)
    full, empty = worth(float(np.count_nonzero(matches[:k])), n)
    if n == 1:
        return np.array([full - empty])
    # If one of the k nearest rows is left out, the next row is among them.
    within = [np.count_nonzero(matches[: k + 1]) - float(matched) for matched in matches[:k]]
    without = [worth(left, n - 1)[0] for left in within]
    return np.concatenate([full - np.array(without), np.zeros(max(n - k, 0))])
