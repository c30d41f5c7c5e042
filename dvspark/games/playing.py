"""Playing: ranges of draws are asked for until a rule says that it is enough."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from dvspark.errors import ConfigError, Problem
from dvspark.games.bounds import Promise
from dvspark.games.draws import Drawn
from dvspark.games.estimators.base import Estimator
from dvspark.games.totals import Totals
from dvspark.games.utility import Ends

# Ranges that are asked for at once; none of them is asked for in vain but where a rule stops early.
WAVE_RANGES = 256
# A standard error of fewer draws says too little to stop.
DRAWS_TO_STOP = 32

# Returns the totals of each stretch, in order; one that is not taken need not be played.
PlayRanges = Callable[[Sequence[Drawn]], Iterable[Totals]]


@dataclass(frozen=True)
class Rules:
    """When to stop: after so many ``evaluations``, or before, at a ``standard_error`` or when a promise is kept."""

    evaluations: int
    standard_error: float | None = None
    promise: Promise | None = None


@dataclass(frozen=True)
class Played:
    """The totals, and the rule that stopped: "evaluations", "standard_error", "epsilon", "all" where none is left."""

    totals: Totals
    stopped_by: str


def require_budget(estimator: Estimator, rules: Rules) -> None:
    """Raise ConfigError if the budget does not pay for both ends and an estimate with a standard error.

    So for fewer players than the estimator needs.
    """
    if estimator.n_players < estimator.least_players:
        expected, got = f"at least {estimator.least_players}", f"{estimator.n_players}"
        raise ConfigError(Problem("n_players", expected, got, "values compare players"))
    least = 2 + estimator.least_draws * estimator.draw_cost
    if rules.evaluations < least:
        expected = f"at least {least:,} for {estimator.n_players:,} players"
        hint = "allow more, or group players, as owners of rows"
        raise ConfigError(Problem("evaluations", expected, f"{rules.evaluations:,}", hint))


def play(
    estimator: Estimator,
    rules: Rules,
    ends: Ends,
    begun: Totals,
    play_ranges: PlayRanges,
    keep: Callable[[Totals], None],
) -> Played:
    """Return the totals of ``begun`` and of the ranges that follow, added in order; ``keep`` is told after each.

    Which ranges are played depends on the rules and on earlier ranges alone: not on who plays them, nor on how many at
    once.
    Raises: ConfigError if the budget is too small, utilities are farther apart than was stated, or nothing would be
    asked; ComputeError where the utility fails.
    """
    require_budget(estimator, rules)
    estimator.require_ends(ends)
    promise, totals = rules.promise, begun
    enough = None if promise is None else estimator.enough_draws(ends, promise)
    if totals.n_ranges and (stopped_by := _met(estimator, rules, totals, ends)) is not None:
        return Played(totals, stopped_by)
    while stretches := _affordable(estimator, rules, totals, enough):
        for played in play_ranges(stretches):
            totals = totals.plus(played)
            _require_range(totals, promise)
            keep(totals)
            if (stopped_by := _met(estimator, rules, totals, ends)) is not None:
                return Played(totals, stopped_by)
    if enough is not None and totals.n_draws >= enough:
        return Played(totals, "epsilon")
    return Played(totals, "all" if totals.n_draws == estimator.most_draws else "evaluations")


def _affordable(estimator: Estimator, rules: Rules, totals: Totals, enough: int | None) -> list[Drawn]:
    """Return the next stretches that are sure to be within the budget: whole ranges, or part of the last one."""
    left = (rules.evaluations - totals.n_asked) // estimator.draw_cost
    for most in (estimator.most_draws, None if enough is None else max(enough, estimator.least_draws)):
        left = left if most is None else min(left, most - totals.n_draws)
    size = estimator.range_draws
    whole = min(left // size, WAVE_RANGES)
    if whole <= 0:
        return [Drawn(totals.n_ranges, left)] if left > 0 else []
    return [Drawn(number, size) for number in range(totals.n_ranges, totals.n_ranges + whole)]


def _met(estimator: Estimator, rules: Rules, totals: Totals, ends: Ends) -> str | None:
    """Return the rule that is met, if one is."""
    if totals.n_draws < max(estimator.least_draws, DRAWS_TO_STOP):
        return None
    asked, promise = rules.standard_error, rules.promise
    if asked is not None and float(np.max(estimator.estimate(totals, ends).standard_errors)) <= asked:
        return "standard_error"
    if promise is None or promise.epsilon is None or estimator.error_bound(totals, ends, promise) > promise.epsilon:
        return None
    return "epsilon"


def _require_range(totals: Totals, promise: Promise | None) -> None:
    if promise is None or totals.most - totals.least <= promise.utility_range * (1 + 1e-12):
        return
    got = f"worths from {totals.least:.6g} to {totals.most:.6g}"
    hint = "give the largest difference that any two coalitions can have; every bound rests on it"
    raise ConfigError(Problem("parameter 'utility_range'", f"worths within {promise.utility_range:g}", got, hint))
