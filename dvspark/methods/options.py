"""The options of a valuation, for all ways in, and their checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from dvspark.arguments import choice_problems
from dvspark.errors import Problem, written
from dvspark.kernels.distances.distances import METRICS
from dvspark.kernels.formulas.kinds import Parameters
from dvspark.kernels.ranking.ranking import PRECISIONS, TIES, RankingOptions
from dvspark.methods import METHODS
from dvspark.methods.base import Method
from dvspark.methods.kinds.sums import GIVEN
from dvspark.methods.search_index import INDEX, table_problems
from dvspark.schemas import EXACT, OWNED

AGGREGATES = ("mean", "sum")
RANKINGS = ("auto", "sorted", "binned")

# Above this many training rows bins are faster than the sort, by the compiled loops and by NumPy's
# (docs/decisions/0008).
BINNED_FROM_ROWS = 150_000


@dataclass(frozen=True)
class ValueOptions:
    """What to compute and how. ``parameters`` are those of the method; None stands for left out."""

    method: str = "knn_shapley"
    parameters: dict[str, Any] = field(default_factory=dict)
    metric: str = "euclidean"
    precision: str = "default"
    ties: str = "id"
    aggregate: str = "mean"
    ranking: str = "auto"
    tolerance: Any = 1e-8
    error_bound: Any = False
    self_validation: Any = False
    by_class: Any = False

    @classmethod
    def of(cls, method: str, k: Any, n_classes: Any, method_params: Mapping[str, Any], **options: Any) -> ValueOptions:
        """Return the options of a call; ``k`` and ``n_classes`` become parameters if the method has them."""
        if method in list(METHODS) and METHODS[method].self_validates:
            options["self_validation"] = True
        common = {"k": k, "n_classes": n_classes}
        declaration = METHODS[method] if method in list(METHODS) else None
        known = {name: value for name, value in common.items() if declaration is None or declaration.knows(name)}
        return cls(method, {**known, **method_params}, **options)

    def problems(self) -> list[Problem]:
        """Return everything that is wrong with the options and can be known without the data."""
        problems = [
            *choice_problems("method", self.method, sorted(METHODS)),
            *choice_problems("metric", self.metric, METRICS),
            *choice_problems("precision", self.precision, PRECISIONS),
            *choice_problems("ties", self.ties, TIES),
            *choice_problems("aggregate", self.aggregate, AGGREGATES),
            *choice_problems("ranking", self.ranking, RANKINGS),
        ]
        if not isinstance(self.tolerance, int | float) or not 0 <= self.tolerance < 1:
            hint = "1e-8 is the default; 0 puts all rows in exact order"
            problems.append(Problem("tolerance", "a number from 0 to below 1", written(self.tolerance), hint))
        elif self.tolerance == 0 and self.ranking == "binned":
            expected, hint = "a tolerance above 0 for bins", "leave ranking out, or give a tolerance such as 1e-8"
            problems.append(Problem("tolerance, ranking", expected, "0 and binned", hint))
        if not isinstance(self.error_bound, bool):
            hint = "True adds how far each value may be from the exact one"
            problems.append(Problem("error_bound", "True or False", written(self.error_bound), hint))
        if not isinstance(self.self_validation, bool):
            hint = "True: the training rows are the validation rows too"
            problems.append(Problem("self_validation", "True or False", written(self.self_validation), hint))
        if not isinstance(self.by_class, bool):
            hint = "True tells the part of each value that comes from validation rows of the row's own class"
            problems.append(Problem("by_class", "True or False", written(self.by_class), hint))
        if self.method in list(METHODS):  # no look-up in the dictionary, because the given value may not be hashable
            problems += METHODS[self.method].parameter_problems(self.parameters) + self._unfit()
        return problems

    def _unfit(self) -> list[Problem]:
        """Return problems of options that the method cannot follow."""
        method, problems = self.declaration, []
        if self.ranking == "binned" and not method.bins:
            hint = "leave ranking out"
            problems.append(Problem("ranking", f"'auto' or 'sorted' for {method.name}", "'binned'", hint))
        if self.ties == "average" and not method.averages_ties:
            hint = "rows at equal distance rank by id; for symmetric values of duplicates use knn_shapley"
            problems.append(Problem("ties", f"'id' for {method.name}", "'average'", hint))
        problems += self._revealing()
        if self.self_validation and not method.sits_out:
            hint = "give validation rows: all rows are valued by one game, so no row can sit out of it"
            problems.append(Problem("self_validation", f"False for {method.name}", "True", hint))
        if method.exact_distances(self.parameters) and self.metric == "inner_product":
            hint = "an inner product may be negative; use cosine, or give weights"
            problems.append(
                Problem("metric", "distances of at least 0, for weights by distance", "'inner_product'", hint)
            )
        if self.metric != "euclidean" and not method.compares_by(self.parameters):
            hint = "leave metric out: rows are not compared"
            problems.append(Problem("metric", f"'euclidean' for {method.name}", written(self.metric), hint))
        if self.error_bound and method.bounds(self.parameters) is False:
            hint = (
                "give utility_range, how far apart the utilities of two sets can be, and no truncation; or leave it out"
            )
            problems.append(Problem("error_bound", f"False for {method.name} as it is set", "True", hint))
        if self.aggregate == "sum" and not method.adds_up:
            hint = "leave aggregate out: all validation rows are one game"
            problems.append(Problem("aggregate", f"'mean' for {method.name}", "'sum'", hint))
        if self.aggregate == "sum" and method.score is not None:
            problems.append(Problem("aggregate", f"'mean' for {method.name}", "'sum'", "its scores are of mean values"))
        if self.by_class and (self.players != "rows" or self.target != "label" or not self.declaration.has_groups):
            hint = "leave by_class out, or choose a method that values rows with labels point by point"
            problems.append(Problem("by_class", f"False for {method.name} as it is set", "True", hint))
        return problems

    def _revealing(self) -> list[Problem]:
        """Return problems of options by which a private method would tell of private rows."""
        method, problems = self.declaration, []
        if method.is_private and self.self_validation:
            hint = "give validation rows that may be known to all"
            problems.append(Problem("self_validation", f"False for {method.name}", "True", hint))
        if method.hides == "values" and self.error_bound:
            hint = "leave it out: bounds follow from private rows"
            problems.append(Problem("error_bound", f"False for {method.name}", "True", hint))
        return problems

    def table_problems(self, n_train: int, n_features: int) -> list[Problem]:
        """Return what is wrong with the options for a training table of this size."""
        return table_problems(self.index, self.metric, n_features, n_train)

    @property
    def index(self) -> str:
        """How near rows are found: "exact", or a FAISS factory string."""
        return self.parameters.get(INDEX.name) or EXACT

    @property
    def asks(self) -> tuple[str, ...]:
        """The columns of training rows that the method needs besides embedding and label."""
        return self.declaration.asks(self.parameters)

    @property
    def players(self) -> str:
        """Who is valued: "rows" or "owners"."""
        return self.declaration.players_of(self.parameters)

    @property
    def target(self) -> str:
        """What rows have as label: "label" or "number"."""
        return self.declaration.target_of(self.parameters)

    @property
    def row_bounds(self) -> bool:
        """Whether values come with a bound of their error: it was asked for, or it follows from the parameters."""
        return bool(self.error_bound or self.declaration.bounds(self.parameters))

    @property
    def declaration(self) -> Method[Parameters]:
        """The method's declaration."""
        return METHODS[self.method]

    def resolved(self, n_classes: int) -> Parameters:
        """Return the method's parameters with defaults and the counted number of classes filled in."""
        return self.declaration.resolved(self.parameters, n_classes)

    def ranking_for(self, n_train: int) -> str:
        """Return the ranking for so many training rows: "sorted" or "binned"."""
        if self.ranking != "auto":
            return self.ranking
        if not self.declaration.bins or self.tolerance == 0:  # bins always leave something of the order open
            return "sorted"
        return "binned" if n_train > BINNED_FROM_ROWS and self.precision == "default" else "sorted"

    def ranking_options(self, parameters: Parameters, n_train: int) -> RankingOptions:
        """Return the options that kernels need."""
        exact = self.declaration.exact_distances(parameters.plain())
        return RankingOptions(
            self.metric,
            "float64" if exact else self.precision,
            self.ties,
            parameters.n_voting,
            self.ranking_for(n_train),
            float(self.tolerance),
            row_bounds=self.row_bounds,
        )

    @property
    def has_exact_keys(self) -> bool:
        """Whether no float32 key decides anything: the method makes none, or the precision is float64."""
        method = self.declaration
        return self.precision == "float64" or not method.compares or method.exact_distances(self.parameters)

    def record(self) -> dict[str, Any]:
        """Return the options as plain data; without ``by_class`` where it is off, as before there was one."""
        return {name: value for name, value in asdict(self).items() if name != "by_class" or value}


def group_problems(options: ValueOptions, given: Mapping[str, str | None]) -> list[Problem]:
    """Return why validation rows cannot have weights or tasks; ``given``: settings, and the columns that they name."""
    if options.method not in list(METHODS) or options.declaration.has_groups:
        return []
    hint = "leave it out, or choose a method whose values add up point by point, such as knn_shapley"
    return [
        Problem(where, f"none, for {options.method}", written(column), hint)
        for where, column in given.items()
        if column is not None
    ]


def epoch_problems(options: ValueOptions, given: Mapping[str, str | None]) -> list[Problem]:
    """Return why rows cannot be of several epochs; ``given``: settings of all tables, and the columns they name."""
    named = {where: column for where, column in given.items() if column is not None}
    if options.method not in list(METHODS) or not named:
        return []
    if options.parameters.get("source") != GIVEN:
        hint = "leave it out, or value gradients: method: chg_shapley, source: gradients"
        expected = f"none, for {options.method} of embeddings"
        return [Problem(where, expected, written(column), hint) for where, column in named.items()]
    if len(named) < len(given):
        got, hint = f"only {', '.join(named)}", "the target of each epoch is the mean of that epoch"
        return [Problem(", ".join(given), "both or neither", got, hint)]
    return []


def owned_problems(options: ValueOptions, *, given: bool) -> list[Problem]:
    """Return whether a table of owned rows is missing, or there without use; ``given``: there is one."""
    asked = options.method in list(METHODS) and OWNED.name in options.asks
    if asked and not given:
        hint = "give one; to someone who owns nothing, rows are worth what knn_shapley says"
        return [Problem(OWNED.name, f"a table of rows that are owned, for {options.method}", "none", hint)]
    if given and not asked:
        hint = "leave it out, or choose knn_acquisition_shapley"
        return [Problem(OWNED.name, f"no owned rows, for {options.method}", "a table", hint)]
    if given and options.self_validation:
        hint = "give validation rows; owned rows play in every game"
        return [Problem("self_validation", "false with owned rows", "true", hint)]
    return []
