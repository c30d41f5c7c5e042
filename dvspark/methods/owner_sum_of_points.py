"""Owner sum of points as a declaration: the values of an owner's rows, added up (Faithful Group Shapley Value)."""

from __future__ import annotations

from dvspark.kernels.formulas import owner_sum_of_points as kernel
from dvspark.methods.base import owners
from dvspark.methods.kinds.ordered import OrderedMethod
from dvspark.methods.parameters import K

OWNER_SUM_OF_POINTS = OrderedMethod(
    name="owner_sum_of_points",
    parameters=(K,),
    players="owners",
    asks=owners,
    point_values=kernel.point_values,
    utility=kernel.utility,
    second_values=kernel.reference_values,
    reference="Jia et al., PVLDB 12(11), 2019, doi:10.14778/3342263.3342637, theorem 1, added up by owner; "
    "Lee et al., Faithful Group Shapley Value, 2025, arXiv:2505.19013",
)
