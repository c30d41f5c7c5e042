"""Owner sum of points as a declaration: the values of an owner's rows, added up (Faithful Group Shapley Value)."""

from __future__ import annotations

from dvspark.kernels.formulas.owner_sum_of_points import OwnerSumOfPoints
from dvspark.methods.base import owners
from dvspark.methods.kinds.ordered import OrderedMethod
from dvspark.methods.parameters import K

OWNER_SUM_OF_POINTS = OrderedMethod(
    name="owner_sum_of_points",
    formulas=OwnerSumOfPoints,
    parameters=(K,),
    players="owners",
    asks=owners,
    reference="Jia et al., PVLDB 12(11), 2019, doi:10.14778/3342263.3342637, theorem 1, added up by owner; "
    "Lee et al., Faithful Group Shapley Value, 2025, arXiv:2505.19013",
)
