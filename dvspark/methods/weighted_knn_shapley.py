"""Weighted KNN-Shapley, as a declaration. Weights are given, or follow from distances."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from dvspark.errors import Problem
from dvspark.kernels.distances import distance_weights
from dvspark.kernels.formulas import hard_weighted
from dvspark.kernels.formulas import weighted_knn_shapley as kernel
from dvspark.kernels.ranking.ordered import OrderedPoint
from dvspark.methods.kinds.ordered import OrderedMethod
from dvspark.methods.parameters import Choice, K, Number, Parameters, Whole

Found = TypeVar("Found")

KIND = Choice("kind", "how weights vote", "raw", words=kernel.KINDS)
WEIGHT = Choice("weight", "whose weights count", "given", words=("given", "inverse_distance", "rbf"))
GAMMA = Number("gamma", "of weight: rbf, exp(-gamma distance²)", 1.0, above=0.0)
BITS = Whole("bits", "of kind: hard, bits of a quantized weight", kernel.BITS)
EMPTY_UTILITY = Number("empty_utility", "U(∅), of the kinds normalized and hard", 0.0)
N_NEAREST = Whole("n_nearest", "of kind: hard, the nearest rows that are looked at; all if left out")


def _asks(given: Mapping[str, Any]) -> tuple[str, ...]:
    return ("weights",) if given.get("weight") in (None, "given") else ()


def _by_distance(parameters: Parameters) -> bool:
    return parameters.get("weight") not in (None, "given")


def _efficient(parameters: Parameters) -> bool:
    return parameters["n_nearest"] is None


def _error(n_players: int, parameters: Parameters) -> float:
    m = parameters["n_nearest"]
    return 0.0 if m is None else hard_weighted.truncation_bound(n_players, parameters["k"], m)


def _problems(given: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with the parameters taken together, if each alone is valid."""
    names = {"k": K, "kind": KIND, "bits": BITS, "n_nearest": N_NEAREST}
    values = {name: given.get(name) for name in names}
    return kernel.problems(**{name: names[name].default if v is None else v for name, v in values.items()})


def _weighed(of_point: Callable[..., Found]) -> Callable[..., Found]:
    """Return a function of the kernel file that first gives points the weights that follow from distances, if any."""

    def of_weighed(point: OrderedPoint, *, weight: str, gamma: float, **parameters: Any) -> Found:
        if weight != "given" and point.distances is not None:
            distances = point.distances
            by_rbf = weight == "rbf"
            weights = distance_weights.rbf(distances, gamma) if by_rbf else distance_weights.inverse_distance(distances)
            point = dataclasses.replace(point, weights=weights)
        return of_point(point, **parameters)

    return of_weighed


WEIGHTED_KNN_SHAPLEY = OrderedMethod(
    name="weighted_knn_shapley",
    parameters=(K, KIND, WEIGHT, GAMMA, BITS, EMPTY_UTILITY, N_NEAREST),
    asks=_asks,
    check=_problems,
    efficient=_efficient,
    error=_error,
    exact_distances=_by_distance,
    point_values=_weighed(kernel.point_values),
    utility=_weighed(kernel.utility),
    second_values=_weighed(kernel.reference_values),
    largest=_weighed(kernel.largest_utility),
    reference="Jia et al., PVLDB 12(11), 2019, doi:10.14778/3342263.3342637; Wang, Mittal & Jia, AISTATS 2024",
)
