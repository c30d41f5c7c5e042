"""Methods: what is computed. One frozen declaration a method, one file each; `METHODS` finds them by name."""

from __future__ import annotations

from dvspark.methods.base import Method
from dvspark.methods.knn_shapley import KNN_SHAPLEY
from dvspark.methods.soft_knn_shapley import SOFT_KNN_SHAPLEY

METHODS: dict[str, Method] = {method.name: method for method in (KNN_SHAPLEY, SOFT_KNN_SHAPLEY)}
