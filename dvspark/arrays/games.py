"""Values of players by any utility, in this process or by tasks of Spark."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from dvspark.arguments import choice_problems, count_problems, is_number
from dvspark.engine.games.game_ledger import GameLedger
from dvspark.engine.games.on_spark import play_on
from dvspark.engine.games.ranges import GameWork, play_here
from dvspark.errors import ConfigError, Problem, written
from dvspark.games.estimators.base import EstimatedValues
from dvspark.games.playing import play, require_budget
from dvspark.games.totals import Totals
from dvspark.games.utility import Utility, Worths, made_utility
from dvspark.methods import GAMES, METHODS
from dvspark.methods.kinds.games import GamesMethod, Outcome
from dvspark.methods.parameters import parameter_problems, resolved_parameters
from dvspark.schemas import Float64s
from dvspark.tables.sources.session_settings import session_problems
from dvspark.tables.storage import folder_problems, open_storage

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class GameResult:
    """What players are worth by a utility, and how sure that is.

    - ``values`` and ``standard_errors``: float64 (n_players,), in the order of the players.
    - ``error_bound``: with a chance of 1 - delta no value is farther off; None without ``utility_range``.
    - ``n_evaluations``: coalitions whose utility was asked for; ``n_calls``: those for which the utility was called,
      fewer under ``cache``; ``n_draws``: independent draws.
    - ``utility``: U(N) of all players and U(∅) of none.
    - ``stopped_by``: "evaluations", "standard_error", "epsilon", or "all" where there is nothing left to draw.
    - ``biased``: why the values are biased; empty where they are not.
    """

    values: Float64s
    standard_errors: Float64s
    error_bound: float | None
    n_evaluations: int
    n_calls: int
    n_draws: int
    utility: tuple[float, float]
    stopped_by: str
    biased: str
    estimate: EstimatedValues

    def intervals(self, confidence: float = 0.95) -> Float64s:
        """Return for each value the interval that covers what it estimates with so much confidence, float64 (n, 2).

        It takes the mean of the draws to be normal (Student's t), so it needs dozens of draws; `error_bound` does not.
        Raises: ConfigError for a confidence that is not between 0 and 1.
        """
        if not is_number(confidence) or not 0 < confidence < 1:
            raise ConfigError(Problem("confidence", "a number between 0 and 1", written(confidence), "0.95 is usual"))
        half = self.estimate.half_widths(confidence)
        return np.stack([self.values - half, self.values + half], axis=1)


def value_game(
    utility: Utility | str,
    n_players: int,
    method: str = "monte_carlo_shapley",
    evaluations: int = 10_000,
    seed: int = 0,
    cache: bool = False,
    spark: SparkSession | None = None,
    ledger: str | None = None,
    **method_params: Any,
) -> GameResult:
    """Return what each of ``n_players`` players is worth by a utility, estimated from random coalitions.

    ``utility`` takes the players of a coalition, a sorted int64 array of numbers from 0, and returns a finite number;
    the empty coalition is asked for, too. It has to give the same number for the same coalition. In place of it,
    "module:function" names a function without arguments that returns it; every process that plays calls it once.
    ``evaluations``: how many coalitions may be asked for, at most; ``seed``, a whole number from 0, decides which.
    ``cache=True``: no process computes a coalition twice; that takes some 150 bytes each.
    ``spark``: a session whose tasks play; without one, this process plays. The values have the same bits.
    ``ledger``: a folder, or its URI, where totals are kept as they grow; the same game, started again, goes on once
    some coalitions are worth what they were.
    Other options are the parameters of the method, see docs/games.md.

    The result depends on the arguments alone. Cost: O(n_players) an evaluation besides the utility, or O(n log n) where
    coalitions have a drawn size.
    Raises: ConfigError for unusable arguments or too few evaluations; ComputeError, with the coalitions, where the
    utility raises an error or gives no finite number; OutputConflictError for a ledger of another game.
    Source: that of the method, see `dvspark.methods`.
    """
    problems = folder_problems(ledger=ledger)
    if spark is not None:
        problems += session_problems("spark", spark)
    if problems:
        raise ConfigError(problems)
    declared = _checked(utility, n_players, method, evaluations, seed, method_params)
    if not isinstance(cache, bool):
        raise ConfigError(Problem("cache", "True or False", written(cache), "True keeps what each coalition is worth"))
    resolved = resolved_parameters(declared.own_parameters, method_params, 0)
    estimator = declared.estimator_of(int(n_players), resolved)
    rules = declared.rules_of(int(evaluations), resolved)
    require_budget(estimator, rules)
    worths = Worths(made_utility(utility), estimator.n_players)
    work = GameWork(utility, estimator, int(seed), worths.ends(), secrets.token_hex(8), cache)
    begun = Totals.of_ends(estimator.n_moments, estimator.n_players, work.ends)
    keep: Callable[[Totals], None] = _keep_nothing
    play_ranges = play_here(work) if spark is None else play_on(spark, work)
    if ledger is not None:
        kept = GameLedger.of(open_storage(ledger), work, rules)
        begun = kept.read(estimator.n_players, rules.evaluations) or begun
        kept.require_same_utility(worths, play_ranges)
        keep = partial(kept.keep, range_draws=estimator.range_draws)
        play_ranges = kept.notes.noted(play_ranges)
    played = play(estimator, rules, work.ends, begun, play_ranges, keep)
    return _result(declared.outcome(estimator, work.ends, rules, played, declared.biased(resolved)))


def _result(outcome: Outcome) -> GameResult:
    totals, found = outcome.played.totals, outcome.estimate
    return GameResult(
        values=found.values,
        standard_errors=found.standard_errors,
        error_bound=outcome.error_bound,
        n_evaluations=totals.n_asked,
        n_calls=totals.n_calls,
        n_draws=totals.n_draws,
        utility=(outcome.ends.all, outcome.ends.none),
        stopped_by=outcome.played.stopped_by,
        biased=outcome.biased,
        estimate=found,
    )


def _checked(
    utility: Any, n_players: Any, method: Any, evaluations: Any, seed: Any, parameters: dict[str, Any]
) -> GamesMethod:
    """Return the method's declaration. Raises: ConfigError with everything that is wrong."""
    problems = choice_problems("method", method, sorted(GAMES))
    if problems and method in list(METHODS):
        hint = f"dvspark.value_arrays(..., method={method!r}) values rows of tables by it"
        problems = [Problem("method", f"one of {', '.join(map(repr, sorted(GAMES)))}", written(method), hint)]
    if not (callable(utility) or isinstance(utility, str)):
        hint = "give a function of a sorted array of players, or module:function"
        problems.append(Problem("utility", "something that can be called", type(utility).__name__, hint))
    problems += count_problems("n_players", n_players, "players are numbered from 0")
    problems += count_problems("evaluations", evaluations, "10_000 is the default")
    if not (seed == 0 and type(seed) is not bool) and count_problems("seed", seed, ""):
        problems.append(Problem("seed", "a whole number from 0", written(seed), "the seed decides what is drawn"))
    if method in list(GAMES):
        declared = GAMES[method]
        problems += parameter_problems(method, declared.own_parameters, parameters)
        problems += [] if problems else declared.rule_problems(parameters) + declared.check(parameters)
    if problems:
        raise ConfigError(problems)
    return GAMES[method]


def _keep_nothing(_totals: Totals) -> None:
    pass
