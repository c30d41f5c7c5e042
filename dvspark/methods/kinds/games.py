"""Methods of the kind `games`: values from what a utility says of coalitions, for any utility."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dvspark.errors import Problem
from dvspark.games.bounds import Promise
from dvspark.games.estimators.base import Estimator
from dvspark.games.playing import Rules
from dvspark.methods.parameters import Number, Parameter, parameter_problems, resolved_parameters

STANDARD_ERROR = Number("standard_error", "stop when no value has a larger standard error", above=0.0)
EPSILON = Number("epsilon", "stop when no value can be farther off, with a chance of 1 - delta", above=0.0)
DELTA = Number("delta", "the chance that a value is off by more than the error bound", 0.05, above=0.0, most=0.5)
UTILITY_RANGE = Number("utility_range", "how far apart the utilities of two coalitions can be, at most", above=0.0)
RULES = (STANDARD_ERROR, EPSILON, DELTA, UTILITY_RANGE)


@dataclass(frozen=True, kw_only=True)
class GamesMethod:
    """A method that values players by the utility of coalitions: a declaration, as of `Method`.

    - ``estimator``: the class that has ``n_players`` and the own parameters as fields.
    - ``draws``: whether coalitions are drawn at random, so that there are rules to stop by.
    - ``biased``: given parameters as plain data, why the values are biased, or nothing.
    """

    name: str
    estimator: Callable[..., Estimator]
    gives: str
    purpose: str
    cost: str
    reference: str
    own_parameters: tuple[Parameter, ...] = ()
    draws: bool = True
    efficient: bool = False
    biased: Callable[[Mapping[str, Any]], str] = lambda _given: ""

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All parameters besides evaluations and seed."""
        return self.own_parameters + (RULES if self.draws else ())

    def parameter_problems(self, given: Mapping[str, Any]) -> list[Problem]:
        """Return what is wrong with the given parameters; None stands for left out."""
        problems = parameter_problems(self.name, self.parameters, given)
        if not problems and given.get("epsilon") is not None and given.get("utility_range") is None:
            hint = "a bound follows from it: 1 for an accuracy; or stop by standard_error"
            problems.append(Problem("parameter 'utility_range'", "a number, with epsilon", "None", hint))
        return problems

    def resolved(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return all parameters by name: the given value, else the default."""
        return resolved_parameters(self.parameters, given, 0)

    def estimator_of(self, n_players: int, resolved: Mapping[str, Any]) -> Estimator:
        """Return the estimator for so many players."""
        return self.estimator(n_players, **{own.name: resolved[own.name] for own in self.own_parameters})

    def rules_of(self, evaluations: int, resolved: Mapping[str, Any]) -> Rules:
        """Return when to stop."""
        promise = None
        if resolved.get("utility_range") is not None:
            promise = Promise(resolved["utility_range"], resolved["delta"], resolved["epsilon"])
        return Rules(evaluations, resolved.get("standard_error"), promise)
