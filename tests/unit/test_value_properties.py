"""What a KNN-Shapley value must satisfy, on small problems full of ties, and what must not matter to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import (
    EXACT_ORDER_TOLERANCE,
    METHODS,
    count_classes,
    exact_efficiency_total,
    exact_values,
    label_set,
)
from strategies import Problem, any_problem, encode_label, problems

import dvspark

methods = st.sampled_from(METHODS)
precisions = st.sampled_from(sorted(EXACT_ORDER_TOLERANCE))
tie_rules = st.sampled_from(["id", "average"])
aggregates = st.sampled_from(["mean", "sum"])
FAR_AWAY = 1000


def label_column(labels: tuple[Any, ...]) -> Any:
    """Multi-label rows stay lists of tuples; NumPy would make a table of those of equal length."""
    return list(labels) if any(isinstance(label, tuple) for label in labels) else np.array(labels)


def values_of(problem: Problem, *, dtype: Any = np.float64, **options: Any) -> np.ndarray:
    """Value the problem with the package; ``options`` override those of the problem."""
    arguments = [np.array(problem.x_train, dtype=dtype), label_column(problem.y_train)]
    if not problem.self_validation:
        assert problem.x_validation is not None
        assert problem.y_validation is not None
        arguments += [np.array(problem.x_validation, dtype=dtype), label_column(problem.y_validation)]
    merged = {**problem.options, **options}
    if merged["method"] != "soft_knn_shapley":
        # The number of classes is no parameter of the 2019 value.
        merged.pop("n_classes")
    return dvspark.value_arrays(*arguments, **merged)


def explicit_ids(problem: Problem) -> tuple[Any, ...]:
    """The ids of the problem, or the positions that stand in for them."""
    return problem.train_ids or tuple(range(len(problem.x_train)))


def assert_close(values: np.ndarray, expected: Any, precision: str = "default") -> None:
    """Compare within the tolerance of small problems, whose distances leave no doubt about the order."""
    np.testing.assert_allclose(values, expected, rtol=0, atol=EXACT_ORDER_TOLERANCE[precision])


# --- the value itself -------------------------------------------------------------------------------------


@given(problem=any_problem(), method=methods, ties=tie_rules, aggregate=aggregates, precision=precisions)
def test_value_arrays__equals_the_enumeration_of_all_coalitions(
    problem: Problem, method: str, ties: str, aggregate: str, precision: str
) -> None:
    options = {"method": method, "ties": ties, "aggregate": aggregate}
    exact = exact_values(*problem.data, **problem.options, **options)
    values = values_of(problem, **options, precision=precision)
    assert values.dtype == np.float64
    assert values.shape == (len(problem.x_train),)
    assert_close(values, [float(value) for value in exact], precision)


@given(problem=any_problem(), method=methods, ties=tie_rules, aggregate=aggregates, precision=precisions)
def test_value_arrays__adds_up_to_the_worth_of_all_rows(
    problem: Problem, method: str, ties: str, aggregate: str, precision: str
) -> None:
    options = {"method": method, "ties": ties, "aggregate": aggregate}
    total = exact_efficiency_total(*problem.data, **problem.options, **options)
    assert_close(values_of(problem, **options, precision=precision).sum(), float(total), precision)


@pytest.mark.parametrize("precision", EXACT_ORDER_TOLERANCE)
@pytest.mark.parametrize("ties", ["id", "average"])
@pytest.mark.parametrize(
    ("x_train", "z"),
    [
        # Same direction, unit vectors that differ in the last bit.
        (((1, 2, 2), (3, 6, 6)), (1, 1, 0)),
        # cos = -2/√6 both times, and the distance lies at the edge of a cell of 2^-46.
        (((2, 2, 1), (0, 0, 1)), (-1, -1, -2)),
        # No tie: 1 - cos is 4.5e-16 and 2e-16.
        (((10**8, 3), (10**8, 2)), (10**8, 0)),
    ],
)
def test_value_arrays__rounding_neither_breaks_nor_makes_cosine_ties(
    x_train: tuple[tuple[int, ...], ...], z: tuple[int, ...], ties: str, precision: str
) -> None:
    for ids in ([0, 1], [1, 0]):
        options = {"method": "knn_shapley", "k": 1, "metric": "cosine", "train_ids": ids, "ties": ties}
        exact = exact_values(x_train, [1, 0], [z], [1], **options)
        values = dvspark.value_arrays(
            np.array(x_train, dtype=np.float64),
            [1, 0],
            np.array([z], dtype=np.float64),
            [1],
            **options,
            precision=precision,
        )
        assert_close(values, [float(value) for value in exact], precision)


@given(data=st.data(), problem=problems(max_train=5), method=methods, precision=precisions)
def test_value_arrays__average_ties_give_twins_equal_values(
    data: st.DataObject, problem: Problem, method: str, precision: str
) -> None:
    original = data.draw(st.integers(0, len(problem.x_train) - 1))
    with_twin = replace(
        problem,
        x_train=(*problem.x_train, problem.x_train[original]),
        y_train=(*problem.y_train, problem.y_train[original]),
        train_ids=None,
    )
    values = values_of(with_twin, method=method, ties="average", precision=precision)
    assert_close(values[-1], values[original], precision)


@given(problem=problems(only_absent_labels=True), method=methods, ties=tie_rules)
def test_value_arrays__without_any_match_all_rows_share_the_loss_of_the_empty_guess(
    problem: Problem, method: str, ties: str
) -> None:
    # 2019: every row is a null player. 2023: the first row of any coalition loses U(empty) = 1/C.
    loss = 1 / (problem.n_classes * len(problem.x_train)) if method == "soft_knn_shapley" else 0.0
    expected = np.full(len(problem.x_train), -loss)
    assert_close(values_of(problem, method=method, ties=ties), expected)


@given(problem=problems(metrics=("euclidean",), max_validation=1), ties=tie_rules, precision=precisions)
def test_value_arrays__a_farthest_row_without_a_match_is_a_null_player(
    problem: Problem, ties: str, precision: str
) -> None:
    n_features = len(problem.x_train[0])
    stranger = "no such class" if isinstance(problem.y_train[0], str) else 99
    extended = replace(
        problem,
        x_train=(*problem.x_train, (FAR_AWAY,) * n_features),
        y_train=(*problem.y_train, stranger),
        train_ids=None,
    )
    # phi_N = a_N/max(K, N), and since no row stands behind it, the others keep their values.
    options = {"method": "knn_shapley", "ties": ties, "precision": precision}
    values = values_of(extended, **options)
    assert_close(values[-1], 0.0, precision)
    assert_close(values[:-1], values_of(replace(problem, train_ids=None), **options), precision)


@given(problem=problems(max_validation=1), ties=tie_rules, precision=precisions)
def test_value_arrays__for_one_point_matches_gain_and_others_do_not(
    problem: Problem, ties: str, precision: str
) -> None:
    # Section 1, range: within one validation point matches are > 0 and non-matches <= 0.
    assert problem.y_validation is not None
    wanted = label_set(problem.y_validation[0])
    values = values_of(problem, method="knn_shapley", ties=ties, precision=precision)
    for label, value in zip(problem.y_train, values, strict=True):
        if wanted & label_set(label):
            assert value > 0
        else:
            assert value <= EXACT_ORDER_TOLERANCE[precision]


@given(data=st.data(), method=methods, ties=tie_rules, precision=precisions)
def test_value_arrays__is_linear_in_the_validation_rows(
    data: st.DataObject, method: str, ties: str, precision: str
) -> None:
    problem = data.draw(problems(max_validation=5))
    assert problem.x_validation is not None
    assert problem.y_validation is not None
    n_validation = len(problem.x_validation)
    cut = data.draw(st.integers(0, n_validation))
    parts = [part for part in (slice(0, cut), slice(cut, n_validation)) if part.start < part.stop]
    expected = np.zeros(len(problem.x_train))
    for part in parts:
        share = replace(problem, x_validation=problem.x_validation[part], y_validation=problem.y_validation[part])
        weight = (part.stop - part.start) / n_validation
        expected += weight * values_of(share, method=method, ties=ties, precision=precision)
    assert_close(values_of(problem, method=method, ties=ties, precision=precision), expected, precision)


# --- what must not matter ---------------------------------------------------------------------------------


@given(data=st.data(), problem=any_problem(), method=methods, ties=tie_rules, precision=precisions)
def test_value_arrays__the_order_of_train_rows_does_not_matter(
    data: st.DataObject, problem: Problem, method: str, ties: str, precision: str
) -> None:
    order = data.draw(st.permutations(range(len(problem.x_train))))
    ids = explicit_ids(problem)
    shuffled = replace(
        problem,
        x_train=tuple(problem.x_train[row] for row in order),
        y_train=tuple(problem.y_train[row] for row in order),
        train_ids=tuple(ids[row] for row in order),
    )
    values = values_of(problem, method=method, ties=ties, precision=precision)
    assert_close(values_of(shuffled, method=method, ties=ties, precision=precision), values[order], precision)


@given(data=st.data(), problem=problems(max_validation=4), method=methods, precision=precisions)
def test_value_arrays__the_order_of_validation_rows_does_not_matter(
    data: st.DataObject, problem: Problem, method: str, precision: str
) -> None:
    assert problem.x_validation is not None
    assert problem.y_validation is not None
    order = data.draw(st.permutations(range(len(problem.x_validation))))
    shuffled = replace(
        problem,
        x_validation=tuple(problem.x_validation[v] for v in order),
        y_validation=tuple(problem.y_validation[v] for v in order),
    )
    values = values_of(problem, method=method, precision=precision)
    assert_close(values_of(shuffled, method=method, precision=precision), values, precision)


@given(problem=any_problem(), method=methods, ties=tie_rules, precision=precisions)
def test_value_arrays__the_float_type_of_integer_coordinates_does_not_matter(
    problem: Problem, method: str, ties: str, precision: str
) -> None:
    options = {"method": method, "ties": ties, "precision": precision}
    double = values_of(problem, dtype=np.float64, **options)
    assert_close(values_of(problem, dtype=np.float32, **options), double, precision)


@given(
    problem=st.one_of(
        *[
            problems(string_labels=False, multi_label=multi_label, self_validation=self_validation)
            for multi_label in (False, True)
            for self_validation in (False, True)
        ]
    ),
    method=methods,
)
def test_value_arrays__the_names_of_the_labels_do_not_matter(problem: Problem, method: str) -> None:
    y_validation = problem.y_validation
    renamed = replace(
        problem,
        y_train=tuple(encode_label(label, True) for label in problem.y_train),
        y_validation=y_validation and tuple(encode_label(label, True) for label in y_validation),
    )
    assert_close(values_of(renamed, method=method), values_of(problem, method=method))


@given(problem=any_problem(), method=methods)
def test_value_arrays__only_the_order_of_the_ids_matters(problem: Problem, method: str) -> None:
    ids = explicit_ids(problem)
    place = {one: position for position, one in enumerate(sorted(ids))}
    renamed = replace(problem, train_ids=tuple(f"row-{place[one]:03d}" for one in ids))
    assert_close(values_of(renamed, method=method), values_of(problem, method=method))


@given(problem=any_problem())
def test_value_arrays__n_classes_is_by_default_the_number_of_labels_seen(problem: Problem) -> None:
    seen = count_classes(problem.y_train, problem.y_validation or ())
    options = {"method": "soft_knn_shapley"}
    expected = values_of(problem, n_classes=seen, **options)
    assert_close(values_of(problem, n_classes=None, **options), expected)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("ranking", ["sorted", "binned"])
@pytest.mark.parametrize("ties", ["id", "average"])
def test_value_arrays__a_single_row_that_sits_out_its_own_game_has_no_value(
    method: str, ranking: str, ties: str
) -> None:
    options = {"method": method, "ranking": ranking, "ties": ties, "self_validation": True}
    np.testing.assert_array_equal(dvspark.value_arrays([[1.0]], [0], **options), [0.0])
