"""Validation rows that count differently: weighted sums of single games, by definition, for every method."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from family import FAMILY, SCORES, Case, expected_points, value_of
from family_strategies import cases
from hypothesis import given
from hypothesis import strategies as st
from oracles import EXACT_ORDER_TOLERANCE
from property_tests import examples

import dvspark
from dvspark.methods import METHODS
from dvspark.methods.finalize import finalize
from dvspark.methods.point_weights import WeightedSum, alike_points
from dvspark.schemas import Partial

pytestmark = pytest.mark.filterwarnings("ignore::dvspark.DataWarning")

WEIGHED = [method for method in FAMILY if method != SCORES]
positive = st.sampled_from([0.5, 1.0, 3.0, 1e-3, 7.25])


def drawn_weights(case: Case, data: st.DataObject) -> list[float]:
    n = len(case.validation[0])
    return data.draw(st.lists(positive | st.just(0.0), min_size=n, max_size=n).filter(any))


@pytest.mark.long
@pytest.mark.parametrize("method", WEIGHED)
@examples(20)
@given(data=st.data(), aggregate=st.sampled_from(["mean", "sum"]))
def test_value_arrays__weighs_the_games_of_validation_rows(method: str, data: st.DataObject, aggregate: str) -> None:
    case = data.draw(cases(method))
    weights = drawn_weights(case, data)
    points = np.array(expected_points(case), float)
    expected = np.array(weights) @ points / (sum(weights) if aggregate == "mean" else 1.0)
    found = value_of(case, validation_weights=weights, aggregate=aggregate)
    np.testing.assert_allclose(found, expected, rtol=0, atol=EXACT_ORDER_TOLERANCE["default"] * max(1, sum(weights)))


@examples(30)
@given(data=st.data(), weight=st.sampled_from([1.0, 0.1, 3.0]))
def test_value_arrays__of_equal_weights_has_the_bits_of_no_weights(data: st.DataObject, weight: float) -> None:
    case = data.draw(cases("knn_shapley"))
    weights = [weight] * len(case.validation[0])
    assert value_of(case, validation_weights=weights).tolist() == value_of(case).tolist()


@examples(30)
@given(data=st.data())
def test_value_arrays__does_not_see_validation_rows_of_weight_zero(data: st.DataObject) -> None:
    case = data.draw(cases("knn_shapley", self_validation=False))
    weights = drawn_weights(case, data)
    kept = [place for place, weight in enumerate(weights) if weight]
    there = value_of(case, validation_weights=weights)
    assert there.tolist() == value_of(case.with_points(kept), validation_weights=[weights[v] for v in kept]).tolist()


@pytest.mark.parametrize("method", [name for name in WEIGHED if METHODS[name].knows("radius")])
def test_value_arrays__finds_the_radius_without_validation_rows_of_weight_zero(method: str) -> None:
    rng = np.random.default_rng(2)
    x, y, z = rng.normal(size=(80, 3)), rng.integers(0, 3, 80), rng.normal(size=(9, 3))
    z[5:] += 4  # farther from the training rows than the others
    weights = np.r_[np.ones(5), np.zeros(4)]
    there = dvspark.value_arrays(x, y, z, y[:9], method=method, n_classes=3, validation_weights=weights)
    expected = dvspark.value_arrays(x, y, z[:5], y[:5], method=method, n_classes=3)
    assert there.tolist() == expected.tolist()


def test_value_arrays__weighs_certificates_too() -> None:
    rng = np.random.default_rng(1)
    x, y, z = rng.normal(size=(300, 4)).astype(np.float32), rng.integers(0, 3, 300), rng.normal(size=(9, 4))
    options: dict[str, Any] = {"ranking": "binned", "tolerance": 0.01, "error_bound": True, "k": 3}
    weights = rng.random(9)
    values, bounds = dvspark.value_arrays(x, y, z, y[:9], validation_weights=weights, **options)
    apart = [dvspark.value_arrays(x, y, z[v : v + 1], y[v : v + 1], **options) for v in range(9)]
    np.testing.assert_allclose(values, weights @ [one for one, _ in apart] / weights.sum(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(bounds, weights @ [one for _, one in apart] / weights.sum(), rtol=0, atol=1e-12)


# --- standard errors --------------------------------------------------------------------------------------


def partial_of(values: np.ndarray) -> Partial:
    """Return the partial of points with these values, (n_points, n_train)."""
    partial = Partial.zeros(values.shape[1])
    partial.value, partial.value_squared = values.sum(axis=0), (values**2).sum(axis=0)
    for _ in values:
        partial.count(0.0, 0.0)
    return partial.centered()


def weighted(groups: list[tuple[float, Partial]]) -> WeightedSum:
    found = WeightedSum(len(groups[0][1].value), row_bounds=False)
    for weight, partial in groups:
        found.add(weight, partial)
    return found


@examples(100)
@given(data=st.data(), n=st.integers(2, 12))
def test_weighted_sum__has_the_standard_errors_of_the_formula(data: st.DataObject, n: int) -> None:
    values = np.array(data.draw(st.lists(st.floats(-1, 1), min_size=n, max_size=n)))[:, None]
    weights = np.array(data.draw(st.lists(positive, min_size=n, max_size=n)))
    groups = [(group.weight, partial_of(values[group.places])) for group in alike_points(weights)]
    mean = weights @ values / weights.sum()
    found, errors = finalize(weighted(groups).partial(), "mean")
    np.testing.assert_allclose(found, mean, rtol=0, atol=1e-14)
    error = np.sqrt((weights**2) @ (values - mean) ** 2) / weights.sum() * np.sqrt(n / (n - 1))
    assert errors is not None
    np.testing.assert_allclose(errors, error, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("n", [1, 3, 50])
@pytest.mark.parametrize("seed", range(10))
def test_weighted_sum__of_points_alike_has_no_error(n: int, seed: int) -> None:
    weights = [*np.random.default_rng(seed).random(n), 0.5]
    values = np.full((n + 1, 1), 0.1)
    groups = [(group.weight, partial_of(values[group.places])) for group in alike_points(np.array(weights))]
    _, errors = finalize(weighted(groups).partial(), "mean")
    assert errors is not None
    assert errors.tolist() == [0.0]


@pytest.mark.parametrize("unit", [1e-77, 1e-160, 3e-300, 1.0, 1e60])
def test_weighted_sum__has_the_standard_errors_of_sums_in_any_unit(unit: float) -> None:
    values = np.random.default_rng(0).normal(size=(6, 4))
    sums = weighted([(0.25, partial_of(values[:3])), (1.0, partial_of(values[3:]))])
    found, expected = (finalize(sums.partial(of), "sum") for of in (unit, 1.0))
    for one, other in zip(found, expected, strict=True):
        assert one is not None
        assert other is not None
        assert other.all()
        np.testing.assert_allclose(one / unit, other, rtol=1e-14)


def test_value_arrays__sums_by_weights_of_which_float64_has_no_inverse() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(40, 3)), rng.integers(0, 2, 40)
    whole, tiny = (
        dvspark.value_arrays(x, y, x[:5] + 0.1, y[:5], validation_weights=np.full(5, weight), aggregate="sum")
        for weight in (1.0, 2.0**-1030)
    )
    np.testing.assert_allclose(tiny * 2.0**1000, whole * 2.0**-30, rtol=1e-6, atol=1e-20)


def test_weighted_sum__of_a_single_point_has_no_standard_error() -> None:
    (group,) = alike_points(np.array([0.0, 2.0]))
    assert group.places.tolist() == [1]
    found = weighted([(group.weight, partial_of(np.ones((1, 2))))]).partial()
    assert finalize(found, "mean")[1] is None


def test_value_arrays__takes_validation_weights_in_a_table_of_one_column() -> None:
    weights = np.arange(6.0)
    expected = dvspark.value_arrays(X, Y, X, Y, validation_weights=weights)
    found = dvspark.value_arrays(X, Y, X, Y, validation_weights=weights[:, None])
    np.testing.assert_array_equal(found, expected)


# --- what is refused --------------------------------------------------------------------------------------

X, Y = np.arange(12.0).reshape(6, 2), [0, 1, 0, 1, 0, 1]
UNUSABLE: dict[str, tuple[Any, dict[str, Any], str]] = {
    "too few": ([1.0] * 5, {}, "shape (5,)"),
    "a table": (np.ones((6, 2)), {}, "shape (6, 2)"),
    "negative": ([1.0, -1.0, 0, 0, 0, 0], {}, "1 negative"),
    "all zero": ([0.0] * 6, {}, "6 zeros"),
    "NaN": ([np.nan] * 6, {}, "6 that are NaN"),
    "words": (["a"] * 6, {}, "numbers"),
    "a game of all": ([1.0] * 6, {"method": "chg_shapley"}, "add up point by point"),
}


@pytest.mark.parametrize(("weights", "options", "said"), UNUSABLE.values(), ids=UNUSABLE)
def test_value_arrays__tells_what_is_wrong_with_validation_weights(
    weights: Any, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(dvspark.DvsparkError) as caught:
        dvspark.value_arrays(X, Y, X, Y, validation_weights=weights, **options)
    assert [problem.where for problem in caught.value.problems] == ["validation_weights"]
    assert said in str(caught.value)
    assert caught.value.problems[0].hint
