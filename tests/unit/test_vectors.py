"""The package against the worked cases, whose expected values are exact fractions."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import EXACT_ORDER_TOLERANCE
from worked_cases import WorkedCase, worked_cases

import dvspark


@pytest.mark.parametrize("precision", EXACT_ORDER_TOLERANCE)
@pytest.mark.parametrize("case", worked_cases(), ids=lambda case: case.name)
def test_value_arrays__equals_the_worked_case(case: WorkedCase, precision: str) -> None:
    x_train, y_train, *validation = case.data
    arrays = [np.array(x_train, dtype=np.float64), np.array(y_train)]
    if validation:
        arrays += [np.array(validation[0], dtype=np.float64), np.array(validation[1])]
    values = dvspark.value_arrays(*arrays, **case.options, precision=precision)
    assert values.dtype == np.float64
    expected = [float(value) for value in case.values]
    np.testing.assert_allclose(values, expected, rtol=0, atol=EXACT_ORDER_TOLERANCE[precision])
