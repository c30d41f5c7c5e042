"""Naively privatized KNN-Shapley (Wang et al. 2023), as a declaration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dvspark.errors import Problem
from dvspark.kernels.formulas.knn_dp import KnnDp
from dvspark.methods.dp_threshold_knn_shapley import ADJACENCY, DELTA, EPSILON
from dvspark.methods.kinds.noisy import NoisyMethod
from dvspark.methods.parameters import K
from dvspark.privacy import privacy_problems


def _problems(given: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with the parameters taken together, if each alone is valid."""
    return privacy_problems(given.get("epsilon"), given.get("delta"), given.get("adjacency") or ADJACENCY.default)


KNN_DP = NoisyMethod(
    name="knn_dp",
    gives="the value of `knn_shapley` with noise of its own",
    purpose="as the baseline of `dp_threshold_knn_shapley`; in arrays alone",
    cost="sort or bins",
    formulas=KnnDp,
    parameters=(K, EPSILON, DELTA, ADJACENCY),
    check=_problems,
    reference="Wang et al., Threshold KNN-Shapley, NeurIPS 2023, arXiv:2308.15709; Balle & Wang, ICML 2018",
)
