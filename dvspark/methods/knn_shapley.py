"""KNN-Shapley of Jia et al. 2019, as a declaration."""

from __future__ import annotations

from dvspark.kernels.formulas.knn_shapley import KnnShapley
from dvspark.methods.kinds.ranking import RankingMethod
from dvspark.methods.parameters import K

KNN_SHAPLEY = RankingMethod(
    name="knn_shapley",
    formulas=KnnShapley,
    parameters=(K,),
    reference="Jia et al., PVLDB 12(11), 2019, doi:10.14778/3342263.3342637, theorem 1",
)
