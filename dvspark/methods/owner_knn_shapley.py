"""Owner KNN-Shapley: owners as players, as a declaration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dvspark.errors import Problem
from dvspark.kernels.formulas.owner_knn_shapley import OwnerKnnShapley, owner_limit
from dvspark.methods.base import owners
from dvspark.methods.kinds.ordered import OrderedMethod
from dvspark.methods.parameters import K


def _problems(given: Mapping[str, Any]) -> list[Problem]:
    return owner_limit(K.default if given.get("k") is None else given["k"])


OWNER_KNN_SHAPLEY = OrderedMethod(
    name="owner_knn_shapley",
    formulas=OwnerKnnShapley,
    parameters=(K,),
    players="owners",
    asks=owners,
    check=_problems,
    reference="Jia et al., PVLDB 12(11), 2019, doi:10.14778/3342263.3342637, section 5; here in polynomial time",
)
