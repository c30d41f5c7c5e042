"""Leave-one-out, as a declaration."""

from __future__ import annotations

from dvspark.kernels.formulas.knn_loo import KnnLoo
from dvspark.methods.kinds.nearest import NearestMethod
from dvspark.methods.parameters import N_CLASSES, UTILITY, K

KNN_LOO = NearestMethod(
    name="knn_loo",
    formulas=KnnLoo,
    parameters=(K, UTILITY, N_CLASSES),
    reference="the definition, U(N) - U(N without i); utilities of Jia et al. 2019 and Wang & Jia 2023",
)
