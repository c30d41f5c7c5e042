"""Approximation: how far the values of an approximate method are from what it approximates, on a few points.

These findings are only reported. The exception is an error above the method's proven bound, which fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import scipy

from dvspark.kernels.formulas.kinds import Parameters
from dvspark.methods import METHODS
from dvspark.methods.options import ValueOptions
from dvspark.schemas import EXACT, Finding, Float64s, Int64s, Partial

# Truncation keeps the order of the rows well from so many times k on: with k = 10 on scikit-learn's digits, 20 k gave
# a rank correlation of 0.99, k itself 0.47 (docs/methods/truncated_knn_shapley.md).
ROWS_PER_K = 20
# Error that float64 may add to a bound.
ROUNDING = 1e-12


def approximated(options: ValueOptions, parameters: Parameters) -> tuple[ValueOptions, Parameters]:
    """Return the options and parameters of the method that the one asked for approximates.

    Raises: ValueError if it approximates none.
    """
    method = options.declaration
    if method.approximates is None:
        raise ValueError(f"{method.name} approximates no other method")
    other = METHODS[method.approximates]
    known = {name: value for name, value in parameters.plain().items() if other.knows(name)}
    return replace(options, method=other.name, parameters=known), other.formulas(**known)


def approximation_findings(
    options: ValueOptions, parameters: Parameters, n_players: int, engine: Partial, exact: Partial, values: Float64s
) -> list[Finding]:
    """Return the findings about an approximation.

    ``engine`` and ``exact`` are a sample of points by the method and by the one that it approximates. ``values`` are
    those of the run. Cost: O(N log N).
    """
    method = options.declaration
    if method.approximates is None or n_players == 0:
        return []
    bound = parameters.error_bound(n_players)
    return [
        check_near_rows(method.n_asked(n_players, parameters), n_players, parameters.n_voting),
        check_order(engine, exact, method.approximates),
        check_error(engine, exact, method.approximates, bound, proven=options.index == EXACT),
        check_untouched(values),
    ]


def check_near_rows(n_near: int, n_players: int, k: int) -> Finding:
    """Return whether so many near rows are enough for a good order of all rows; a warning, never a failure."""
    enough = min(ROWS_PER_K * k, n_players)
    meaning = f"nearest rows that decide a point's values; {ROWS_PER_K} k = {ROWS_PER_K * k} or more"
    if n_near >= enough:
        return Finding("near_rows", "pass", float(n_near), float(enough), meaning)
    meaning += ": with fewer the bound of 1 / k* is met easily, but ranks suffer; raise k_star or lower epsilon"
    return Finding("near_rows", "warn", float(n_near), float(enough), meaning)


def check_order(engine: Partial, exact: Partial, other: str) -> Finding:
    """Return how well the order of the rows is kept: Spearman's correlation, 1 at best; 0 where all values are equal.

    It is only reported, because no limit is known.
    """
    ranks = [scipy.stats.rankdata(partial.value) for partial in (engine, exact)]
    away = [of_one - of_one.mean() for of_one in ranks]
    size = float(np.sqrt(np.prod([of_one @ of_one for of_one in away])))
    measured = float(away[0] @ away[1]) / size if size > 0 else 0.0
    meaning = f"Spearman correlation with {other} over {exact.n_validation} validation points; 1 is the same order"
    return Finding("rank_correlation", "pass", measured, 1.0, meaning)


def check_error(engine: Partial, exact: Partial, other: str, bound: float, *, proven: bool) -> Finding:
    """Return the largest error of a mean value; above the bound it is a failure if the bound is ``proven``."""
    measured = float(np.max(np.abs(engine.value - exact.value))) / max(exact.n_validation, 1)
    kind = "the proven bound" if proven else "the bound of an exact search, not proven for this index"
    meaning = f"largest difference to {other} over {exact.n_validation} validation points, against {kind}"
    within = measured <= bound + ROUNDING  # NaN is not
    return Finding("approximation_error", "pass" if within else "fail" if proven else "warn", measured, bound, meaning)


def check_untouched(values: Float64s) -> Finding:
    """Return the share of rows whose value is exactly zero, as of rows near no point; only reported."""
    share = float(np.count_nonzero(values == 0.0)) / max(len(values), 1)
    return Finding("untouched", "pass", share, 1.0, "share of rows whose value is exactly 0: near no validation point")


def check_recall(found: Sequence[Int64s], exact: Sequence[Int64s]) -> Finding:
    """Return the share of the nearest rows that an approximate search found, over the points; only reported.

    ``found`` and ``exact`` have for each point the rows found and the rows that are nearest.
    """
    hits = sum(len(np.intersect1d(rows, nearest)) for rows, nearest in zip(found, exact, strict=True))
    n_rows = sum(map(len, exact))
    meaning = f"share of the nearest rows that the index found, over {len(exact)} validation points; 1 is all"
    return Finding("recall", "pass", hits / n_rows if n_rows else 1.0, 1.0, meaning)
