"""The scores of cleanlab's `data_shapley_knn`, as a declaration."""

from __future__ import annotations

from dvspark.kernels.formulas.cleanlab_knn_shapley import CleanlabKnnShapley, score
from dvspark.methods.kinds.nearest import NearestMethod
from dvspark.methods.parameters import K

CLEANLAB_KNN_SHAPLEY = NearestMethod(
    name="cleanlab_knn_shapley",
    formulas=CleanlabKnnShapley,
    parameters=(K,),
    self_validates=True,
    score=score,
    reference="cleanlab 2.9.0, data_shapley_knn; Jia et al., PVLDB 12(11), 2019, doi:10.14778/3342263.3342637",
)
