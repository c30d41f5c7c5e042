"""Average marginal effects, as a declaration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dvspark.errors import Problem
from dvspark.games.estimators.effect_lasso import FITS, LASSO, MEAN
from dvspark.games.estimators.marginal_effect import MarginalEffect
from dvspark.methods.game_parameters import game_parameters
from dvspark.methods.kinds.games import GamesMethod
from dvspark.methods.parameters import Choice, Number

FIT = Choice("fit", "the mean of draws; a LASSO, which is biased; the LASSO, its bias corrected", MEAN, words=FITS)
PENALTY = Number("penalty", "penalty of the LASSO; follows from the draws if left out", above=0.0)


def _biased(given: Mapping[str, Any]) -> str:
    if given.get("fit") != LASSO:
        return ""
    return "fit: a LASSO shrinks effects toward 0; standard errors are those of fit='corrected'"


def _problems(given: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with the parameters taken together: bounds are of the mean, a penalty is of the LASSO."""
    fit, problems = given.get("fit") or MEAN, []
    if fit != MEAN and given.get("utility_range") is not None:
        hint = "leave it out: no bound is known; or take fit='mean'"
        problems.append(Problem("parameter 'utility_range'", f"none, with fit={fit!r}", "a number", hint))
    if fit == MEAN and given.get("penalty") is not None:
        hint = "leave it out, or take fit='lasso' or 'corrected'"
        problems.append(Problem("parameter 'penalty'", "none, with fit='mean'", "a number", hint))
    return problems


AME = GamesMethod(
    name="ame",
    gives="what it adds to a set that each other player joins with the same chance, 0.2 to 0.8, for any utility",
    purpose="to see what a player does in smaller and larger sets alike; to find the few that matter among many",
    cost="1 evaluation a draw, which counts for all players",
    reference="Lin et al., ICML 2022, arXiv:2206.10013",
    estimator=MarginalEffect,
    parameters=game_parameters(FIT, PENALTY),
    biased=_biased,
    check=_problems,
)
