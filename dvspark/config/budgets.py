"""Budgets: what is wrong with the settings that limit all private releases of a table."""

from __future__ import annotations

from dvspark.arguments import positive_problems
from dvspark.errors import Problem, written
from dvspark.methods import METHODS


def budget_problems(
    method: str, epsilon_budget: float | None, delta_budget: float | None, budget: str | None
) -> list[Problem]:
    """Return what is wrong with these settings; all of them are None where nothing is given."""
    given = {"epsilon_budget": epsilon_budget, "delta_budget": delta_budget, "budget": budget}
    named = [name for name, value in given.items() if value is not None]
    if named and method in METHODS and not METHODS[method].is_private:
        hint = "leave it out: nothing private is released"
        return [Problem(name, "a private method", method, hint) for name in named]
    problems = []
    if epsilon_budget is not None:
        hint = "what all releases of the table may come to, such as 4"
        problems += positive_problems("epsilon_budget", epsilon_budget, hint)
    if delta_budget is not None and not 0 < delta_budget < 1:
        hint = "far below 1 / (number of training rows)"
        problems.append(Problem("delta_budget", "a number between 0 and 1", written(delta_budget), hint))
    return problems
