"""KNN regression values: the worked cases, all coalitions in fractions, and two formulas at a million rows."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from ordered_cases import OrderedCase, enumerated_values, game_of_nearest, ordered_cases

from dvspark.kernels.formulas.knn_regression_shapley import KnnRegressionShapley
from dvspark.kernels.ranking.ordered import OrderedPoint

FORMULAS = (KnnRegressionShapley.point_values, KnnRegressionShapley.reference_values)


def point_of(targets: np.ndarray, target: float) -> OrderedPoint:
    return OrderedPoint(np.ones(len(targets), np.bool_), targets=targets, target=target)


def squared_error(targets: np.ndarray, target: float, k: int, ranks: list[int]) -> Fraction:
    return -((sum((Fraction(targets[rank]) for rank in ranks), Fraction(0)) / k - Fraction(target)) ** 2)


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("case", ordered_cases("knnreg_"), ids=lambda case: case.name)
def test_regression_values__are_those_of_the_worked_cases(case: OrderedCase, formula) -> None:
    values = formula(KnnRegressionShapley(case.params["K"], empty_utility=case.params["U_empty"]), case.point)
    np.testing.assert_allclose(values, case.expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("empty_utility", ["formula", 0.0, -2.5])
@pytest.mark.parametrize("k", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("n", range(8))
def test_regression_values__are_those_of_all_coalitions(n: int, k: int, empty_utility, formula) -> None:
    targets, target = np.random.default_rng(n).integers(-4, 5, n) / 2, 1.5
    empty = -(Fraction(target) ** 2) if empty_utility == "formula" else Fraction(empty_utility)
    expected = enumerated_values(n, game_of_nearest(k, lambda ranks: squared_error(targets, target, k, ranks), empty))
    values = formula(KnnRegressionShapley(k, empty_utility=empty_utility), point_of(targets, target))
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("k", [1, 10, 5_000])
@pytest.mark.parametrize("n", [1, 2, 4_000, 1_000_000])
def test_regression_values__two_formulas_agree_and_sum_to_the_utility(n: int, k: int) -> None:
    point = point_of(np.random.default_rng(7).normal(1.0, 2.0, n), 1.25)
    values = KnnRegressionShapley(k).point_values(point)
    full, empty = KnnRegressionShapley(k).utilities(point)
    np.testing.assert_allclose(values, KnnRegressionShapley(k).reference_values(point), rtol=0, atol=1e-13)
    assert values.sum() == pytest.approx(full - empty, abs=1e-9)


def test_regression_values__an_offset_of_all_targets_leaves_their_digits() -> None:
    # In fractions: floats at 1e6 would leave ten digits of the reference's own.
    n, k, offset = 400, 5, 1_000_000
    wanted = np.random.default_rng(3).integers(-8, 9, n) / 4
    targets, target = [Fraction(y) + offset for y in wanted], Fraction(offset)
    nearest, rank = min(k, n), range(1, n + 1)
    pairs = [Fraction(min(k, r) * min(k - 1, r - 1), r * max(r - 1, 1)) for r in rank]
    mean = sum(targets[:-1]) / (n - 1)
    exact = [-targets[-1] / (n * k) * nearest * (targets[-1] / k - 2 * target + (nearest - 1) * mean / k)]
    nearer, farther = sum(targets[: n - 1]), Fraction(0)
    for i in range(n - 1, 0, -1):
        y, following = targets[i - 1], targets[i]
        nearer -= y
        inner = ((y + following) / k - 2 * target) * Fraction(min(k, i), i) + (pairs[i - 1] * nearer + farther) / k
        exact.append(exact[-1] + (following - y) / k * inner)
        farther += following * pairs[i - 1]
    values = KnnRegressionShapley(k).point_values(point_of(wanted + offset, float(offset)))
    # U is of the size of 1e12, its last bit 1e-4.
    np.testing.assert_allclose(values, [float(value) for value in reversed(exact)], rtol=0, atol=1e-5)


def test_utility__of_no_rows_is_that_of_the_empty_set() -> None:
    assert KnnRegressionShapley(3).utilities(point_of(np.empty(0), 2.0)) == (-4.0, -4.0)
    assert KnnRegressionShapley(3, empty_utility=1.0).utilities(point_of(np.empty(0), 2.0)) == (1.0, 1.0)


def test_utility__divides_by_k_however_few_rows_there_are() -> None:
    assert KnnRegressionShapley(3).utilities(point_of(np.array([3.0]), 2.0)) == (-1.0, -4.0)


def test_regression_values__ask_for_targets() -> None:
    with pytest.raises(ValueError, match="expected targets"):
        KnnRegressionShapley(1).point_values(OrderedPoint(np.ones(2, np.bool_)))
