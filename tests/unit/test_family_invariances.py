"""What must not matter to the values of any method, and how they add up over validation points."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from family import FAMILY, SCORES, Case, value_of
from family_strategies import cases
from hypothesis import given
from hypothesis import strategies as st
from oracles import EXACT_ORDER_TOLERANCE
from property_tests import examples

import dvspark
from dvspark.methods import METHODS

# Radii without neighbors, and labels that say nothing, are among what is drawn.
pytestmark = pytest.mark.filterwarnings("ignore::dvspark.DataWarning")

precisions = st.sampled_from(sorted(EXACT_ORDER_TOLERANCE))
# Scores of rows that all validate each other have no validation rows of their own.
WITH_VALIDATION = [method for method in FAMILY if method != SCORES]
# Whose values depend on how many rows there are, however far.
DIVIDED = ("soft_knn_shapley", "truncated_knn_shapley")
FAR_AWAY = 1000
few = examples(20)


def assert_close(values: Any, expected: Any) -> None:
    np.testing.assert_allclose(values, expected, rtol=0, atol=EXACT_ORDER_TOLERANCE["default"])


@pytest.mark.parametrize("method", FAMILY)
@few
@given(data=st.data(), precision=precisions)
def test_value_arrays__of_every_method_do_not_depend_on_the_order_of_train_rows(
    method: str, data: st.DataObject, precision: str
) -> None:
    case = data.draw(cases(method))
    order = data.draw(st.permutations(range(case.n_train)))
    values = value_of(case, precision=precision)
    expected = values if METHODS[method].players == "owners" else values[order]
    assert_close(value_of(case.with_rows(order), precision=precision), expected)


@pytest.mark.parametrize("method", WITH_VALIDATION)
@few
@given(data=st.data(), precision=precisions)
def test_value_arrays__of_every_method_do_not_depend_on_the_order_of_validation_rows(
    method: str, data: st.DataObject, precision: str
) -> None:
    case = data.draw(cases(method, self_validation=False))
    order = data.draw(st.permutations(range(len(case.validation[0]))))
    assert_close(value_of(case.with_points(order), precision=precision), value_of(case, precision=precision))


@pytest.mark.parametrize("method", WITH_VALIDATION)
@few
@given(data=st.data(), precision=precisions)
def test_value_arrays__of_every_method_are_linear_in_the_validation_rows(
    method: str, data: st.DataObject, precision: str
) -> None:
    case = data.draw(cases(method, self_validation=False))
    n_points = len(case.validation[0])
    cut = data.draw(st.integers(0, n_points))
    parts = [part for part in (range(cut), range(cut, n_points)) if part]
    sums = [value_of(case.with_points(part), precision=precision) * len(part) for part in parts]
    assert_close(value_of(case, precision=precision), sum(sums) / n_points)


@pytest.mark.parametrize("method", WITH_VALIDATION)
@few
@given(data=st.data(), precision=precisions)
def test_value_arrays__of_every_method_are_in_sum_their_mean_times_the_points(
    method: str, data: st.DataObject, precision: str
) -> None:
    case = data.draw(cases(method))
    mean = value_of(case, precision=precision)
    assert_close(value_of(case, precision=precision, aggregate="sum"), mean * len(case.validation[0]))


@pytest.mark.parametrize("method", FAMILY)
@few
@given(data=st.data(), precision=precisions)
def test_value_arrays__of_every_method_do_not_depend_on_the_names_of_ids(
    method: str, data: st.DataObject, precision: str
) -> None:
    case = data.draw(cases(method))
    ids = case.problem.train_ids or tuple(range(case.n_train))
    place = {one: position for position, one in enumerate(sorted(ids))}
    renamed = replace(case, problem=replace(case.problem, train_ids=tuple(f"row-{place[one]:03d}" for one in ids)))
    assert_close(value_of(renamed, precision=precision), value_of(case, precision=precision))


def stranger_to(labels: tuple[Any, ...]) -> Any:
    """Return a label, of the kind of these, that no row has."""
    first = labels[0]
    if isinstance(first, tuple):
        return (stranger_to(first),)
    return "no such class" if isinstance(first, str) else 99


def additive(case: Case) -> Case:
    """Return the case with a utility of the method that adds up over the nearest rows, undivided."""
    plain = {"utility": "jia2019", "kind": "raw", "empty_utility": "formula"}
    parameters = {name: plain.get(name, value) for name, value in case.parameters.items() if name != "bits"}
    if case.method == "weighted_knn_shapley":
        parameters.pop("empty_utility", None)
    return replace(case, parameters=parameters, problem=replace(case.problem, train_ids=None))


def with_a_far_row(case: Case) -> Case:
    """Return the case with one more row, farther than all, of an owner of its own; it matches nobody or predicts 0."""
    problem, owners, weights = case.problem, case.owners, case.weights
    if weights is not None:
        weights = tuple((*of_point, 2) for of_point in weights) if case.by_pairs else (*weights, 2)
    extended = replace(
        problem,
        x_train=(*problem.x_train, (FAR_AWAY,) * len(problem.x_train[0])),
        y_train=(*problem.y_train, 0.0 if METHODS[case.method].target == "number" else stranger_to(problem.y_train)),
        n_classes=case.n_classes,
    )
    last = 99 if owners and isinstance(owners[0], int) else "éé"
    return replace(case, problem=extended, owners=owners and (*owners, last), weights=weights, counted=False)


# Not so where the vote is divided by the rows that take part in it.
@pytest.mark.parametrize("method", [method for method in WITH_VALIDATION if method not in DIVIDED])
@few
@given(data=st.data(), precision=precisions)
def test_value_arrays__a_far_row_that_adds_nothing_is_worth_nothing_and_changes_nobody(
    method: str, data: st.DataObject, precision: str
) -> None:
    case = additive(data.draw(cases(method, self_validation=False, metrics=("euclidean",))))
    values = value_of(with_a_far_row(case), precision=precision)
    assert_close(values[-1], 0.0)
    assert_close(values[:-1], value_of(case, precision=precision))


@pytest.mark.parametrize("method", WITH_VALIDATION)
def test_value_arrays__of_every_method_a_single_row_that_sits_out_its_own_game_has_no_value(method: str) -> None:
    columns: dict[str, Any] = {"owners": ["a"]} if METHODS[method].players == "owners" else {}
    columns |= {"weights": [2.0]} if method == "weighted_knn_shapley" else {}
    columns |= {"radius": 1.0} if METHODS[method].knows("radius") else {}
    columns |= {"k_star": 20} if method == "truncated_knn_shapley" else {}
    for precision in EXACT_ORDER_TOLERANCE:
        options = {"method": method, "precision": precision, "self_validation": True, **columns}
        np.testing.assert_array_equal(dvspark.value_arrays([[1.0]], [0], **options), [0.0])
