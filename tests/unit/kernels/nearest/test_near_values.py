"""Leave-one-out, truncated and cleanlab's values against enumeration, their second formulas and cleanlab itself."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle_games import (
    Point,
    cleanlab_scores,
    leave_one_out,
    nearest_game,
    points_of,
    semivalues,
    shapley,
    truncated_values,
)
from oracles import float_distances
from scipy.sparse import csr_matrix
from worked_cases import VECTORS

from dvspark.errors import ConfigError, InputError
from dvspark.kernels.formulas.cleanlab_knn_shapley import CleanlabKnnShapley, graph_scores, score
from dvspark.kernels.formulas.kinds import NearestFormulas
from dvspark.kernels.formulas.knn_loo import KnnLoo
from dvspark.kernels.formulas.semivalues import UTILITIES
from dvspark.kernels.formulas.truncated_knn_shapley import TAILS, TruncatedKnnShapley
from dvspark.kernels.nearest.near_values import NearestPoint, NearValues

FLAGS = st.lists(st.booleans(), min_size=1, max_size=7)


def point_of(flags: list[bool]) -> Point:
    """Return a point whose rows stand in rank order."""
    rows = list(range(len(flags)))
    return Point([Fraction(row) for row in rows], rows, flags)


def near_of(formulas: NearestFormulas, matches: np.ndarray) -> NearValues:
    m = formulas.n_nearest(len(matches))
    return formulas.near_values(NearestPoint(matches[:m], len(matches), int(matches.sum())))


def by_rank(near: NearValues, matches: np.ndarray) -> np.ndarray:
    """Return the values of all ranks."""
    values = np.where(matches, near.of_match, near.of_other)
    values[: len(near.values)] = near.values
    return values


def worked_case(name: str) -> dict[str, Any]:
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))


def mean_of_worked_case(case: dict[str, Any], formulas: NearestFormulas) -> list[float]:
    """Return the means over the validation rows of a worked case, in the order of its players."""
    train, validation = case["inputs"]["train"], case["inputs"]["val"]
    columns = [[row[name] for row in part] for part in (train, validation) for name in ("x", "y")]
    ids = [row["id"] for row in train]
    total = np.zeros(len(train))
    for point in points_of(*columns, train_ids=ids):
        order = point.ranked(range(len(train)))
        matches = np.array(point.flags)[order]
        total[order] += by_rank(near_of(formulas, matches), matches)
    return [float(total[ids.index(player)]) / len(validation) for player in case["expected"]["players"]]


# --- leave-one-out ----------------------------------------------------------------------------------------


@given(flags=FLAGS, k=st.integers(1, 9), utility=st.sampled_from(UTILITIES), n_classes=st.integers(1, 4))
def test_knn_loo__is_the_enumerated_difference(flags: list[bool], k: int, utility: str, n_classes: int) -> None:
    game = nearest_game(point_of(flags), k=k, utility=utility, n_classes=n_classes)
    exact = semivalues(range(len(flags)), game, leave_one_out)
    expected = [float(exact[row]) for row in range(len(flags))]
    matches, parameters = np.array(flags), {"k": k, "utility": utility, "n_classes": n_classes}
    found = by_rank(near_of(KnnLoo(**parameters), matches), matches)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-15)
    reference = KnnLoo(**parameters).reference_values(matches)
    np.testing.assert_allclose(reference, expected, rtol=0, atol=1e-15)
    full, empty = KnnLoo(**parameters).utilities(float(matches[:k].sum()), len(flags))
    assert (full, empty) == pytest.approx((float(game(range(len(flags)))), float(game([]))), abs=1e-15)


@pytest.mark.parametrize("name", ["loo_2019", "loo_2023"])
def test_knn_loo__equals_the_worked_case(name: str) -> None:
    case = worked_case(name)
    utility = "wang2023" if name.endswith("2023") else "jia2019"
    parameters = {"k": case["params"]["K"], "utility": utility, "n_classes": case["params"].get("C", 2)}
    assert mean_of_worked_case(case, KnnLoo(**parameters)) == pytest.approx(case["expected"]["value"], abs=1e-15)


# --- truncated --------------------------------------------------------------------------------------------


@given(flags=FLAGS, k=st.integers(1, 9), more=st.integers(0, 5))
def test_truncated__is_the_enumerated_value_less_that_of_the_last_near_row(
    flags: list[bool], k: int, more: int
) -> None:
    matches, parameters = np.array(flags), {"k": k, "k_star": k + more}
    expected = [float(value) for value in truncated_values(point_of(flags), **parameters)]
    near = near_of(TruncatedKnnShapley(**parameters), matches)
    np.testing.assert_allclose(by_rank(near, matches), expected, rtol=0, atol=1e-14)
    reference = TruncatedKnnShapley(**parameters).reference_values(matches)
    np.testing.assert_allclose(reference, expected, rtol=0, atol=1e-14)
    m = min(k + more, len(flags))
    point = NearestPoint(matches[:m], len(flags), int(matches.sum()))
    assert len(near.values) == m
    assert near.values.sum() == pytest.approx(TruncatedKnnShapley(**parameters).total(point)[0], abs=1e-14)
    if m >= k:
        full, _ = TruncatedKnnShapley(**parameters).utilities(float(matches[:k].sum()), len(flags))
        assert near.values.sum() == pytest.approx(full - float(matches[m - 1]), abs=1e-14)


@given(flags=FLAGS, k=st.integers(1, 4), more=st.integers(0, 3), tail=st.sampled_from(TAILS))
def test_truncated__no_value_is_further_off_than_one_over_the_near_rows(
    flags: list[bool], k: int, more: int, tail: str
) -> None:
    matches, parameters = np.array(flags), {"k": k, "k_star": k + more, "tail": tail}
    exact = semivalues(range(len(flags)), nearest_game(point_of(flags), k=k), shapley)
    expected = np.array([float(exact[row]) for row in range(len(flags))])
    found = by_rank(near_of(TruncatedKnnShapley(**parameters), matches), matches)
    m = max(k, min(k + more, len(flags)))
    assert np.max(np.abs(found - expected)) <= (1.0 if tail == "zero" else 0.5) / m + 1e-14
    if tail == "bound" and k + more >= len(flags):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)


@given(seed=st.integers(0, 2**32), n=st.integers(1, 60), k=st.integers(1, 9), more=st.integers(0, 20))
def test_truncated__the_bound_is_the_middle_between_the_extreme_orders(seed: int, n: int, k: int, more: int) -> None:
    rng = np.random.default_rng(seed)
    matches, parameters = rng.random(n) < rng.random(), {"k": k, "k_star": k + more, "tail": "bound"}
    found = by_rank(near_of(TruncatedKnnShapley(**parameters), matches), matches)
    reference = TruncatedKnnShapley(**parameters).reference_values(matches)
    np.testing.assert_allclose(found, reference, rtol=0, atol=1e-14)


def test_truncated__epsilon_says_how_many_rows() -> None:
    asked = [TruncatedKnnShapley(7, epsilon=e).n_nearest(1_000) for e in (1.0, 0.1, 0.03, 1e-9)]
    assert asked == [7, 10, 34, 1_000]
    assert TruncatedKnnShapley(7, k_star=9).n_nearest(1_000) == 9


def test_truncated__equals_the_worked_case() -> None:
    case = worked_case("knn2019_truncated")
    parameters = {"k": case["params"]["K"], "k_star": case["params"]["K_star"]}
    found = mean_of_worked_case(case, TruncatedKnnShapley(**parameters))
    assert found == pytest.approx(case["expected"]["value"], abs=1e-15)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"k": 5}, "one of the two"),
        ({"k": 5, "epsilon": 0.1, "k_star": 9}, "one of the two"),
        ({"k": 5, "epsilon": 0.0}, "above 0"),
        ({"k": 5, "epsilon": float("nan")}, "above 0"),
        ({"k": 5, "k_star": 4}, "k = 5 or more"),
        ({"k": 5, "k_star": 5, "tail": "drop"}, "'zero', 'bound'"),
    ],
)
def test_truncated__refuses_parameters_that_say_nothing(parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        TruncatedKnnShapley(**parameters).n_nearest(100)


# --- cleanlab ---------------------------------------------------------------------------------------------


def scores_from_features(x: np.ndarray, y: np.ndarray, k: int, metric: str) -> np.ndarray:
    """Return the scores by way of the kernel, point by point in order of the rows."""
    total = np.zeros(len(x))
    for v, z in enumerate(x):
        far = float_distances(x, z, metric)
        far[v] = np.inf
        order = np.argsort(far, kind="stable")[: len(x) - 1]
        matches = y[order] == y[v]
        near = near_of(CleanlabKnnShapley(k), matches)
        total[order[:k]] += near.values
    return score(total / len(x))


def graph_of(x: np.ndarray, k: int, metric: str, rng: np.random.Generator | None = None) -> csr_matrix:
    """Return the graph of the k nearest others; given ``rng``, each row's neighbors in another order."""
    rows, far = [], []
    for v, z in enumerate(x):
        distance = float_distances(x, z, metric)
        distance[v] = np.inf
        order = np.argsort(distance, kind="stable")[:k]
        order = order if rng is None else rng.permutation(order)
        rows.append(order)
        far.append(distance[order])
    return csr_matrix((np.concatenate(far), np.concatenate(rows), np.arange(0, len(x) * k + 1, k)), (len(x), len(x)))


@pytest.mark.parametrize(("n", "d", "k"), [(5, 1, 4), (60, 3, 7), (60, 5, 1), (300, 2, 10), (300, 16, 10)])
def test_cleanlab__scores_are_those_of_the_installed_package(n: int, d: int, k: int) -> None:
    valuation = pytest.importorskip("cleanlab.data_valuation")
    rng = np.random.default_rng(n + d)
    x, y = rng.normal(size=(n, d)), rng.integers(0, 3, size=n)
    metric = "cosine" if d > 3 else "euclidean"
    np.testing.assert_array_equal(scores_from_features(x, y, k, metric), valuation.data_shapley_knn(y, features=x, k=k))
    graph = graph_of(x, min(k + 2, n - 1), metric)
    expected = valuation.data_shapley_knn(y, knn_graph=graph, k=k)
    np.testing.assert_array_equal(graph_scores(graph, y, k), expected)


def test_cleanlab__scores_equal_the_enumeration() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.choice(1_000, size=(9, 1), replace=False) ** 2, rng.integers(0, 2, size=9)
    for k in (1, 3, 8):
        expected = [float(s) for s in cleanlab_scores(x.tolist(), y.tolist(), k=k, metric="euclidean")]
        found = graph_scores(graph_of(x.astype(float), 8, "euclidean", rng), y, k)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-15)


def test_cleanlab__scores_equal_the_worked_case() -> None:
    # Its distances are tied in pairs, but of k = n - 1 neighbors only the last one's order matters: none here is tied
    # for the last place unless the row is the middle one, whose two last neighbors have one label.
    case = worked_case("cleanlab_scores")
    x, y = (np.array([row[name] for row in case["inputs"]["train"]], float) for name in ("x", "y"))
    found = graph_scores(graph_of(x, 4, "euclidean"), y.astype(int), case["params"]["k"])
    np.testing.assert_array_equal(found, case["expected"]["value"])
    np.testing.assert_array_equal(scores_from_features(x, y, 4, "euclidean"), case["expected"]["value"])


@given(seed=st.integers(0, 2**32), n=st.integers(2, 40), k=st.integers(1, 12))
def test_graph_scores__do_not_hang_on_how_a_row_is_stored(seed: int, n: int, k: int) -> None:
    rng, k = np.random.default_rng(seed), min(k, n - 1)
    x, y = rng.normal(size=(n, 3)), rng.integers(0, 2, size=n)
    expected = scores_from_features(x, y, k, "euclidean")
    graph = graph_of(x, k, "euclidean", rng)
    np.testing.assert_array_equal(graph_scores(graph, y, k), expected)
    # The row itself, at distance zero, is no neighbor; farther ones than the k-th do not matter.
    with_self = graph_of(x, n - 1, "euclidean", rng) + csr_matrix(np.eye(n) * 1e-9)
    np.testing.assert_array_equal(graph_scores(with_self.tocsr(), y, k), expected)


def test_graph_scores__of_rows_whose_square_would_fill_any_memory() -> None:
    n, k, rng = 100_000, 10, np.random.default_rng(6)
    y = rng.integers(0, 3, size=n)
    # Neighbors are the next rows of a ring; a table of n × n numbers would take 80 GB.
    rows = (np.arange(n)[:, None] + np.arange(1, k + 1)) % n
    far = np.broadcast_to(np.arange(1.0, k + 1), (n, k)).ravel()
    graph = csr_matrix((far, rows.ravel(), np.arange(0, n * k + 1, k)), (n, n))
    found = graph_scores(graph, y, k)
    matches = np.stack([np.roll(y, -step) == y for step in range(1, k + 1)], axis=1)
    # Each row is the j-th neighbor of the row j places before it.
    total = sum(np.roll(matches[:, j].astype(float) - matches[:, -1], j + 1) for j in range(k)) / k
    np.testing.assert_allclose(found, 0.5 + 0.5 * total / n, rtol=0, atol=1e-15)


@given(flags=st.lists(st.booleans(), min_size=1, max_size=20), k=st.integers(1, 20))
def test_cleanlab__values_equal_those_from_exact_ranks(flags: list[bool], k: int) -> None:
    matches, k = np.array(flags), min(k, len(flags))
    found = by_rank(near_of(CleanlabKnnShapley(k), matches), matches)
    reference = CleanlabKnnShapley(k).reference_values(matches)
    np.testing.assert_allclose(found, reference, rtol=0, atol=1e-14)
    full, _ = CleanlabKnnShapley(k).utilities(float(matches[:k].sum()), len(flags))
    assert found.sum() == pytest.approx(full - float(matches[k - 1]), abs=1e-14)


def test_graph_scores__refuse_a_graph_that_does_not_serve() -> None:
    graph, y = graph_of(np.arange(6.0)[:, None] ** 2, 3, "euclidean"), np.zeros(6, np.int64)
    for arguments, words in (((graph, y[:5], 2), r"shape \(5, 5\)"), ((graph, y, 4), "3 for row 0")):
        with pytest.raises(InputError, match=words):
            graph_scores(*arguments)
    graph.data[4] = np.nan
    with pytest.raises(InputError, match="finite"):
        graph_scores(graph, y, 2)
    with pytest.raises(ConfigError, match="from 1"):
        graph_scores(graph, y, 0)
    with pytest.raises(ConfigError, match="at most the 5 other rows"):
        CleanlabKnnShapley(6).n_nearest(5)
