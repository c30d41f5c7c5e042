"""Weighted KNN-Shapley, as a declaration. Weights are given, or follow from distances."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dvspark.errors import Problem
from dvspark.kernels.formulas.weighted_knn_shapley import BITS as DEFAULT_BITS
from dvspark.kernels.formulas.weighted_knn_shapley import GIVEN, KINDS, WeightedKnnShapley, problems
from dvspark.methods.kinds.ordered import OrderedMethod
from dvspark.methods.parameters import Choice, K, Number, Whole
from dvspark.schemas.columns import LARGEST_NUMBER

KIND = Choice("kind", "how weights vote", "raw", words=KINDS)
WEIGHT = Choice(
    "weight",
    "given: the rows' own weights; inverse_distance or rbf: nearer rows count more",
    GIVEN,
    words=(GIVEN, "inverse_distance", "rbf"),
)
GAMMA = Number("gamma", "with weight: rbf, weights are exp(-gamma distance²)", 1.0, above=0.0)
BITS = Whole("bits", "with kind: hard, bits of a whole weight", DEFAULT_BITS)
EMPTY_UTILITY = Number(
    "empty_utility",
    "utility of no rows, with kind: normalized or hard",
    0.0,
    above=-LARGEST_NUMBER,
    most=LARGEST_NUMBER,
)
N_NEAREST = Whole("n_nearest", "with kind: hard, how many nearest rows are looked at; all if left out")


def _asks(given: Mapping[str, Any]) -> tuple[str, ...]:
    return ("weights",) if given.get("weight") in (None, GIVEN) else ()


def _by_distance(given: Mapping[str, Any]) -> bool:
    return given.get("weight") not in (None, GIVEN)


def _problems(given: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with the parameters taken together, if each alone is valid."""
    names = {"k": K, "kind": KIND, "bits": BITS, "n_nearest": N_NEAREST}
    values = {name: given.get(name) for name in names}
    return problems(**{name: names[name].default if v is None else v for name, v in values.items()})


WEIGHTED_KNN_SHAPLEY = OrderedMethod(
    name="weighted_knn_shapley",
    gives="its Shapley share of a weighted vote",
    purpose="rows have weights, or nearer rows count more",
    cost="sort, and up to n^k, depending on `kind`",
    formulas=WeightedKnnShapley,
    parameters=(K, KIND, WEIGHT, GAMMA, BITS, EMPTY_UTILITY, N_NEAREST),
    asks=_asks,
    check=_problems,
    exact_distances=_by_distance,
    reference="Jia et al., PVLDB 12(11), 2019, doi:10.14778/3342263.3342637; Wang, Mittal & Jia, AISTATS 2024",
)
