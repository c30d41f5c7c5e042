"""Truncated KNN-Shapley: the k* nearest rows get their value less that of the last of them; other rows get zero."""

from __future__ import annotations

import math

import numpy as np

from dvspark.errors import ConfigError, Problem, close_matches
from dvspark.kernels.formulas import knn_shapley
from dvspark.kernels.nearest.near_values import NearValues
from dvspark.kernels.ranking.rank_values import rank_values
from dvspark.schemas import Bools, Float64s

TAILS = ("zero", "bound")


def n_nearest(
    n_players: int, *, k: int, epsilon: float | None = None, k_star: int | None = None, tail: str = "zero"
) -> int:
    """Return k*: as given, or max(k, 1 / epsilon rounded up), so that no error exceeds epsilon; at most n_players.

    With fewer rows than that, the error is at most 1 / max(k, n_players), and under ``tail`` "bound" zero.
    Raises: ConfigError with all that is wrong with the parameters.
    """
    if problems := parameter_problems(k=k, epsilon=epsilon, k_star=k_star, tail=tail):
        raise ConfigError(problems)
    wanted = k_star if epsilon is None else max(k, math.ceil(1.0 / epsilon))
    return min(n_players, int(wanted or k))


def error_bound(
    n_players: int, *, k: int, epsilon: float | None = None, k_star: int | None = None, tail: str = "zero"
) -> float:
    """Return how far a value may be from the exact one: 1 / max(k, m) for m near rows; half of this under "bound".

    Source: as in `near_values`.
    """
    m = n_nearest(n_players, k=k, epsilon=epsilon, k_star=k_star, tail=tail)
    if tail == "bound" and m == n_players:
        return 0.0
    return (1.0 if tail == "zero" else 0.5) / max(k, m)


def parameter_problems(
    *, k: int, epsilon: float | None = None, k_star: int | None = None, tail: str = "zero"
) -> list[Problem]:
    """Return what is wrong with the parameters taken together; None stands for left out."""
    problems = []
    if (epsilon is None) == (k_star is None):
        got = "neither" if epsilon is None else f"epsilon {epsilon!r} and k_star {k_star!r}"
        hint = "epsilon bounds the error of every value; k_star = max(k, 1 / epsilon) says the same in rows"
        problems.append(Problem("parameters 'epsilon' and 'k_star'", "one of the two", got, hint))
    if epsilon is not None and not 0.0 < epsilon <= 1.0:
        problems.append(Problem("parameter 'epsilon'", "a number above 0, up to 1", repr(epsilon), "0.001 is usual"))
    if k_star is not None and k_star < k:
        hint = "the k nearest rows decide the utility; take 20 k or more for a good order of the rows"
        problems.append(Problem("parameter 'k_star'", f"k = {k} or more", repr(k_star), hint))
    if tail not in TAILS:
        expected = f"one of {', '.join(map(repr, TAILS))}"
        problems.append(Problem("parameter 'tail'", expected, repr(tail), close_matches(str(tail), TAILS)))
    return problems


def near_values(
    matches: Bools,
    n_players: int,
    n_matches: int,
    *,
    k: int,
    epsilon: float | None = None,  # noqa: ARG001 - the parameters of a method go to all of its functions
    k_star: int | None = None,  # noqa: ARG001
    tail: str = "zero",
) -> NearValues:
    """Return the values of the k* nearest rows and of the others.

    - ``tail`` "zero": the recursion, from zero at rank k*; rows beyond get zero. Every value is within 1 / max(k, m) of
      the exact one, for m rows.
    - ``tail`` "bound": the m rows are in order, and all others are one bin. Each value is then known up to an interval,
      and the result is the middle of it, so the error is at most half as large. These values have no known sum.
    If an approximate search finds fewer rows than k although more play, the rows found get values by the recursion, and
    others get zero.
    Cost: O(m).
    Source: Jia et al., PVLDB 12(11), 2019, doi:10.14778/3342263.3342637, theorem 2; the bin is this project's own,
    tested by enumeration.
    """
    m, flags = len(matches), matches.astype(np.float64)
    steps = (flags[:-1] - flags[1:]) / np.maximum(k, np.arange(1, m))
    values = np.append(np.cumsum(steps[::-1])[::-1], 0.0)
    if tail == "zero" or m < min(k, n_players):
        return NearValues(values)
    # Near rows lose most if the q matches beyond rank m come first, and least if these come last.
    q, n = n_matches - int(np.count_nonzero(matches)), n_players
    least, most = 1.0 / (n - q) - 1.0 / n, 1.0 / m - 1.0 / (m + q)
    values += flags[-1] / max(k, m) - (least + most) / 2.0
    if n == m:
        return NearValues(values)
    # A far match is worth least as the last row, and most as the next row with the other matches last.
    others_last = 1.0 / (n - max(q - 1, 0)) - 1.0 / n
    of_match = (1.0 / n + 1.0 / (m + 1) - others_last) / 2.0
    # Another far row is worth nothing as the last row, and least as the next row with the matches after it.
    return NearValues(values, of_match, (1.0 / (m + 1 + q) - 1.0 / (m + 1)) / 2.0)


def utility(
    n_nearest_matches: float,
    n_players: int,
    *,
    k: int,
    epsilon: float | None = None,  # noqa: ARG001 - the parameters of a method go to all of its functions
    k_star: int | None = None,  # noqa: ARG001
    tail: str = "zero",  # noqa: ARG001
) -> tuple[float, float]:
    """Return U(N) and U(∅) of a point with that many matches among its min(k, n_players) nearest rows."""
    return knn_shapley.utility(n_nearest_matches, n_players, k=k)


def zero_tail_total(matches: Bools, *, k: int) -> float:
    """Return what the values of a point sum to under ``tail`` "zero", from the match flags (k*,) of its nearest rows.

    The sum is U(N) - a_(k*), since truncation does not keep efficiency. With fewer than k rows it is U(N) - n a_n / k.
    The audit checks this sum.
    """
    return float(np.count_nonzero(matches[:k]) - min(len(matches), k) * float(matches[-1])) / k


def reference_values(
    matches: Bools, *, k: int, epsilon: float | None = None, k_star: int | None = None, tail: str = "zero"
) -> Float64s:
    """Return the values of the rows at ranks 1..n, (n,) float64, from exact values of all ranks, for checks.

    Under ``tail`` "bound" they come from the four orders of the far rows that give the ends of the intervals. Cost:
    O(n).
    """
    n = len(matches)
    m = n_nearest(n, k=k, epsilon=epsilon, k_star=k_star, tail=tail)
    near, q = matches[:m], int(np.count_nonzero(matches[m:]))
    weights = knn_shapley.rank_weights(n, k=k)

    def exact(*far: int) -> Float64s:
        return rank_values(np.concatenate([near, np.array(far, np.bool_)]), weights, np.empty(n))

    if tail == "zero":
        values = exact(*matches[m:])
        return np.concatenate([values[:m] - values[m - 1], np.zeros(n - m)])
    zeros, ones = [0] * (n - m - q), [1] * q
    first, last = exact(*ones, *zeros), exact(*zeros, *ones)
    values = (first + last) / 2.0
    if q:
        best = exact(1, *zeros, *ones[1:])[m]
        values[m:][matches[m:]] = (best + last[-1]) / 2.0
    if q < n - m:
        worst = exact(0, *ones, *zeros[1:])[m]
        values[m:][~matches[m:]] = worst / 2.0
    return values
