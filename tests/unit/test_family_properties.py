"""Every method against the enumeration of all coalitions, on small problems full of ties, through `value_arrays`."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from family import (
    FAMILY,
    GRADIENTS,
    KINDS,
    NOISY,
    SCORES,
    WHOLE,
    Case,
    expected_total,
    expected_values,
    k_star_of,
    value_of,
)
from family_strategies import cases
from hypothesis import assume, given
from hypothesis import strategies as st
from oracles import EXACT_ORDER_TOLERANCE
from property_tests import examples

import dvspark
from dvspark.kernels.formulas.hard_weighted import truncation_bound
from dvspark.kernels.formulas.kinds import Parameters
from dvspark.kernels.formulas.weighted_knn_shapley import WeightedKnnShapley
from dvspark.methods import GAMES as METHODS_OF_SETS
from dvspark.methods import METHODS

# Radii without neighbors, and labels that say nothing, are among what is drawn.
pytestmark = pytest.mark.filterwarnings("ignore::dvspark.DataWarning")

precisions = st.sampled_from(sorted(EXACT_ORDER_TOLERANCE))
aggregates = st.sampled_from(["mean", "sum"])
dtypes = st.sampled_from([np.float32, np.float64])
RADIUS_METHODS = [method for method in FAMILY if METHODS[method].knows("radius")]
WEIGHTED = "weighted_knn_shapley"
GAMES = [(method, kind) for method in FAMILY for kind in (KINDS if method == WEIGHTED else [None])]
EFFICIENT = [method for method in FAMILY if METHODS[method].resolved({}, 2).efficient]


def assert_close(values: Any, expected: Any) -> None:
    np.testing.assert_allclose(values, expected, rtol=0, atol=EXACT_ORDER_TOLERANCE["default"])


def resolved(case: Case) -> Parameters:
    """Return all parameters of the case's method, defaults filled in."""
    given = {"k": case.problem.k, **case.parameters}
    declaration = METHODS[case.method]
    return declaration.resolved({name: given[name] for name in given if declaration.knows(name)}, case.n_classes)


def test_family__is_every_neighbor_game_without_noise() -> None:
    assert set(FAMILY) | (set(METHODS) & {*NOISY, *GRADIENTS, *WHOLE, *METHODS_OF_SETS}) == set(METHODS)


@pytest.mark.parametrize(("method", "kind"), GAMES)
@examples(60)
@given(data=st.data(), aggregate=aggregates, precision=precisions, dtype=dtypes)
def test_value_arrays__of_every_method_equals_the_enumeration_of_all_coalitions(
    method: str, kind: str | None, data: st.DataObject, aggregate: str, precision: str, dtype: Any
) -> None:
    case = data.draw(cases(method, kind=kind, max_train=8))
    aggregate = "mean" if method == SCORES else aggregate
    values = value_of(case, aggregate=aggregate, precision=precision, dtype=dtype)
    assert values.dtype == np.float64
    assert_close(values, expected_values(case, aggregate))


@pytest.mark.parametrize("method", EFFICIENT)
@examples(20)
@given(data=st.data(), precision=precisions)
def test_value_arrays__of_methods_that_say_so_adds_up_to_the_worth_of_all_rows(
    method: str, data: st.DataObject, precision: str
) -> None:
    case = data.draw(cases(method))
    assume(resolved(case).efficient)
    assert_close(value_of(case, precision=precision).sum(), float(expected_total(case)))


@pytest.mark.parametrize("method", [method for method in FAMILY if method not in EFFICIENT])
def test_value_arrays__of_methods_that_do_not_say_so_add_up_to_something_else(method: str) -> None:
    given = {"radius": 3.0} if method in RADIUS_METHODS else {"k": 1}
    given |= {"k_star": 2} if method == "truncated_knn_shapley" else {}
    given |= {"self_validation": True} if method == SCORES else {}
    validation = [] if method == SCORES else [[[0.0]], [1]]
    # With one neighbor to vote, the second match adds to those coalitions only that lack the first.
    values = dvspark.value_arrays([[1.0], [2.0], [3.0]], [1, 1, 1], *validation, method=method, n_classes=2, **given)
    assert abs(values.sum() - (0.5 if method in RADIUS_METHODS else 1.0)) > 0.01


# --- the radius -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", EXACT_ORDER_TOLERANCE)
@pytest.mark.parametrize("method", RADIUS_METHODS)
def test_value_arrays__a_row_exactly_at_the_radius_is_a_neighbor_and_one_beyond_is_not(
    method: str, precision: str
) -> None:
    x = np.array([[1.0, 1.0], [3.0, 4.0], [-1.0, 1.0]])
    options = {"method": method, "n_classes": 2, "precision": precision}
    for radius, n_neighbors in ((math.sqrt(2.0), 2), (math.nextafter(math.sqrt(2.0), 0.0), 0), (5.0, 3)):
        values = dvspark.value_arrays(x, [1, 1, 0], [[0.0, 0.0]], [1], radius=radius, **options)
        assert np.count_nonzero(values) == n_neighbors


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "inner_product"])
@pytest.mark.parametrize("method", RADIUS_METHODS)
def test_value_arrays__without_neighbors_all_values_are_zero(method: str, metric: str) -> None:
    x = np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 1.0]])
    values = dvspark.value_arrays(x, [1, 1, 0], -x[:2], [1, 0], method=method, radius=-9.0, metric=metric)
    np.testing.assert_array_equal(values, np.zeros(3))


# --- what looks at the nearest rows only ------------------------------------------------------------------


@examples(60)
@given(data=st.data(), more=st.integers(0, 4), precision=precisions)
def test_value_arrays__of_hard_votes_that_look_at_near_rows_only_stay_within_their_bound(
    data: st.DataObject, more: int, precision: str
) -> None:
    case = data.draw(cases(WEIGHTED, kind="hard"))
    k, n_players = case.problem.k, case.n_train - case.problem.self_validation
    truncated = value_of(case, n_nearest=k + more, precision=precision)
    bound = truncation_bound(n_players, k, k + more)
    assert np.abs(truncated - expected_values(case)).max() <= bound + EXACT_ORDER_TOLERANCE[precision]
    assert not WeightedKnnShapley(k, kind="hard", n_nearest=k + more).efficient


@examples(60)
@given(data=st.data(), precision=precisions)
def test_value_arrays__truncated_differ_from_the_exact_by_one_in_k_star(data: st.DataObject, precision: str) -> None:
    case = data.draw(cases("truncated_knn_shapley"))
    exact = expected_values(replace(case, method="knn_shapley"))
    n_players = case.n_train - case.problem.self_validation
    largest = 1 / max(case.problem.k, min(k_star_of(case), n_players)) + EXACT_ORDER_TOLERANCE[precision]
    assert np.abs(value_of(case, precision=precision) - exact).max() <= largest
    by_bin = value_of(case, tail="bound", precision=precision)
    assert np.abs(by_bin - exact).max() <= largest
    if k_star_of(case) >= n_players:
        assert_close(by_bin, exact)
