"""Truncated KNN-Shapley of Jia et al. 2019, as a declaration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dvspark.errors import Problem
from dvspark.kernels.formulas import truncated_knn_shapley as kernel
from dvspark.methods.base import Approximation
from dvspark.methods.kinds.nearest import NearestMethod
from dvspark.methods.parameters import Choice, K, Number, Parameters, Whole
from dvspark.methods.search_index import EXACT, INDEX, factory_problems, kernel_parameters
from dvspark.schemas import Bools

EPSILON = Number("epsilon", "largest error of a value; the number of nearest rows follows", above=0.0, most=1.0)
K_STAR = Whole("k_star", "nearest rows that get values; else they follow from epsilon")
TAIL = Choice("tail", "what farther rows get", "zero", words=kernel.TAILS)


def _problems(given: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with the parameters taken together, if each alone is valid."""
    k = K.default if given.get("k") is None else given["k"]
    problems = kernel.parameter_problems(k=k, epsilon=given.get("epsilon"), k_star=given.get("k_star"))
    return problems + factory_problems(given.get("index"))


def _total(matches: Bools, n_players: int, *, k: int, tail: str, **parameters: Any) -> tuple[float, float]:
    if tail == "zero":
        return kernel.zero_tail_total(matches, k=k), 0.0
    return kernel.utility(float(np.count_nonzero(matches[:k])), n_players, k=k, tail=tail, **parameters)


def _error(n_players: int, parameters: Parameters) -> float:
    """Return the proven bound. Under approximate search nothing is proven: both values are within 1 / k of zero."""
    if parameters["index"] != EXACT:
        return 2.0 / int(parameters["k"])
    return kernel.error_bound(n_players, **kernel_parameters(parameters))


def _efficient(parameters: Parameters) -> bool:
    return bool(parameters["tail"] == "zero")


TRUNCATED_KNN_SHAPLEY = NearestMethod(
    name="truncated_knn_shapley",
    parameters=(K, EPSILON, K_STAR, TAIL, INDEX),
    check=_problems,
    n_nearest=kernel.n_nearest,
    near_values=kernel.near_values,
    total=_total,
    second_values=kernel.reference_values,
    efficient=_efficient,
    error=_error,
    approximates=Approximation("knn_shapley", kernel.n_nearest, kernel.error_bound),
    reference="Jia et al., PVLDB 12(11), 2019, doi:10.14778/3342263.3342637, theorem 2",
)
