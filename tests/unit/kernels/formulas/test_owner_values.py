"""Owner values: the worked cases, all coalitions of owners in fractions, and whole numbers at a thousand owners."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from ordered_cases import OrderedCase, enumerated_values, ordered_cases

from dvspark.kernels.formulas.knn_shapley import KnnShapley
from dvspark.kernels.formulas.owner_knn_shapley import LARGEST_K, OwnerKnnShapley, owner_limit
from dvspark.kernels.formulas.owner_sum_of_points import OwnerSumOfPoints
from dvspark.kernels.ranking.ordered import OrderedPoint

FORMULAS = (OwnerKnnShapley.point_values, OwnerKnnShapley.reference_values)


def some_point(n: int, n_owners: int, seed: int, share: float = 0.6) -> OrderedPoint:
    rng = np.random.default_rng(seed)
    owners = rng.integers(0, n_owners, n).astype(np.int32)
    return OrderedPoint(rng.random(n) < share, owners=owners, n_owners=n_owners)


def owner_values(point: OrderedPoint, k: int) -> list[float]:
    """Shapley values of the game of owners, by its definition."""

    def game(coalition) -> Fraction:
        nearest = [match for match, owner in zip(point.matches, point.owners, strict=True) if owner in coalition][:k]
        return Fraction(sum(map(bool, nearest)), k)

    return enumerated_values(point.n_owners, game)


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("case", ordered_cases("owner_", by_owner=True), ids=lambda case: case.name)
def test_owner_values__are_those_of_the_worked_cases(case: OrderedCase, formula) -> None:
    np.testing.assert_allclose(
        formula(OwnerKnnShapley(case.params["K"]), case.point), case.expected, rtol=0, atol=1e-15
    )


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("k", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("n_owners", [1, 2, 3, 5, 7])
def test_owner_values__are_those_of_all_coalitions(n_owners: int, k: int, formula) -> None:
    for n in range(13):  # from owners without rows to k rows of each
        for share in (0.5, 1.0, 0.0):
            point = some_point(n, n_owners, seed=n, share=share)
            np.testing.assert_allclose(formula(OwnerKnnShapley(k), point), owner_values(point, k), rtol=0, atol=1e-15)


@pytest.mark.parametrize("k", [1, 7])
def test_owner_values__of_owners_with_one_row_each_are_the_2019_values(k: int) -> None:
    matches = np.random.default_rng(1).random(300) < 0.5
    point = OrderedPoint(matches, owners=np.arange(300, dtype=np.int32)[::-1], n_owners=300)
    expected = KnnShapley(k).recursive_values(matches.astype(np.float64))[::-1]
    for formulas in (OwnerKnnShapley, OwnerSumOfPoints):
        np.testing.assert_allclose(formulas(k).point_values(point), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize(("n", "n_owners", "k"), [(3_000, 1_000, 10), (2_000, 40, 10), (500, 60, 30), (200, 3, 60)])
def test_owner_values__agree_with_whole_numbers_on_larger_points(n: int, n_owners: int, k: int) -> None:
    point = some_point(n, n_owners, seed=2)
    values = OwnerKnnShapley(k).point_values(point)
    np.testing.assert_allclose(values, OwnerKnnShapley(k).reference_values(point), rtol=0, atol=1e-14)
    assert values.sum() == pytest.approx(OwnerKnnShapley(k).utilities(point)[0], abs=1e-12)


def test_owner_values__do_not_see_rows_after_the_first_k_of_an_owner() -> None:
    point, k = some_point(300, 4, seed=3), 5
    place = [int(np.count_nonzero(point.owners[:row] == owner)) for row, owner in enumerate(point.owners)]
    changed = OrderedPoint(
        np.where(np.array(place) < k, point.matches, ~point.matches), owners=point.owners, n_owners=4
    )
    assert OwnerKnnShapley(k).point_values(changed).tolist() == OwnerKnnShapley(k).point_values(point).tolist()


def test_owner_values__splitting_a_data_set_pays_only_in_the_sum_of_points() -> None:
    point = OrderedPoint(np.ones(3, np.bool_), owners=np.array([0, 0, 1], np.int32), n_owners=2)
    np.testing.assert_allclose(OwnerKnnShapley(1).point_values(point), [1 / 2, 1 / 2], rtol=0, atol=1e-15)
    np.testing.assert_allclose(OwnerSumOfPoints(1).point_values(point), [2 / 3, 1 / 3], rtol=0, atol=1e-15)


@pytest.mark.parametrize("n", [0, 1, 9, 2_000])
def test_owner_sum_of_points__two_formulas_agree_and_sum_to_the_utility(n: int) -> None:
    point = some_point(n, 6, seed=4)
    values = OwnerSumOfPoints(4).point_values(point)
    np.testing.assert_allclose(values, OwnerSumOfPoints(4).reference_values(point), rtol=0, atol=1e-14)
    assert values.sum() == pytest.approx(OwnerSumOfPoints(4).utilities(point)[0], abs=1e-12)


def test_owner_limit__refuses_k_whose_odds_leave_float64() -> None:
    point = OrderedPoint(np.arange(150) > 146, owners=np.arange(150, dtype=np.int32), n_owners=150)
    of_rows = KnnShapley(LARGEST_K).recursive_values(point.matches.astype(np.float64))
    np.testing.assert_allclose(OwnerKnnShapley(LARGEST_K).point_values(point), of_rows, rtol=0, atol=1e-14)
    (problem,) = owner_limit(LARGEST_K + 1)
    assert problem.expected
    assert problem.hint
    with pytest.raises(ValueError, match="k <= 140"):
        OwnerKnnShapley(LARGEST_K + 1).point_values(point)


def test_owner_values__ask_for_owners() -> None:
    for formulas in (OwnerKnnShapley, OwnerSumOfPoints):
        with pytest.raises(ValueError, match="expected owners"):
            formulas(1).point_values(OrderedPoint(np.ones(2, np.bool_)))
