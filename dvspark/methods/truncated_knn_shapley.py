"""Truncated KNN-Shapley of Jia et al. 2019, as a declaration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dvspark.errors import Problem
from dvspark.kernels.formulas.truncated_knn_shapley import TAILS, TruncatedKnnShapley, parameter_problems
from dvspark.methods.kinds.nearest import NearestMethod
from dvspark.methods.parameters import Choice, K, Number, Whole
from dvspark.methods.search_index import INDEX, factory_problems

EPSILON = Number("epsilon", "largest error of a value, from which k_star follows", above=0.0, most=1.0)
K_STAR = Whole("k_star", "how many nearest rows get values; follows from epsilon if left out")
TAIL = Choice("tail", "what farther rows get: zero, or bound, the middle of what is possible", "zero", words=TAILS)


def _problems(given: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with the parameters taken together, if each alone is valid."""
    k = K.default if given.get("k") is None else given["k"]
    problems = parameter_problems(k=k, epsilon=given.get("epsilon"), k_star=given.get("k_star"))
    return problems + factory_problems(given.get("index"))


TRUNCATED_KNN_SHAPLEY = NearestMethod(
    name="truncated_knn_shapley",
    gives="an approximation of its Shapley share, from the nearest rows only",
    purpose="to compare with results that truncate",
    cost="k* nearest rows",
    formulas=TruncatedKnnShapley,
    parameters=(K, EPSILON, K_STAR, TAIL, INDEX),
    check=_problems,
    approximates="knn_shapley",
    reference="Jia et al., PVLDB 12(11), 2019, doi:10.14778/3342263.3342637, theorem 2",
)
