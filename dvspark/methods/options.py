"""The options of a valuation, whichever way it was asked for, and their checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from dvspark.errors import Problem, close_matches
from dvspark.kernels.distances import METRICS
from dvspark.kernels.ranking import PRECISIONS, TIES, RankingOptions
from dvspark.methods import METHODS
from dvspark.methods.base import Method

AGGREGATES = ("mean", "sum")
RANKINGS = ("auto", "sorted", "binned")

# Above this many training rows bins are faster than the sort, by the compiled loops and by NumPy's
# (docs/decisions/0008).
BINNED_FROM_ROWS = 150_000


@dataclass(frozen=True)
class ValueOptions:
    """What to compute and how; ``parameters`` are the method's own, None standing for left out."""

    method: str = "knn_shapley"
    parameters: dict[str, Any] = field(default_factory=dict)
    metric: str = "euclidean"
    precision: str = "default"
    ties: str = "id"
    aggregate: str = "mean"
    ranking: str = "auto"
    tolerance: Any = 1e-8
    error_bound: Any = False
    self_validation: bool = False

    def problems(self) -> list[Problem]:
        """Return everything wrong with the options, none of it needing the data."""
        problems = [
            *choice_problems("method", self.method, sorted(METHODS)),
            *choice_problems("metric", self.metric, METRICS),
            *choice_problems("precision", self.precision, PRECISIONS),
            *choice_problems("ties", self.ties, TIES),
            *choice_problems("aggregate", self.aggregate, AGGREGATES),
            *choice_problems("ranking", self.ranking, RANKINGS),
        ]
        if not isinstance(self.tolerance, int | float) or not 0 < self.tolerance < 1:
            hint = "1e-8 is the default"
            problems.append(Problem("tolerance", "a number between 0 and 1", repr(self.tolerance), hint))
        if not isinstance(self.error_bound, bool):
            hint = "True adds how far each value may be from the sorted ranking's"
            problems.append(Problem("error_bound", "True or False", repr(self.error_bound), hint))
        if self.method in list(METHODS):  # not in the dictionary: what was given may have no hash
            problems += METHODS[self.method].parameter_problems(self.parameters)
        return problems

    @property
    def declaration(self) -> Method:
        """The method's declaration."""
        return METHODS[self.method]

    def resolved(self, n_classes: int) -> dict[str, int]:
        """Return the method's parameters with defaults and the counted classes filled in."""
        return self.declaration.resolved(self.parameters, n_classes)

    def ranking_for(self, n_train: int) -> str:
        """Return the ranking that will be used for so many training rows: sorted or binned."""
        if self.ranking != "auto":
            return self.ranking
        return "binned" if n_train > BINNED_FROM_ROWS and self.precision == "default" else "sorted"

    def ranking_options(self, parameters: dict[str, int], n_train: int) -> RankingOptions:
        """Return what the kernels need to know of the options."""
        return RankingOptions(
            self.metric,
            self.precision,
            self.ties,
            parameters["k"],
            self.ranking_for(n_train),
            float(self.tolerance),
            row_bounds=self.error_bound,
        )

    def record(self) -> dict[str, Any]:
        """Return the options as plain data."""
        return asdict(self)


def choice_problems(name: str, value: object, valid: Sequence[str]) -> list[Problem]:
    """Return a problem, with the closest valid words, unless the value is one of them."""
    if value in valid:
        return []
    expected = f"one of {', '.join(map(repr, valid))}"
    return [Problem(name, expected, repr(value), close_matches(str(value), list(valid)))]
