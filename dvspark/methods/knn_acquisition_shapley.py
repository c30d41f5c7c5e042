"""Acquisition KNN-Shapley, as a declaration: candidate rows as players, beside rows that are owned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dvspark.kernels.formulas.knn_acquisition_shapley import KnnAcquisitionShapley
from dvspark.methods.kinds.ordered import OrderedMethod
from dvspark.methods.parameters import K
from dvspark.schemas import OWNED


def _owned(_given: Mapping[str, Any]) -> tuple[str, ...]:
    return (OWNED.name,)


KNN_ACQUISITION_SHAPLEY = OrderedMethod(
    name="knn_acquisition_shapley",
    gives="its Shapley share of what all candidates add to the rows that are owned",
    purpose="to price rows that are offered to someone who owns rows",
    cost="sort",
    formulas=KnnAcquisitionShapley,
    parameters=(K,),
    asks=_owned,
    reference="the game of Jia et al., PVLDB 12(11), 2019, doi:10.14778/3342263.3342637, with the owned rows in every "
    "coalition",
)
