"""Distances whose squares vanish or nearly overflow in float64, against rational numbers; short rows under cosine."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import exact_distance_key
from property_tests import examples

import dvspark
from dvspark.kernels import loops
from dvspark.kernels.distances import distances, small_keys
from dvspark.kernels.formulas.knn_shapley import KnnShapley
from dvspark.schemas import Float64s, Int64s


@pytest.fixture(params=["numpy", "numba"])
def choice(request: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv(loops.CHOICE_VARIABLE, request.param)
    loops.fastest.cache_clear()
    yield request.param
    monkeypatch.undo()
    loops.fastest.cache_clear()


def exact_ranks(x: Float64s, z: Float64s, metric: str) -> Int64s:
    """Return the rank of each row's distance among those that there are, from 0, by rational numbers."""
    keys = [exact_distance_key(row, z, metric) for row in x]
    place = {key: rank for rank, key in enumerate(sorted(set(keys)))}
    return np.array([place[key] for key in keys])


def rows_of(seed: int, exponent: int, spread: int, n_features: int, ones: int) -> tuple[Float64s, Float64s]:
    """Return rows of small whole numbers times powers of two, some columns of ones before them, and a point."""
    rng = np.random.default_rng(seed)
    whole = rng.integers(-9, 10, (41, n_features)).astype(np.float64)
    x = np.ldexp(whole, exponent + rng.integers(0, spread + 1, (41, 1)))
    x = np.concatenate([np.ones((41, ones)), x], axis=1)
    return x[:-1], x[-1]


@pytest.mark.parametrize("metric", ["euclidean", "inner_product"])
@examples(50)
@given(
    seed=st.integers(0, 2**32 - 1),
    exponent=st.integers(-1074, -310),
    spread=st.integers(0, 15),
    n_features=st.sampled_from([1, 3, 20]),
    ones=st.integers(0, 1),
)
def test_exact_keys__have_the_order_and_the_ties_of_rational_numbers(
    metric: str, seed: int, exponent: int, spread: int, n_features: int, ones: int
) -> None:
    x, z = rows_of(seed, exponent, spread, n_features, ones if metric == "euclidean" else 0)
    keys = distances.exact_keys(x, np.arange(len(x)), z, metric)
    np.testing.assert_array_equal(np.unique(keys, return_inverse=True)[1], exact_ranks(x, z, metric))
    # What they stand for: some bits are lost, and what is below the smallest number there is.
    for row, found in zip(x, distances.distance_from_key(keys, metric).tolist(), strict=True):
        expected, room = exact_distance_key(row, z, metric), abs(Fraction(found)) / 2**48 + Fraction(2) ** -1074
        least, most = Fraction(found) - room, Fraction(found) + room
        if metric == "euclidean":
            least, most = max(least, Fraction(0)) ** 2, most**2
        assert least <= expected <= most


@pytest.mark.parametrize("metric", ["euclidean", "inner_product"])
@pytest.mark.parametrize("precision", ["default", "float64"])
@pytest.mark.parametrize("exponent", [-1070, -700, -560, -500, -321, -320, -319])
def test_values__of_rows_that_lie_that_near_are_those_of_rational_numbers(
    choice: str, exponent: int, precision: str, metric: str
) -> None:
    rng = np.random.default_rng(exponent + 2_000)
    whole = rng.integers(-99, 100, (83, 3)).astype(np.float64)
    x, y = np.ldexp(whole, exponent), rng.integers(0, 3, 83)
    expected = np.zeros(80)
    for z, label in zip(x[80:], y[80:], strict=True):
        order = np.argsort(exact_ranks(x[:80], z, metric), kind="stable")
        expected[order] += KnnShapley(3).recursive_values((y[:80][order] == label).astype(np.float64)) / 3
    found = dvspark.value_arrays(x[:80], y[:80], x[80:], y[80:], k=3, metric=metric, precision=precision)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("precision", ["default", "float64"])
def test_values__within_a_radius_are_of_rows_that_are_there_though_its_square_is_nothing(precision: str) -> None:
    x, y, z = np.array([[1e-200], [2e-200], [4e-200], [9e-200]]), [0, 1, 0, 1], np.array([[0.0]])
    given = {"method": "threshold_knn_shapley", "precision": precision, "n_classes": 2}
    found = dvspark.value_arrays(x, y, z, [0], radius=3e-200, **given)
    np.testing.assert_array_equal(found, dvspark.value_arrays(x * 1e200, y, z, [0], radius=3.0, **given))
    assert np.count_nonzero(found) == 2


@pytest.mark.parametrize("ties", ["id", "average"])
@pytest.mark.parametrize("metric", ["euclidean", "inner_product"])
@pytest.mark.parametrize("method", ["knn_shapley", "knn_regression_shapley", "truncated_knn_shapley"])
def test_values__of_such_rows_are_those_of_the_same_rows_scaled(
    choice: str, method: str, metric: str, ties: str
) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(-3, 4, (60, 2)).astype(np.float64), rng.integers(0, 2, 60)
    given = {"method": method, "k": 3, "metric": metric}
    given |= {"k_star": 9} if method == "truncated_knn_shapley" else {"ties": ties if method == "knn_shapley" else "id"}
    expected = dvspark.value_arrays(x[:50], y[:50], x[50:], y[50:], **given)
    x = np.ldexp(x, -900)
    np.testing.assert_array_equal(dvspark.value_arrays(x[:50], y[:50], x[50:], y[50:], **given), expected)


def test_replace_small__ascends_with_the_key_where_both_meet() -> None:
    distance = np.ldexp(1.0 + np.arange(-200, 201) * 2.0**-40, -320)
    keys = distances.exact_keys(distance[:, None], np.arange(len(distance)), np.zeros(1), "euclidean")
    assert np.all(np.diff(keys) > 0)
    assert keys[0] < small_keys.SMALL < keys[-1]
    np.testing.assert_allclose(distances.distance_from_key(keys, "euclidean"), distance, rtol=1e-15)


@pytest.mark.parametrize("metric", ["euclidean", "inner_product", "cosine"])
@pytest.mark.parametrize(("precision", "largest"), [("default", 6e18), ("float64", 4.2e153)])
def test_values__of_the_largest_rows_there_may_be_are_no_ties(
    choice: str, precision: str, largest: float, metric: str
) -> None:
    rng = np.random.default_rng(1)
    x, y = rng.integers(-99, 100, (60, 2)) / 99.0, rng.integers(0, 3, 60)
    expected = dvspark.value_arrays(x[:50], y[:50], x[50:], y[50:], k=3, metric=metric, precision=precision)
    exponent = int(np.floor(np.log2(largest)))
    x = np.ldexp(x, exponent)
    found = dvspark.value_arrays(x[:50], y[:50], x[50:], y[50:], k=3, metric=metric, precision=precision)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize(("dtype", "length"), [(np.float32, 1e-40), (np.float64, 1e-100), (np.float64, 1e-143)])
@pytest.mark.parametrize("point", [0.0, 1.0], ids=["points as they are", "points as short"])
@pytest.mark.parametrize("offset", [0.0, 30.0])
def test_values__by_cosine_do_not_ask_how_long_a_few_rows_are(
    choice: str, dtype: Any, length: float, point: float, offset: float
) -> None:
    # None of them is one of the rows that the error of float32 keys is measured on.
    rng = np.random.default_rng(2)
    x, y = rng.integers(-1_000, 1_001, (3_010, 3)) + offset * 1_000.0, rng.integers(0, 3, 3_010)
    x[~x.any(axis=1)] = 1.0
    short = np.ldexp(1.0, int(np.log2(length)) - 10)
    scaled, some = x.copy(), np.arange(7, 3_000, 331)
    scaled[some] *= short
    scaled[3_000:] *= short if point else 1.0
    assert np.array_equal(scaled[some].astype(dtype) / short, x[some]) or dtype == np.float32
    if dtype == np.float32:  # as those numbers are after rounding
        x[some], x[3_000:] = scaled[some].astype(dtype) / short, scaled[3_000:].astype(dtype) / (short if point else 1)
    found = dvspark.value_arrays(
        scaled[:3_000].astype(dtype), y[:3_000], scaled[3_000:].astype(dtype), y[3_000:], k=3, metric="cosine"
    )
    expected = dvspark.value_arrays(x[:3_000], y[:3_000], x[3_000:], y[3_000:], k=3, metric="cosine")
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8)


def test_values__by_cosine_of_rows_too_short_to_have_a_direction_are_refused() -> None:
    x = np.array([[1.0, 2.0], [1e-170, 1e-170], [1e-150, 3e-150], [0.0, 0.0], [1e-144, 0.0]])
    with pytest.raises(dvspark.InputError) as error:
        dvspark.value_arrays(x, [0, 1, 0, 1, 0], x[:1], [0], metric="cosine")
    assert "smaller in 2 rows; the first: 1, 2" in str(error.value)
    assert "all zeros in 1 rows; the first: 3" in str(error.value)


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "inner_product"])
def test_exact_keys__of_many_rows_are_read_in_the_order_of_the_rows(
    monkeypatch: pytest.MonkeyPatch, metric: str
) -> None:
    class Seen(np.ndarray):
        """Rows that tell which of them are asked for."""

        def __getitem__(self, asked: Any) -> Any:
            read.extend(np.asarray(asked).tolist())
            return np.asarray(self)[asked]

    read: list[int] = []
    rng = np.random.default_rng(3)
    x, z = rng.standard_normal((200, 5), np.float32), rng.standard_normal(5)
    rows = rng.permutation(200)[:150]
    monkeypatch.setattr(loops, "fastest", lambda: loops)
    expected = distances.exact_keys(x, rows, z, metric)
    monkeypatch.setattr(distances, "TILE_ROWS", 16)
    np.testing.assert_array_equal(distances.exact_keys(x.view(Seen), rows, z, metric), expected)
    assert read == sorted(rows.tolist())
