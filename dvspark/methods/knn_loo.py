"""Leave-one-out, as a declaration."""

from __future__ import annotations

from typing import Any

import numpy as np

from dvspark.kernels.formulas import knn_loo as kernel
from dvspark.methods.base import never
from dvspark.methods.kinds.nearest import NearestMethod
from dvspark.methods.parameters import N_CLASSES, UTILITY, K
from dvspark.schemas import Bools


def _total(matches: Bools, n_players: int, *, k: int, **parameters: Any) -> tuple[float, float]:
    return kernel.utility(float(np.count_nonzero(matches[:k])), n_players, k=k, **parameters)


KNN_LOO = NearestMethod(
    name="knn_loo",
    parameters=(K, UTILITY, N_CLASSES),
    n_nearest=kernel.n_nearest,
    near_values=kernel.near_values,
    total=_total,
    second_values=kernel.reference_values,
    efficient=never,
    reference="the definition, U(N) - U(N without i); utilities of Jia et al. 2019 and Wang & Jia 2023",
)
