"""Arguments: choices and numbers that are given, right and wrong."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from dvspark.arguments import choice_problems, count_problems, positive_problems
from dvspark.errors import Problem


def test_choice_problems__names_the_closest_words() -> None:
    assert choice_problems("ties", "id", ("id", "average")) == []
    expected = [Problem("ties", "one of 'id', 'average'", "'avarage'", "did you mean 'average'?")]
    assert choice_problems("ties", "avarage", ("id", "average")) == expected
    assert choice_problems("ties", [], ("id", "average"))[0].got == "[]"


@pytest.mark.parametrize("value", [1, 7, np.int64(3)])
def test_count_problems__takes_whole_numbers_from_1(value: Any) -> None:
    assert count_problems("k", value, "10 is usual") == []


@pytest.mark.parametrize("value", [0, -1, 1.0, True, "3", None, math.nan])
def test_count_problems__refuses_all_else(value: Any) -> None:
    expected = [Problem("k", "a whole number from 1", repr(value), "10 is usual")]
    assert count_problems("k", value, "10 is usual") == expected


@pytest.mark.parametrize("value", [1, 1e-300, np.float32(0.5)])
def test_positive_problems__takes_positive_finite_numbers(value: Any) -> None:
    assert positive_problems("epsilon", value, "1 is common") == []


@pytest.mark.parametrize("value", [0, -1.0, math.inf, math.nan, True, "1", None])
def test_positive_problems__refuses_all_else(value: Any) -> None:
    expected = [Problem("epsilon", "a positive finite number", repr(value), "1 is common")]
    assert positive_problems("epsilon", value, "1 is common") == expected
