"""Differentially private threshold KNN-Shapley (Wang et al. 2023), as a declaration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dvspark.errors import Problem
from dvspark.kernels.formulas.dp_threshold_knn_shapley import DpThresholdKnnShapley
from dvspark.methods.kinds.private import PrivateMethod
from dvspark.methods.kinds.radius import RADIUS
from dvspark.methods.parameters import N_CLASSES, Choice, Number, Whole
from dvspark.privacy import OWNER, ROW, UNITS, privacy_problems

EPSILON = Number("epsilon", "privacy loss, together with delta", above=0.0)
DELTA = Number("delta", "chance that the privacy loss is exceeded, far below 1 / training rows", above=0.0)
ADJACENCY = Choice(
    "adjacency",
    "how two tables differ: one row more, or one row changed",
    "add_remove",
    words=("add_remove", "replace_one"),
)
SAMPLING_RATE = Number(
    "sampling_rate", "share of the training rows that a release draws and counts", 1.0, above=0.0, most=1.0
)
UNIT = Choice("unit", "what is protected: one row, or all rows of an owner", ROW, words=UNITS)
ROWS_PER_OWNER = Whole(
    "rows_per_owner", "with unit: owner, how many rows of an owner count at a point; the lowest ids first", 1
)


def _problems(given: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with the parameters taken together, if each alone is valid."""
    adjacency, rate = given.get("adjacency") or ADJACENCY.default, given.get("sampling_rate") or SAMPLING_RATE.default
    unit, rows = given.get("unit") or UNIT.default, given.get("rows_per_owner") or ROWS_PER_OWNER.default
    problems = privacy_problems(given.get("epsilon"), given.get("delta"), adjacency, rate, 1, unit, rows)
    if unit == OWNER and given.get("rows_per_owner") is None:
        hint = "give how many rows an owner usually has within a radius; noise grows with this number"
        problems.append(Problem("rows_per_owner", "a whole number, with unit: owner", "none", hint))
    return problems


def _asks(given: Mapping[str, Any]) -> tuple[str, ...]:
    """Return "owners" if owners are what is protected."""
    return ("owners",) if given.get("unit") == OWNER else ()


DP_THRESHOLD_KNN_SHAPLEY = PrivateMethod(
    name="dp_threshold_knn_shapley",
    gives="the value of `threshold_knn_shapley`, from noisy counts",
    purpose="owners must not learn of each other's rows",
    cost="two counts",
    formulas=DpThresholdKnnShapley,
    parameters=(RADIUS, N_CLASSES, EPSILON, DELTA, ADJACENCY, SAMPLING_RATE, UNIT, ROWS_PER_OWNER),
    check=_problems,
    asks=_asks,
    reference="Wang et al., Threshold KNN-Shapley, NeurIPS 2023, arXiv:2308.15709; Balle & Wang, ICML 2018",
)
