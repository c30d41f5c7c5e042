"""KNN regression Shapley of Jia et al. 2019, as a declaration."""

from __future__ import annotations

from dvspark.kernels.formulas.knn_regression_shapley import KnnRegressionShapley
from dvspark.methods.kinds.ordered import OrderedMethod
from dvspark.methods.parameters import K, Number

EMPTY_UTILITY = Number(
    "empty_utility", "U(∅); formula: the squared error of predicting 0", "formula", words=("formula",)
)

KNN_REGRESSION_SHAPLEY = OrderedMethod(
    name="knn_regression_shapley",
    formulas=KnnRegressionShapley,
    parameters=(K, EMPTY_UTILITY),
    target="number",
    reference="Jia et al., PVLDB 12(11), 2019, doi:10.14778/3342263.3342637, theorem 6, with the case n < k",
)
