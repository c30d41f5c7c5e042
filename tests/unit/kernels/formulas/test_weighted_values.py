"""Weighted KNN values: the worked cases, all coalitions in fractions, two formulas on larger points, and limits."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from ordered_cases import OrderedCase, enumerated_values, game_of_nearest, ordered_cases

import dvspark
from dvspark.kernels.distances import distance_weights
from dvspark.kernels.formulas import hard_weighted, normalized_weighted
from dvspark.kernels.formulas.weighted_knn_shapley import KINDS, WeightedKnnShapley, problems
from dvspark.kernels.ranking.ordered import OrderedPoint

FORMULAS = (WeightedKnnShapley.point_values, WeightedKnnShapley.reference_values)
KIND_OF_VECTOR = {"wknn_raw": "raw", "wknn_norm": "normalized", "wknn_hard": "hard"}
KINDS_AND_K = [(kind, k) for kind in KINDS for k in (1, 2, 3, 4, 9) if kind != "normalized" or k <= 3]


def worth(point: OrderedPoint, kind: str, ranks: list[int], empty: Fraction) -> Fraction:
    """U of the rows that are looked at, by the definition of the kind; whole weights."""
    weights = [Fraction(point.weights[rank]) for rank in ranks]
    matches = [bool(point.matches[rank]) for rank in ranks]
    gain = sum((weight for weight, match in zip(weights, matches, strict=True) if match), Fraction(0))
    if kind == "raw":
        return gain
    if kind == "hard":
        return Fraction(2 * gain - sum(weights) >= 0)
    return gain / sum(weights) if any(weights) else empty


def some_point(n: int, seed: int, largest: int = 3, share: float = 0.6) -> OrderedPoint:
    rng = np.random.default_rng(seed)
    return OrderedPoint(rng.random(n) < share, weights=rng.integers(0, largest + 1, n).astype(np.float64))


def empty_utility_of(params: dict[str, Any]) -> float:
    return float(params.get("U_empty", 0.0))


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("prefix", KIND_OF_VECTOR)
def test_weighted_values__are_those_of_the_worked_cases(prefix: str, formula) -> None:
    cases: list[OrderedCase] = ordered_cases(prefix)
    assert cases
    for case in cases:
        options = {"kind": KIND_OF_VECTOR[prefix], "empty_utility": empty_utility_of(case.params)}
        values = formula(WeightedKnnShapley(case.params["K"], **options), case.point)
        np.testing.assert_allclose(values, case.expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize(("kind", "k"), KINDS_AND_K)
@pytest.mark.parametrize("n", range(8))
def test_weighted_values__are_those_of_all_coalitions(n: int, kind: str, k: int, formula) -> None:
    empty = Fraction(0) if kind == "raw" else Fraction(1, 4)
    for seed, share in ((0, 0.6), (1, 0.4), (2, 1.0), (3, 0.0)):  # the last two: one class
        point = some_point(n, seed, share=share)
        expected = enumerated_values(n, game_of_nearest(k, lambda ranks: worth(point, kind, ranks, empty), empty))  # noqa: B023
        values = formula(WeightedKnnShapley(k, kind=kind, empty_utility=0.25), point)
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize(("kind", "k"), KINDS_AND_K)
@pytest.mark.parametrize("n", [0, 1, 2, 60, 300])
def test_weighted_values__sum_to_the_utility(n: int, kind: str, k: int) -> None:
    point = some_point(n, 5, largest=7)
    formulas = WeightedKnnShapley(k, kind=kind, empty_utility=0.5)
    full, empty = formulas.utilities(point)
    assert formulas.point_values(point).sum() == pytest.approx(full - empty, abs=1e-12)


@pytest.mark.parametrize(
    ("kind", "k", "n"), [("normalized", 1, 200), ("normalized", 2, 200), ("normalized", 3, 80), ("hard", 12, 120)]
)
def test_weighted_values__two_formulas_agree_on_larger_points(kind: str, k: int, n: int) -> None:
    rng = np.random.default_rng(4)
    point = OrderedPoint(rng.random(n) < 0.5, weights=rng.random(n) * (rng.random(n) < 0.9))
    values = WeightedKnnShapley(k, kind=kind).point_values(point)
    np.testing.assert_allclose(values, WeightedKnnShapley(k, kind=kind).reference_values(point), rtol=0, atol=1e-14)


def test_raw_values__two_formulas_agree_at_a_million_rows() -> None:
    rng = np.random.default_rng(8)
    point = OrderedPoint(rng.random(1_000_000) < 0.5, weights=rng.random(1_000_000))
    values = WeightedKnnShapley(10).point_values(point)
    np.testing.assert_allclose(values, WeightedKnnShapley(10).reference_values(point), rtol=0, atol=1e-14)
    assert values.sum() == pytest.approx(WeightedKnnShapley(10).utilities(point)[0], abs=1e-9)


def test_raw_values__with_weights_of_one_are_k_times_the_2019_values() -> None:
    point = OrderedPoint(np.array([True, False, True, True]), weights=np.ones(4))
    # phi of k = 2 by hand: 1/2 - t, -t, (1/3 - 1/12), 1/4 with t = 1/6 + 1/12.
    np.testing.assert_allclose(WeightedKnnShapley(2).point_values(point), [0.5, -0.5, 0.5, 0.5], rtol=0, atol=1e-15)


# --- normalized -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("empty", [0.0, 0.3, 1.0])
def test_normalized_values__rows_that_are_all_without_weight_change_nothing(empty: float, k: int, formula) -> None:
    point = OrderedPoint(np.array([True, False, True, False, True]), weights=np.zeros(5))
    values = formula(WeightedKnnShapley(k, kind="normalized", empty_utility=empty), point)
    np.testing.assert_allclose(values, np.zeros(5), rtol=0, atol=1e-15)
    assert WeightedKnnShapley(k, kind="normalized", empty_utility=empty).utilities(point) == (empty, empty)


@pytest.mark.parametrize("self_validation", [False, True])
def test_normalized_values__of_arrays_with_weights_of_zero_sum_to_a_utility_counted_by_hand(self_validation) -> None:
    x, y = np.array([[0.0], [1.0], [3.0], [7.0]]), [1, 1, 0, 1]
    weights = np.array([[0, 0, 1, 1], [0, 0, 2, 2], [3, 1, 0, 0], [0, 0, 0, 0]])
    options = {"method": "weighted_knn_shapley", "kind": "normalized", "k": 2, "empty_utility": 0.25}
    given = (x, y) if self_validation else (x, y, x + 0.1, y)
    values = dvspark.value_arrays(*given, weights=weights, self_validation=self_validation, **options)
    # Matches' share of the weight of the two nearest. The row itself out: 0 of 1, 0 of 2, 0 of 4, and 0 of 0; with it:
    # 0 of 0, 0 of 0, 0 of 1, 0 of 0.
    utilities = [0.0, 0.0, 0.0, 0.25] if self_validation else [0.25, 0.25, 0.0, 0.25]
    assert values.sum() == pytest.approx(np.mean(utilities) - 0.25, abs=1e-14)


def test_normalized_values__do_not_change_with_the_unit_of_weights() -> None:
    point = some_point(30, 2, largest=9)
    scaled = OrderedPoint(point.matches, weights=point.weights * 1e-12)
    values = [normalized_weighted.point_values(each, k=3) for each in (point, scaled)]
    np.testing.assert_allclose(*values, rtol=0, atol=1e-14)


def test_normalized_limit__refuses_k_above_three_and_says_what_to_do() -> None:
    assert normalized_weighted.normalized_limit(3) == []
    (problem,) = normalized_weighted.normalized_limit(4)
    assert "k <= 3" in problem.expected
    assert "raw" in problem.hint
    assert "hard" in problem.hint
    for formula in FORMULAS:
        with pytest.raises(ValueError, match="k <= 3"):
            formula(WeightedKnnShapley(4, kind="normalized"), some_point(5, 0))


def test_normalized_values__do_not_depend_on_the_size_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    point = some_point(40, 6)
    whole = normalized_weighted.point_values(point, k=3)
    monkeypatch.setattr(normalized_weighted, "BLOCK_SETS", 64)
    np.testing.assert_allclose(normalized_weighted.point_values(point, k=3), whole, rtol=0, atol=1e-15)


# --- hard -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 3, 6])
@pytest.mark.parametrize("n_nearest", [6, 7, 20, 79, 80, 500])
def test_hard_values__truncated_stay_within_the_proven_bound(k: int, n_nearest: int) -> None:
    point = some_point(80, 9, largest=7)
    exact = WeightedKnnShapley(k, kind="hard").point_values(point)
    truncated = WeightedKnnShapley(k, kind="hard", n_nearest=n_nearest).point_values(point)
    bound = hard_weighted.truncation_bound(80, k, n_nearest)
    assert np.abs(truncated - exact).max() <= bound + 1e-14
    counted = WeightedKnnShapley(k, kind="hard", n_nearest=n_nearest).reference_values(point)
    np.testing.assert_allclose(truncated, counted, rtol=0, atol=1e-14)


def test_truncation_bound__is_the_sum_of_what_is_left_out() -> None:
    for k, m, n in ((1, 1, 50), (5, 7, 60), (10, 10, 11)):
        left_out = sum(Fraction(k, r * (r - 1)) for r in range(m + 1, n + 1))
        assert hard_weighted.truncation_bound(n, k, m) == pytest.approx(float(left_out), abs=1e-15)
    assert hard_weighted.truncation_bound(50, 5, 50) == hard_weighted.truncation_bound(50, 5, 90) == 0.0


def test_hard_values__of_a_row_of_weight_zero_need_not_be_zero() -> None:
    # Nearest, without weight: with k = 1 it is right, and keeps the wrong one out.
    point = OrderedPoint(np.array([False, False]), weights=np.array([0.0, 1.0]))
    np.testing.assert_allclose(WeightedKnnShapley(1, kind="hard").point_values(point), [1.0, 0.0], rtol=0, atol=1e-15)


def test_hard_values__of_more_sets_than_floats_can_count_stay_exact() -> None:
    # C(4,000, 149) is 1e274; C(40,000, 149), of which there is no float64, is behind the truncated values.
    n, k = 4_000, 150
    point = some_point(n, 1, largest=1, share=0.52)
    values = WeightedKnnShapley(k, kind="hard", bits=1).point_values(point)
    full, empty = WeightedKnnShapley(k, kind="hard", bits=1).utilities(point)
    assert values.sum() == pytest.approx(full - empty, abs=1e-12)
    of_one_kind = [values[(point.matches == match) & (point.weights == 1)] for match in (True, False)]
    assert (np.diff(of_one_kind[0]) <= 1e-15).all()
    assert (np.diff(of_one_kind[1]) >= -1e-15).all()
    wrong = OrderedPoint(np.zeros(10 * n, np.bool_), weights=np.ones(10 * n))
    # No match: U = 0 of every set but the empty one, so the first of an order takes 1 away.
    values = WeightedKnnShapley(k, kind="hard", bits=1, empty_utility=1.0, n_nearest=k).point_values(wrong)
    np.testing.assert_allclose(values, -0.1 / n, rtol=1e-12)


def test_hard_values__two_formulas_agree_across_blocks_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    point = some_point(50, 3, largest=7)
    values = WeightedKnnShapley(4, kind="hard").point_values(point)
    monkeypatch.setattr(hard_weighted, "REFERENCE_CELLS", 1_000)
    np.testing.assert_allclose(values, WeightedKnnShapley(4, kind="hard").reference_values(point), rtol=0, atol=1e-14)


def test_quantized__takes_whole_weights_as_they_are_and_scales_others_to_the_largest() -> None:
    def quantized(*weights: float, bits: int = 3) -> list[int]:
        return hard_weighted.quantized(np.array(weights), bits).tolist()

    assert quantized(0.0, 1.0, 2.0) == [0, 1, 2]
    assert quantized(0.0, 7.0, 7.0) == [0, 7, 7]
    assert quantized(0.0, 8.0, 4.0) == [0, 7, 4]  # 3.5 goes to the even one
    assert quantized(0.0, 0.5, 0.2) == [0, 7, 3]
    assert quantized(0.25, 1.0, bits=1) == [0, 1]
    assert quantized(0.0, 0.0) == [0, 0]
    assert quantized() == []


# --- parameters and weight functions ----------------------------------------------------------------------


def test_problems__names_what_cannot_be_had_together() -> None:
    assert problems(k=5, kind="raw") == []
    assert problems(k=5, kind="hard", bits=8, n_nearest=5) == []
    assert [p.where for p in problems(k=5, kind="soft")] == ["parameter 'kind'"]
    assert [p.where for p in problems(k=5, kind="normalized")] == ["parameter 'k'"]
    assert [p.where for p in problems(k=5, kind="raw", n_nearest=9)] == ["parameter 'n_nearest'"]
    found = problems(k=5, kind="hard", bits=9, n_nearest=4)
    assert [p.where for p in found] == ["parameter 'bits'", "parameter 'n_nearest'"]
    assert all(p.expected and p.got and p.hint for p in found)


def test_weighted_values__ask_for_weights() -> None:
    for kind in KINDS:
        with pytest.raises(ValueError, match="expected weights"):
            WeightedKnnShapley(1, kind=kind).point_values(OrderedPoint(np.ones(2, np.bool_)))


def test_distance_weights__are_finite_and_fall_from_one() -> None:
    distances = np.array([0.0, 1.0, 3.0, 1e200])
    np.testing.assert_allclose(distance_weights.inverse_distance(distances), [1.0, 0.5, 0.25, 1e-200], rtol=1e-15)
    np.testing.assert_allclose(distance_weights.rbf(distances[:3], 0.5), np.exp([0.0, -0.5, -4.5]), rtol=1e-15)
    assert distance_weights.rbf(np.array([1e9]), 1.0).tolist() == [0.0]
