"""The oracles against the worked cases, against each other, and against the formulas of the papers."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import (
    EXACT_ORDER_TOLERANCE,
    METHODS,
    METRICS,
    exact_distance_key,
    exact_efficiency_total,
    exact_point_values,
    exact_tie_order_average,
    exact_values,
    float_distances,
    match_flags,
    point_game,
    reference_point_values,
    reference_values,
    shapley_values,
    standard_errors,
)
from strategies import COSINE_ROWS, Problem, any_problem
from worked_cases import WorkedCase, worked_cases

CASES = [case for case in worked_cases() if case.options["method"] in METHODS]
TOLERANCE = EXACT_ORDER_TOLERANCE["float64"]


def tie_formula_2019(keys: list[int], flags: list[bool], k: int) -> list[Fraction]:
    """Section 1, ties: block at ranks R+1..R+n with q matches, minus the suffix sum beyond R+n."""
    values = [Fraction(0)] * len(keys)
    for key in set(keys):
        block = [row for row, other in enumerate(keys) if other == key]
        before, n = sum(other < key for other in keys), len(block)
        q = sum(flags[row] for row in block)
        gain = [Fraction(1, max(k, rank)) for rank in range(before + 1, before + n + 1)]
        tail = [one - gain[-1] for one in gain]
        suffix = Fraction(0)
        for farther in {other for other in keys if other > key}:
            tied = [row for row, other in enumerate(keys) if other == farther]
            start = sum(other < farther for other in keys)
            share = Fraction(sum(flags[row] for row in tied), len(tied))
            ranks = range(max(start, k) + 1, start + len(tied) + 1)
            suffix += share * sum((Fraction(1, rank * (rank - 1)) for rank in ranks), Fraction(0))
        others = max(n - 1, 1)
        for row in block:
            loss = Fraction(q - 1 if flags[row] else q, others) * sum(tail)
            values[row] = ((sum(gain) if flags[row] else 0) - loss) / n - suffix
    return values


def test_worked_cases__all_nine_are_found() -> None:
    assert len(CASES) >= 9
    assert {case.options["method"] for case in CASES} == set(METHODS)
    assert any(case.options["self_validation"] for case in CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_exact_values__equal_the_worked_case_as_fractions(case: WorkedCase) -> None:
    assert exact_values(*case.data, **case.options) == case.values
    points = np.array(exact_point_values(*case.data, **case.options), dtype=np.float64)
    np.testing.assert_allclose(points, case.point_values, rtol=0, atol=1e-15)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_exact_values__add_up_to_the_total_of_the_worked_case(case: WorkedCase) -> None:
    total = exact_efficiency_total(*case.data, **case.options)
    assert sum(case.values) == total
    if case.total is not None:
        assert float(total) == pytest.approx(case.total, abs=1e-15)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_reference_values__equal_the_worked_case(case: WorkedCase) -> None:
    values = reference_values(*case.data, **case.options)
    np.testing.assert_allclose(values, [float(v) for v in case.values], rtol=0, atol=TOLERANCE)
    points = reference_point_values(*case.data, **case.options)
    np.testing.assert_allclose(points, case.point_values, rtol=0, atol=TOLERANCE)


@given(
    problem=any_problem(),
    method=st.sampled_from(METHODS),
    ties=st.sampled_from(["id", "average"]),
    aggregate=st.sampled_from(["mean", "sum"]),
)
def test_reference_values__agree_with_the_enumeration(problem: Problem, method: str, ties: str, aggregate: str) -> None:
    options = {**problem.options, "method": method, "ties": ties, "aggregate": aggregate}
    exact = [float(value) for value in exact_values(*problem.data, **options)]
    np.testing.assert_allclose(reference_values(*problem.data, **options), exact, rtol=0, atol=TOLERANCE)


@given(problem=any_problem(), method=st.sampled_from(METHODS), ties=st.sampled_from(["id", "average"]))
def test_exact_values__add_up_to_the_efficiency_total(problem: Problem, method: str, ties: str) -> None:
    options = {**problem.options, "method": method, "ties": ties}
    total = exact_efficiency_total(*problem.data, **options)
    assert sum(exact_values(*problem.data, **options)) == total


@st.composite
def tied_rows(draw: st.DrawFn, max_rows: int) -> tuple[list[int], list[bool], int]:
    """Draw few distinct keys for many rows, their flags, and k."""
    n = draw(st.integers(1, max_rows))
    keys = draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))
    return keys, draw(st.lists(st.booleans(), min_size=n, max_size=n)), draw(st.integers(1, max_rows + 1))


@given(rows=tied_rows(max_rows=4), method=st.sampled_from(METHODS))
def test_average_ties__the_mean_game_equals_the_mean_over_all_tie_orders(
    rows: tuple[list[int], list[bool], int], method: str
) -> None:
    keys, flags, k = rows
    game = point_game(keys, range(len(keys)), flags, k=k, method=method, n_classes=3, ties="average")
    averaged = exact_tie_order_average(keys, flags, k=k, method=method, n_classes=3)
    assert list(shapley_values(range(len(keys)), game).values()) == averaged


@given(rows=tied_rows(max_rows=7))
def test_average_ties__the_mean_game_equals_the_formula_of_section_1(
    rows: tuple[list[int], list[bool], int],
) -> None:
    keys, flags, k = rows
    game = point_game(keys, range(len(keys)), flags, k=k, method="knn_shapley", n_classes=None, ties="average")
    assert list(shapley_values(range(len(keys)), game).values()) == tie_formula_2019(keys, flags, k)


def test_average_ties__three_way_tie_has_the_value_worked_by_hand() -> None:
    # One match among three tied rows, k = 1: it wins 1/|S| of every coalition of size |S| that holds it.
    game = point_game(
        [0, 0, 0], [0, 1, 2], [True, False, False], k=1, method="knn_shapley", n_classes=None, ties="average"
    )
    values = shapley_values([0, 1, 2], game)
    assert values == {0: Fraction(11, 18), 1: Fraction(-5, 36), 2: Fraction(-5, 36)}


@given(problem=any_problem())
def test_exact_distance_key__orders_as_the_float_distances_do(problem: Problem) -> None:
    z = (problem.x_validation or problem.x_train)[0]
    exact = [exact_distance_key(x, z, problem.metric) for x in problem.x_train]
    rounded = float_distances(
        np.array(problem.x_train, dtype=np.float64), np.array(z, dtype=np.float64), problem.metric
    )
    for i, first in enumerate(exact):
        for j, second in enumerate(exact):
            assert (first < second) == (rounded[i] < rounded[j])


def test_cosine_rows__tie_only_with_themselves() -> None:
    for z in COSINE_ROWS:
        assert len({exact_distance_key(x, z, "cosine") for x in COSINE_ROWS}) == len(COSINE_ROWS)


def test_exact_distance_key__cosine_tells_opposite_from_equal_directions() -> None:
    near, across, opposite = (exact_distance_key(x, (1, 2), "cosine") for x in [(2, 4), (2, -1), (-3, -6)])
    assert (near, across, opposite) == (-1, 0, 1)


@pytest.mark.parametrize("metric", METRICS)
def test_float_distances__identical_rows_get_identical_bits(metric: str) -> None:
    rng = np.random.default_rng(11)
    for n_features in (3, 64, 129):
        distinct = rng.normal(size=(7, n_features))
        which = rng.integers(0, 7, size=300)
        distance = float_distances(distinct[which], rng.normal(size=n_features), metric)
        assert len(np.unique(distance)) == 7
        for place in range(7):
            assert len(np.unique(distance[which == place])) == 1


@pytest.mark.parametrize("metric", METRICS)
def test_float_distances__tie_where_the_exact_distances_do(metric: str) -> None:
    # Multiples, mirror images, and directions with the same cosine by coincidence: all ties of a small grid.
    grid = [row for row in product((-2, -1, 0, 1, 3), repeat=3) if any(row)]
    for z in grid[::7]:
        exact = [exact_distance_key(x, z, metric) for x in grid]
        place = {key: j for j, key in enumerate(sorted(set(exact)))}
        rounded = float_distances(np.array(grid, dtype=np.float64), np.array(z, dtype=np.float64), metric)
        assert np.unique(rounded, return_inverse=True)[1].tolist() == [place[key] for key in exact]


def test_match_flags__a_match_is_a_common_label() -> None:
    assert match_flags([1, 2, 1], 1) == [True, False, True]
    assert match_flags([("a", "b"), ("c",), ["b"]], ("b", "d")) == [True, False, True]


def test_soft_values__n_classes_counts_train_and_validation_labels_together() -> None:
    data = ([(0,)], [0], [(0,)], [5])
    assert exact_values(*data, method="soft_knn_shapley", k=1) == [Fraction(-1, 2)]
    assert reference_values(*data, method="soft_knn_shapley", k=1) == pytest.approx([-0.5])


def test_standard_errors__equal_the_textbook_formula() -> None:
    table = [[Fraction(1), Fraction(2)], [Fraction(3), Fraction(2)], [Fraction(8), Fraction(2)]]
    # mean 4, squared deviations 9 + 1 + 16 = 26, s^2 = 13
    np.testing.assert_allclose(standard_errors(table), [(13 / 3) ** 0.5, 0.0])
    assert np.isnan(standard_errors(table[:1])).all()


def test_reference_values__agree_with_the_recursion_of_jia_2019_on_a_thousand_rows() -> None:
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(1000, 4)), rng.integers(0, 3, size=1000)
    z, label, k = rng.normal(size=4), 1, 7
    order = np.argsort(((x - z) ** 2).sum(axis=1), kind="stable")
    flags = [float(y[row] == label) for row in order]
    expected = np.zeros(1000)
    expected[order[-1]] = flags[-1] / 1000
    for i in range(999, 0, -1):
        step = (flags[i - 1] - flags[i]) / max(k, i)
        expected[order[i - 1]] = expected[order[i]] + step
    values = reference_values(x, y, z[None], [label], method="knn_shapley", k=k)
    np.testing.assert_allclose(values, expected, rtol=0, atol=TOLERANCE)


def test_exact_values__the_order_of_tied_rows_is_the_order_of_their_ids() -> None:
    rng = random.Random(3)
    for _ in range(20):
        ids = rng.sample(range(100), 4)
        values = exact_values([(0,)] * 4, [1, 1, 0, 0], [(0,)], [1], method="knn_shapley", k=1, train_ids=ids)
        by_id = [values[row] for row in sorted(range(4), key=lambda row: ids[row])]
        flags = [row < 2 for row in sorted(range(4), key=lambda row: ids[row])]
        value = Fraction(flags[3], 4)
        expected = [value]
        for rank in (3, 2, 1):
            value += Fraction(flags[rank - 1] - flags[rank], rank)
            expected.insert(0, value)
        assert by_id == expected
