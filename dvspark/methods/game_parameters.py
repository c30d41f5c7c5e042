"""The parameters of methods of the kind `games`: of the game, of the method, and of the rules by which it stops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dvspark.games.utilities.named import FORM, name_of
from dvspark.kernels.formulas.kinds import Parameters
from dvspark.methods.parameters import N_CLASSES, Choice, Flag, K, Number, Parameter, Whole


@dataclass(frozen=True)
class Factory(Parameter):
    """A utility: as settings write it (`games.utilities.named`), or from Python a function of `GameTables`."""

    shown: str = "UTILITY"

    @property
    def form(self) -> str:
        """How a value is written, in short."""
        return self.shown

    @property
    def expected(self) -> str:
        """The values that the parameter accepts, in words for messages."""
        return FORM

    def accepts(self, value: Any) -> bool:
        """Return whether the parameter accepts a value."""
        return callable(value) or (isinstance(value, str) and bool(value.strip()))


UTILITY_OF_TABLES = Factory("utility", "what a set of rows is worth: a name, or a function of both tables", "knn")
UTILITY_WITH_SCORES = Factory(
    "utility", "the model that answers rows: a name, or a function of both tables", "model", shown="MODEL"
)
PLAYERS = Choice("players", "who is valued: rows, or the owners of rows", "rows", ("rows", "owners"))
TARGET = Choice("target", "what rows have as label: a class, or a number to predict", "label", ("label", "number"))
EVALUATIONS = Whole("evaluations", "the most sets whose worth is asked for", 10_000)
SEED = Whole("seed", "decides which sets are drawn", 0, least=0)
CACHE_WORTHS = Flag("cache_worths", "true: no process asks twice what a set is worth", False)
UTILITY_RADIUS = Number("radius", "for utility threshold_knn: largest distance of a neighbor, in the metric's unit")

STANDARD_ERROR = Number("standard_error", "stop when no value has a larger standard error", above=0.0)
EPSILON = Number("epsilon", "stop when no value can be farther off, with a chance of 1 - delta", above=0.0)
DELTA = Number("delta", "the chance that a value is off by more than the error bound", 0.05, above=0.0, most=0.5)
UTILITY_RANGE = Number("utility_range", "how far apart the utilities of two coalitions can be, at most", above=0.0)
RULES = (STANDARD_ERROR, EPSILON, DELTA, UTILITY_RANGE)

# What a job is told besides the parameters of a method: `dvspark.value_game` has arguments of its own for it.
OF_JOBS = (PLAYERS, TARGET, EVALUATIONS, SEED, CACHE_WORTHS, K, UTILITY_RADIUS, N_CLASSES)


def game_parameters(
    *own: Parameter, utility: Parameter = UTILITY_OF_TABLES, draws: bool = True
) -> tuple[Parameter, ...]:
    """Return the parameters of a method with ``own`` ones; ``draws``: there are rules to stop by."""
    return (utility, *OF_JOBS, *own, *(RULES if draws else ()))


@dataclass(frozen=True)
class GameParameters(Parameters):
    """The parameters of a method by name, with defaults filled in; ``sums``: values sum to U(N) - U(∅)."""

    values: Mapping[str, Any]
    sums: bool

    def plain(self) -> dict[str, Any]:
        """Return them by name, as plain data; a utility that is a function by its name."""
        return {**self.values, "utility": name_of(self.values["utility"])}

    @property
    def efficient(self) -> bool:
        """Whether the values sum to U(N) - U(∅)."""
        return self.sums
