"""KNN regression Shapley of Jia et al. 2019, as a declaration."""

from __future__ import annotations

from dvspark.kernels.formulas import knn_regression_shapley as kernel
from dvspark.methods.kinds.ordered import OrderedMethod
from dvspark.methods.parameters import K, Number

EMPTY_UTILITY = Number(
    "empty_utility", "U(∅); formula: the squared error of predicting 0", "formula", words=("formula",)
)

KNN_REGRESSION_SHAPLEY = OrderedMethod(
    name="knn_regression_shapley",
    parameters=(K, EMPTY_UTILITY),
    target="number",
    point_values=kernel.point_values,
    utility=kernel.utility,
    second_values=kernel.reference_values,
    largest=kernel.largest_utility,
    reference="Jia et al., PVLDB 12(11), 2019, doi:10.14778/3342263.3342637, theorem 6, with the case n < k",
)
