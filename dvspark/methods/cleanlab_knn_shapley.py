"""The scores of cleanlab's `data_shapley_knn`, as a declaration."""

from __future__ import annotations

import numpy as np

from dvspark.kernels.formulas import cleanlab_knn_shapley as kernel
from dvspark.methods.base import never
from dvspark.methods.kinds.nearest import NearestMethod
from dvspark.methods.parameters import K
from dvspark.schemas import Bools


def _total(matches: Bools, n_players: int, *, k: int) -> tuple[float, float]:
    return kernel.utility(float(np.count_nonzero(matches[:k])), n_players, k=k)


CLEANLAB_KNN_SHAPLEY = NearestMethod(
    name="cleanlab_knn_shapley",
    parameters=(K,),
    n_nearest=kernel.n_nearest,
    near_values=kernel.near_values,
    total=_total,
    second_values=kernel.reference_values,
    efficient=never,
    self_validates=True,
    score=kernel.score,
    reference="cleanlab 2.9.0, data_shapley_knn; Jia et al., PVLDB 12(11), 2019, doi:10.14778/3342263.3342637",
)
