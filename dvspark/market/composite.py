"""Composite game: the analyst, who brings the model, is a player beside the training rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from dvspark.arguments import choice_problems
from dvspark.arrays.array_values import value_arrays
from dvspark.errors import ConfigError, Problem
from dvspark.schemas import Float64s

# Of each method the one whose values add up to the utility of all rows, and the options it shares.
BETA_OF = {"knn_shapley": "knn_beta", "soft_knn_shapley": "knn_beta", "threshold_knn_shapley": "threshold_knn_beta"}
UTILITY_OF = {"knn_shapley": "jia2019", "soft_knn_shapley": "wang2023"}


@dataclass(frozen=True)
class CompositeValues:
    """Values of the composite game: of training ``rows``, float64 (n_train,), and of the ``analyst``."""

    rows: Float64s
    analyst: float


def composite_values(
    x_train: npt.ArrayLike,
    y_train: Any,
    x_validation: npt.ArrayLike,
    y_validation: Any,
    *,
    method: str = "knn_shapley",
    **options: Any,
) -> CompositeValues:
    """Return what rows and the analyst are worth: a set of rows is worth U(S) - U(∅) with the analyst, else nothing.

    A row gets half of its Beta(1, 2) semivalue, the analyst what is left of U(N) - U(∅); together they add up to it.
    ``method``, "knn_shapley", "soft_knn_shapley" or "threshold_knn_shapley", names the utility; ``options`` are those
    of `dvspark.value_arrays`.
    Cost: two valuations. Raises: ConfigError for another method; else as `value_arrays` does.
    Source: Jia et al., PVLDB 12(11), 2019, doi:10.14778/3342263.3342637, section 4; for any game, half of the Beta
    semivalue of Kwon & Zou, AISTATS 2022, with alpha = 1 and beta = 2.
    """
    problems = choice_problems("method", method, tuple(BETA_OF))
    if options.get("error_bound"):
        problems.append(Problem("error_bound", "False", "True", "leave it out; ask `value_arrays` for certificates"))
    if problems:
        raise ConfigError(problems)
    given = x_train, y_train, x_validation, y_validation
    of_beta = {**options, "method": BETA_OF[method], "alpha": 1, "beta": 2}
    if method in UTILITY_OF:
        of_beta["utility"] = UTILITY_OF[method]
    # First, so that messages are about the method that was asked for.
    total = float(value_arrays(*given, method=method, **options).sum())
    rows = value_arrays(*given, **of_beta) / 2
    return CompositeValues(rows, total - float(rows.sum()))
