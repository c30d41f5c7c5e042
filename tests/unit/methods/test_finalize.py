"""Totals become values and standard errors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import standard_errors

from dvspark.kernels.distances.distances import prepare
from dvspark.methods import METHODS
from dvspark.methods.finalize import certificate, finalize
from dvspark.methods.options import ValueOptions
from dvspark.schemas import ChunkArrays, Partial, TrainColumns, TrainLabels

point_values = st.integers(1, 9).flatmap(
    lambda n: st.lists(
        st.lists(st.floats(-1, 1, allow_subnormal=False), min_size=3, max_size=3), min_size=n, max_size=n
    )
)


def totals_of(table: Any) -> Partial:
    points = np.array(table, dtype=np.float64)
    return Partial(points.sum(axis=0), (points**2).sum(axis=0), len(points)).centered()


@given(table=point_values)
def test_finalize__mean_and_its_standard_error(table: list[list[float]]) -> None:
    values, errors = finalize(totals_of(table), "mean")
    np.testing.assert_allclose(values, np.mean(table, axis=0), rtol=0, atol=1e-15)
    if len(table) == 1:
        assert errors is None
    else:
        # The squares of numbers up to 1 cancel: half of the digits remain.
        np.testing.assert_allclose(errors, standard_errors(table), rtol=1e-6, atol=3e-8)


@given(table=point_values)
def test_finalize__the_sum_is_the_mean_times_the_points(table: list[list[float]]) -> None:
    n = len(table)
    mean, mean_errors = finalize(totals_of(table), "mean")
    total, total_errors = finalize(totals_of(table), "sum")
    np.testing.assert_allclose(total, n * mean, rtol=0, atol=1e-15 * n)
    if mean_errors is None:
        assert total_errors is None
    else:
        np.testing.assert_allclose(total_errors, n * mean_errors, rtol=1e-12)


def test_finalize__known_numbers() -> None:
    # 1, 2, 3, 6: mean 3, variance (4 + 1 + 0 + 9) / 3, of the mean a fourth of it.
    values, errors = finalize(totals_of([[1.0], [2.0], [3.0], [6.0]]), "mean")
    assert values[0] == 3.0
    assert errors is not None
    assert errors[0] == pytest.approx(np.sqrt(14 / 3 / 4), rel=1e-15)
    values, errors = finalize(totals_of([[1.0], [2.0], [3.0], [6.0]]), "sum")
    assert values[0] == 12.0
    assert errors is not None
    assert errors[0] == pytest.approx(4 * np.sqrt(14 / 3 / 4), rel=1e-15)


@pytest.mark.parametrize("aggregate", ["mean", "sum"])
def test_finalize__one_point_has_no_standard_error(aggregate: str) -> None:
    values, errors = finalize(totals_of([[0.25, -0.5]]), aggregate)
    np.testing.assert_array_equal(values, [0.25, -0.5])
    assert errors is None


def test_finalize__equal_values_have_no_spread_and_no_root_of_a_negative() -> None:
    # Σ value² - (Σ value)² / n of thirds is a little below zero.
    for n in (2, 3, 7, 1000):
        _, errors = finalize(totals_of([[1 / 3, 0.1]] * n), "mean")
        assert errors is not None
        np.testing.assert_array_equal(errors, 0.0)


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(2, 300),
    offset=st.sampled_from([0.0, 1.0, 1e3, 1e6]),
    sizes=st.lists(st.integers(1, 90), max_size=8),
)
def test_finalize__standard_errors_are_those_of_two_passes_whatever_the_chunks(
    seed: int, n: int, offset: float, sizes: list[int]
) -> None:
    rng = np.random.default_rng(seed)
    points = offset + rng.normal(size=(n, 5))
    points[:, 4] = points[0, 4]  # equal ones
    borders = [border for border in np.cumsum([0, *sizes]).tolist() if border < n]
    chunks = [totals_of(points[begin:end]) for begin, end in zip(borders, [*borders[1:], n], strict=True)]
    # Of two points, squares, sums and the square of a sum round off up to ten times 2⁻⁵³. What is less is zero.
    exact, rounding = points.astype(np.longdouble), 2.0**-49 * np.max(points**2)
    expected = np.sqrt(((exact - exact.mean(axis=0)) ** 2).sum(axis=0) / (n - 1) / n).astype(float)
    for order in (chunks, chunks[::-1]):
        total = Partial.zeros(5)
        for chunk in order:
            total.add(chunk)
        errors = finalize(total, "mean")[1]
        np.testing.assert_allclose(errors[:4] ** 2, expected[:4] ** 2, rtol=1e-12, atol=rounding)
        assert errors[4] == 0.0
    if len(chunks) > 1 and n - len(points[borders[-1] :]) > 1:  # and when the last points are taken out again
        left = exact[: borders[-1]]
        expected = np.sqrt(((left - left.mean(axis=0)) ** 2).sum(axis=0) / (len(left) - 1) / len(left)).astype(float)
        errors = finalize(total.minus(chunks[-1]), "mean")[1]
        np.testing.assert_allclose(errors[:4] ** 2, expected[:4] ** 2, rtol=1e-9, atol=rounding)
        assert errors[4] == 0.0


@pytest.mark.parametrize("self_validation", [False, True])
@pytest.mark.parametrize("method", [name for name, one in METHODS.items() if one.adds_up and not one.is_private])
def test_finalize__equal_points_give_standard_errors_of_zero(method: str, self_validation: bool) -> None:
    rng, declaration = np.random.default_rng(0), METHODS[method]
    own = {"radius": 2.5, "k_star": 50, "k": 3}
    options = ValueOptions(method, {name: value for name, value in own.items() if declaration.knows(name)})
    x, y = rng.normal(size=(300, 4)), rng.integers(0, 3, size=300).astype(np.int32)
    owners, owned = (np.arange(300) % 5).astype(np.int32), np.arange(300) % 4 == 0
    columns = TrainColumns(1e3 * y + rng.random(300), rng.random(300), owners, 5, owned=owned)
    train = replace(prepare(x, TrainLabels(y), "euclidean"), columns=columns)
    parameters, total = options.resolved(3), Partial.zeros(declaration.n_values(300, 5))
    for n in (40, 7, 23):
        rows = np.full(n, 17) if self_validation else None  # always the same one
        z = np.repeat(x[17:18] + (0.0 if self_validation else 0.3), n, axis=0)
        chunk = ChunkArrays(z, [np.ones(1, np.int32)] * n, rows, targets=np.full(n, 500.0))
        total.add(declaration.partial(train, chunk, options.ranking_options(parameters, 300), parameters))
    np.testing.assert_array_equal(finalize(total, "mean")[1], 0.0)


def test_finalize__leaves_the_totals_alone() -> None:
    totals = totals_of([[1.0, 2.0], [3.0, 5.0]])
    finalize(totals, "sum")
    np.testing.assert_array_equal(totals.value, [4.0, 7.0])
    np.testing.assert_array_equal(totals.value_squared, [2.0, 4.5])


def test_certificate__is_the_largest_of_the_rows_where_these_are_known() -> None:
    totals = Partial(np.zeros(3), np.zeros(3), 4, error_bound=0.8)
    assert certificate(totals, "sum") == (0.8, None)
    assert certificate(totals, "mean") == (0.2, None)
    totals.row_bounds = np.array([0.2, 0.6, 0.0])
    bound, rows = certificate(totals, "mean")
    np.testing.assert_array_equal(rows, totals.row_bounds / 4)
    assert (bound, certificate(totals, "sum")[0]) == (0.15, 0.6)
