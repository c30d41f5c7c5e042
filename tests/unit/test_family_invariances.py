"""What must not matter to the values of any method, and how they add up over validation points."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from family import FAMILY, SCORES
from oracles import EXACT_ORDER_TOLERANCE

import dvspark
from dvspark.methods import METHODS

# Scores of rows that all validate each other have no validation rows of their own.
WITH_VALIDATION = [method for method in FAMILY if method != SCORES]


@pytest.mark.parametrize("method", WITH_VALIDATION)
def test_value_arrays__of_every_method_a_single_row_that_sits_out_its_own_game_has_no_value(method: str) -> None:
    columns: dict[str, Any] = {"owners": ["a"]} if METHODS[method].players == "owners" else {}
    columns |= {"weights": [2.0]} if method == "weighted_knn_shapley" else {}
    columns |= {"radius": 1.0} if METHODS[method].knows("radius") else {}
    columns |= {"k_star": 20} if method == "truncated_knn_shapley" else {}
    for precision in EXACT_ORDER_TOLERANCE:
        options = {"method": method, "precision": precision, "self_validation": True, **columns}
        np.testing.assert_array_equal(dvspark.value_arrays([[1.0]], [0], **options), [0.0])
