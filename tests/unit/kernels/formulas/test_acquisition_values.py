"""Acquisition values: all coalitions of candidates in fractions, by ranks and through arrays; what must not matter."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle_games import points_of, semivalues, shapley
from oracles import EXACT_ORDER_TOLERANCE
from property_tests import examples
from strategies import problems

import dvspark
from dvspark.kernels.formulas.knn_acquisition_shapley import KnnAcquisitionShapley
from dvspark.kernels.formulas.knn_shapley import KnnShapley
from dvspark.kernels.ranking.ordered import OrderedPoint

pytestmark = pytest.mark.filterwarnings("ignore::dvspark.DataWarning")

FORMULAS = (KnnAcquisitionShapley.point_values, KnnAcquisitionShapley.reference_values)
flags = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=0, max_size=9)


def some_point(rows: list[tuple[bool, bool]]) -> OrderedPoint:
    """Return a point from (match, owned) of its rows in rank order."""
    return OrderedPoint(np.array([m for m, _ in rows], np.bool_), owned=np.array([o for _, o in rows], np.bool_))


def enumerated(rows: list[tuple[bool, bool]], k: int) -> list[float]:
    """Return the values by rank from all coalitions of candidates; 0 for owned rows."""
    candidates = [rank for rank, (_, owned) in enumerate(rows) if not owned]

    def game(coalition: Any) -> Fraction:
        there = [match for rank, (match, owned) in enumerate(rows) if owned or rank in coalition]
        return Fraction(sum(there[:k]), k)

    found = semivalues(candidates, game, shapley)
    return [float(found.get(rank, 0)) for rank in range(len(rows))]


@pytest.mark.parametrize("formula", FORMULAS)
@examples(300)
@given(rows=flags, k=st.integers(1, 12))
def test_acquisition_values__are_those_of_all_coalitions(formula: Any, rows: list[tuple[bool, bool]], k: int) -> None:
    point, method = some_point(rows), KnnAcquisitionShapley(k)
    values = formula(method, point)
    np.testing.assert_allclose(values, enumerated(rows, k), rtol=0, atol=1e-15)
    full, owned = method.utilities(point)
    assert values.sum() == pytest.approx(full - owned, abs=1e-14)


@pytest.mark.parametrize("k", [1, 5, 10**9])
def test_acquisition_values__agree_with_the_sums_on_larger_points(k: int) -> None:
    rng = np.random.default_rng(k)
    for share in (0.0, 0.01, 0.5):
        point = OrderedPoint(rng.random(400) < 0.5, owned=rng.random(400) < share)
        found, expected = (formula(KnnAcquisitionShapley(k), point) for formula in FORMULAS)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)


def test_acquisition_values__of_nothing_owned_are_the_2019_values() -> None:
    matches = np.random.default_rng(2).random(300) < 0.5
    point = OrderedPoint(matches, owned=np.zeros(300, np.bool_))
    expected = KnnShapley(7).recursive_values(matches.astype(np.float64))
    np.testing.assert_allclose(KnnAcquisitionShapley(7).point_values(point), expected, rtol=0, atol=1e-14)


def test_acquisition_values__of_rows_behind_k_owned_ones_are_zero() -> None:
    point = some_point([(True, True)] * 3 + [(False, False), (True, False)])
    assert KnnAcquisitionShapley(3).point_values(point).tolist() == [0.0] * 5


# --- through arrays ---------------------------------------------------------------------------------------


@st.composite
def acquisitions(draw: st.DrawFn) -> tuple[Any, list[bool]]:
    """Draw a problem of up to eight rows and which of them are owned; one at least is a candidate."""
    problem = draw(problems(max_train=8, metrics=("euclidean", "cosine", "inner_product")))
    n = len(problem.x_train)
    owned = draw(st.lists(st.booleans(), min_size=n, max_size=n).filter(lambda some: not all(some)))
    return problem, owned


def value_of(problem: Any, owned: list[bool], **options: Any) -> np.ndarray:
    """Return the values of the candidates that `value_arrays` gives; ids are places in the problem if it has none."""
    ids = problem.train_ids or tuple(range(len(owned)))
    x, y = np.array(problem.x_train, np.float64), list(problem.y_train)
    ours, theirs = ([row for row, is_owned in enumerate(owned) if is_owned == side] for side in (True, False))
    of_owned = {"x_owned": x[ours], "y_owned": [y[row] for row in ours], "owned_ids": [ids[row] for row in ours]}
    if not ours:
        of_owned = dict.fromkeys(of_owned)
    return dvspark.value_arrays(
        x[theirs],
        [y[row] for row in theirs],
        np.array(problem.x_validation, np.float64),
        list(problem.y_validation),
        method="knn_acquisition_shapley",
        k=problem.k,
        metric=problem.metric,
        train_ids=[ids[row] for row in theirs],
        **of_owned,
        **options,
    )


@pytest.mark.parametrize("precision", EXACT_ORDER_TOLERANCE)
@given(case=acquisitions())
def test_value_arrays__of_candidates_are_those_of_all_coalitions(case: Any, precision: str) -> None:
    problem, owned = case
    theirs = [row for row, is_owned in enumerate(owned) if not is_owned]
    ours = [row for row, is_owned in enumerate(owned) if is_owned]
    totals = np.zeros(len(theirs))
    points = points_of(*problem.data, metric=problem.metric, train_ids=problem.train_ids)
    for point in points:

        def game(coalition: Any, point: Any = point) -> Fraction:
            nearest = point.ranked([*ours, *coalition])[: problem.k]
            return Fraction(sum(point.flags[row] for row in nearest), problem.k)

        totals += [float(value) for value in semivalues(theirs, game, shapley).values()]
    values = value_of(problem, owned, precision=precision)
    np.testing.assert_allclose(values, totals / len(points), rtol=0, atol=EXACT_ORDER_TOLERANCE[precision])


@given(case=acquisitions(), data=st.data())
def test_value_arrays__of_candidates_do_not_depend_on_the_order_of_rows(case: Any, data: st.DataObject) -> None:
    problem, owned = case
    x = np.array(problem.x_train, np.float64)
    ids = problem.train_ids or tuple(range(len(owned)))
    theirs = [row for row, is_owned in enumerate(owned) if not is_owned]
    order = data.draw(st.permutations(range(len(owned))))
    moved = [owned[row] for row in order]
    other = replace(
        problem,
        x_train=tuple(map(tuple, x[order].tolist())),
        y_train=tuple(problem.y_train[row] for row in order),
        train_ids=tuple(ids[row] for row in order),
    )
    found = dict(zip([row for row in order if not owned[row]], value_of(other, moved), strict=True))
    np.testing.assert_array_equal([found[row] for row in theirs], value_of(problem, owned))


def test_value_arrays__without_ids_owned_rows_come_first_among_equals() -> None:
    x, z = [[1.0]], [[0.0]]
    options = {"method": "knn_acquisition_shapley", "k": 1, "x_owned": [[1.0]]}
    assert dvspark.value_arrays(x, ["a"], z, ["a"], y_owned=["b"], **options).tolist() == [0.0]
    ids = {"train_ids": [0], "owned_ids": [1]}
    assert dvspark.value_arrays(x, ["a"], z, ["a"], y_owned=["b"], **ids, **options).tolist() == [1.0]


def test_value_arrays__has_the_certificate_of_each_candidate() -> None:
    rng = np.random.default_rng(0)
    x, y, z = rng.normal(size=(60, 3)), rng.integers(0, 2, 60), rng.normal(size=(7, 3))
    owned = {"x_owned": x[40:], "y_owned": y[40:]}
    options = {"method": "knn_acquisition_shapley", "k": 3, **owned}
    values, bounds = dvspark.value_arrays(x[:40], y[:40], z, y[:7], error_bound=True, **options)
    assert values.shape == bounds.shape == (40,)
    exact = dvspark.value_arrays(x[:40], y[:40], z, y[:7], precision="float64", **options)
    assert np.all(np.abs(values - exact) <= bounds + 1e-12)


X, Y = np.arange(12.0).reshape(6, 2), [0, 1, 0, 1, 0, 1]
OWNED = {"method": "knn_acquisition_shapley", "x_owned": X[:2] + 0.5, "y_owned": [0, 1]}
UNUSABLE: dict[str, tuple[dict[str, Any], str, str]] = {
    "another method": ({**OWNED, "method": "knn_shapley"}, "x_owned, y_owned", "leave it out"),
    "no labels": ({**OWNED, "y_owned": None}, "y_owned", "None"),
    "no embeddings": ({**OWNED, "x_owned": None}, "x_owned", "None"),
    "ids alone": ({"method": "knn_acquisition_shapley", "owned_ids": [1]}, "x_owned, y_owned", "None"),
    "ids of one table": ({**OWNED, "owned_ids": [7, 8]}, "train_ids and owned_ids", "only of one"),
    "ids of the other": ({**OWNED, "train_ids": range(6)}, "train_ids and owned_ids", "only of one"),
    "ids of both": ({**OWNED, "train_ids": range(6), "owned_ids": [5, 6]}, "train_ids and owned_ids", "1 repeated"),
    "other features": ({**OWNED, "x_owned": [[1.0]] * 2}, "x_owned", "1 in x_owned"),
    "other labels": ({**OWNED, "y_owned": ["a", "b"]}, "labels", "string in y_owned"),
    "a label too few": ({**OWNED, "y_owned": [1]}, "y_owned", "2 labels"),
    "NaN": ({**OWNED, "x_owned": [[np.nan, 1.0]] * 2}, "x_owned", "NaN"),
    "itself": ({**OWNED, "x_validation": None, "y_validation": None, "self_validation": True}, "self_validation", ""),
}


@pytest.mark.parametrize(("changes", "where", "said"), UNUSABLE.values(), ids=UNUSABLE)
def test_value_arrays__tells_what_is_wrong_with_owned_rows(changes: dict[str, Any], where: str, said: str) -> None:
    with pytest.raises(dvspark.DvsparkError) as caught:
        dvspark.value_arrays(**{"x_train": X, "y_train": Y, "x_validation": X, "y_validation": Y, **changes})
    assert ", ".join(problem.where for problem in caught.value.problems) == where
    assert said in str(caught.value)
    assert caught.value.problems[0].hint


def test_value_arrays__warns_where_nothing_is_owned() -> None:
    with pytest.warns(dvspark.DataWarning, match="x_owned"):
        values = dvspark.value_arrays(X, Y, X, Y, method="knn_acquisition_shapley", k=2)
    np.testing.assert_allclose(values, dvspark.value_arrays(X, Y, X, Y, k=2), rtol=0, atol=1e-15)
    empty = {"x_owned": np.empty((0, 2)), "y_owned": [], "owned_ids": []}  # said, so it is meant
    again = dvspark.value_arrays(X, Y, X, Y, method="knn_acquisition_shapley", k=2, **empty)
    np.testing.assert_array_equal(again, values)
