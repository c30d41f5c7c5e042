"""KNN regression Shapley of Jia et al. 2019, as a declaration."""

from __future__ import annotations

from dvspark.kernels.formulas.knn_regression_shapley import KnnRegressionShapley
from dvspark.methods.kinds.ordered import OrderedMethod
from dvspark.methods.parameters import K, Number
from dvspark.schemas.columns import LARGEST_NUMBER

EMPTY_UTILITY = Number(
    "empty_utility",
    "utility of no rows; formula: the squared error of predicting 0",
    "formula",
    words=("formula",),
    above=-LARGEST_NUMBER,
    most=LARGEST_NUMBER,
)

KNN_REGRESSION_SHAPLEY = OrderedMethod(
    name="knn_regression_shapley",
    gives="its Shapley share of the squared error",
    purpose="targets are numbers",
    cost="sort",
    formulas=KnnRegressionShapley,
    parameters=(K, EMPTY_UTILITY),
    target="number",
    reference="Jia et al., PVLDB 12(11), 2019, doi:10.14778/3342263.3342637, theorem 6, with the case n < k",
)
