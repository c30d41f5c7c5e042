"""Values by row from one sort, against ranks and their values one after the other, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from property_tests import examples

from dvspark.kernels import loops
from dvspark.kernels.distances import distances
from dvspark.kernels.distances.distances import approximate_keys, prepare
from dvspark.kernels.distances.key_sizes import key_size
from dvspark.kernels.formulas.knn_banzhaf import KnnBanzhaf
from dvspark.kernels.formulas.knn_shapley import KnnShapley
from dvspark.kernels.formulas.soft_knn_shapley import SoftKnnShapley
from dvspark.kernels.ranking import near_order, ranking, row_values
from dvspark.kernels.ranking.rank_values import ranked_values
from dvspark.kernels.ranking.rank_weights import RankWeights
from dvspark.kernels.ranking.ranking import RankingOptions, Scratch
from dvspark.kernels.workspace import Workspace
from dvspark.schemas import Float64s, TrainLabels

K = 3
WEIGHTS = {
    "knn_shapley": lambda n: KnnShapley(K).rank_weights(n),
    "soft_knn_shapley": lambda n: SoftKnnShapley(K, 4).rank_weights(n),
    "knn_banzhaf": lambda n: KnnBanzhaf(K, "wang2023", 4).rank_weights(n),
}


def valued(
    x: Any, z: Any, matches: Any, absent: int | None, weights: RankWeights, ties: str, tolerance: float = 1e-8
) -> list[Float64s]:
    """Return the values by row as `value_rows` gives them, and as ranks do."""
    options = RankingOptions("euclidean", "default", ties, K, tolerance=tolerance)
    train = prepare(x, TrainLabels(np.zeros(len(x), np.int32)), options.metric)
    keys = np.empty((1, len(x)), np.float32)
    weight = float(approximate_keys(train, z[None], options.metric, keys)[0])
    if absent is not None:
        keys[0, absent] = np.inf
    near = near_order.near_keys(train, z, weight, options.metric)
    found, expected = np.full(len(x), np.nan), np.zeros(len(x))
    nearest = row_values.value_rows(keys[0], matches, absent, near, weights, options, Workspace(), found)
    ranked = ranking.rank_rows(keys[0], matches, absent, near, options, Scratch(len(x), Workspace()), weights)
    expected[ranked.rows] = ranked_values(ranked.matches, ranked.block_starts, weights, np.empty(len(ranked.rows)))
    np.testing.assert_array_equal(nearest.matches[:K], ranked.matches[:K])
    assert nearest.bound == ranked.bound
    return [found, expected]


@pytest.mark.parametrize("choice", ["numpy", "numba"])
@pytest.mark.parametrize("ties", ["id", "average"])
@examples(25)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(2, 60),
    tolerance=st.sampled_from([1e-8, 1e-3, 1.0]),
    whole=st.booleans(),
    sits_out=st.booleans(),
    method=st.sampled_from(sorted(WEIGHTS)),
)
def test_value_rows__are_the_values_of_the_ranks(
    choice: str, ties: str, seed: int, n: int, tolerance: float, whole: bool, sits_out: bool, method: str
) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3)).astype(np.float32)
    x = np.round(x) if whole else x + rng.choice([0.0, 300.0])  # many ties, or many in doubt
    x = x.astype(np.float32)
    matches, absent = rng.integers(0, 2, n).astype(np.bool_), int(rng.integers(n)) if sits_out else None
    if absent is not None:
        matches[absent] = False
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(loops.CHOICE_VARIABLE, choice)
        loops.fastest.cache_clear()
        weights = WEIGHTS[method](n - (absent is not None))
        found, expected = valued(x, rng.normal(size=3).astype(np.float32), matches, absent, weights, ties, tolerance)
    loops.fastest.cache_clear()
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("largest_group", [0, 1, 10**6])
def test_value_rows__the_way_groups_are_ordered_does_not_matter(
    largest_group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Far from the origin float32 keys tell hardly any rows apart: one group of thousands.
    rng = np.random.default_rng(3)
    x, z = (rng.normal(size=(5_000, 4)) * 1e-3 + 1.0).astype(np.float32), np.ones(4, np.float32)
    matches, weights = rng.integers(0, 2, 5_000).astype(np.bool_), KnnShapley(K).rank_weights(5_000)
    expected = valued(x, z, matches, None, weights, "id")[0]
    monkeypatch.setattr(near_order, "LARGEST_GROUP", largest_group)
    np.testing.assert_array_equal(valued(x, z, matches, None, weights, "id")[0], expected)


@pytest.mark.parametrize("choice", ["numpy", "numba"])
def test_value_rows__order_that_matters_less_than_the_tolerance_asks_for_no_exact_keys(
    choice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(loops.CHOICE_VARIABLE, choice)
    loops.fastest.cache_clear()
    asked, exact_keys = list[int](), distances.exact_keys

    def counted(*given: Any) -> Float64s:
        asked.append(len(given[1]))
        return exact_keys(*given)

    monkeypatch.setattr(distances, "exact_keys", counted)
    rng = np.random.default_rng(4)
    x, z = rng.normal(size=(20_000, 128)).astype(np.float32), rng.normal(size=128).astype(np.float32)
    matches, weights = rng.random(20_000) < 0.1, KnnShapley(K).rank_weights(20_000)
    of_tolerance = []
    for tolerance in (1e-6, 1e-8, 0.0):
        asked.clear()
        found, expected = valued(x, z, matches, None, weights, "id", tolerance)
        np.testing.assert_array_equal(found, expected)
        of_tolerance.append(sum(asked) / 2)  # once for values by row, once by rank
    loops.fastest.cache_clear()
    assert near_order.ERROR_SAMPLE < of_tolerance[0] < of_tolerance[1] < of_tolerance[2]
    assert of_tolerance[2] < 5_000  # rows that do not match need no order among themselves


@pytest.mark.parametrize("zeros", [0.0, 0.1, 0.9])
@pytest.mark.parametrize("place", [0, 1_000])  # is one of the rows that keys' errors are measured on, or is not
def test_value_rows__one_row_much_longer_than_the_others_leaves_them_no_more_in_doubt(
    place: int, zeros: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, exact_keys = list[int](), distances.exact_keys

    def counted(*given: Any) -> Float64s:
        asked.append(len(given[1]))
        return exact_keys(*given)

    monkeypatch.setattr(distances, "exact_keys", counted)
    rng = np.random.default_rng(6)
    x, z = rng.normal(size=(5_000, 8)).astype(np.float32), rng.normal(size=8).astype(np.float32)
    x[rng.random(5_000) < zeros] = 0.0
    matches, weights = rng.random(5_000) < 0.5, KnnShapley(K).rank_weights(5_000)
    of_length = []
    for length in (1.0, 1e4):
        asked.clear()
        x[place] = length * z[::-1]
        found, expected = valued(x, z, matches, None, weights, "id", 0.0)
        order = np.argsort(((x.astype(np.float64) - z) ** 2).sum(axis=1), kind="stable")
        by_rank = KnnShapley(K).recursive_values(matches[order].astype(np.float64))
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_allclose(found[order], by_rank, rtol=0, atol=1e-14)
        of_length.append(sum(asked))
    assert of_length[1] < 1.2 * of_length[0] + 2 * near_order.ERROR_SAMPLE


@pytest.mark.parametrize("metric", distances.METRICS)
def test_doubt_limits__grow_no_faster_than_keys(metric: str) -> None:
    # Keys of an error at the limit beyond which all rows get one.
    rng = np.random.default_rng(7)
    x = (rng.normal(size=(3_000, 2)) * rng.lognormal(sigma=3.0, size=(3_000, 1))).astype(np.float32)
    x[:100] = x[0] * (1.0 + 1e-3 * rng.normal(size=(100, 1)))
    train = prepare(x, TrainLabels(np.zeros(len(x), np.int32)), metric)
    keys = np.empty((1, len(x)), np.float32)
    weight = float(approximate_keys(train, x[:1], metric, keys)[0])
    size, ordered = key_size(train, weight, metric), np.sort(keys[0].astype(np.float64))
    assert np.all(np.diff(ordered - near_order.LARGEST_GROWTH * size.largest_at(ordered)) >= -1e-12 * abs(ordered[1:]))


@pytest.mark.parametrize("metric", distances.METRICS)
@pytest.mark.parametrize("offset", [0.0, 20.0])
def test_key_size__no_size_is_above_what_is_said_for_its_key(metric: str, offset: float) -> None:
    rng = np.random.default_rng(5)
    x = (rng.normal(size=(300, 6)) * rng.lognormal(size=(300, 1)) + offset).astype(np.float32)
    train = prepare(x, TrainLabels(np.zeros(300, np.int32)), metric)
    keys = np.empty((1, 300), np.float32)
    weight = float(approximate_keys(train, x[:1], metric, keys)[0])
    size = key_size(train, weight, metric)
    sizes, largest = size.of(train.squared_norm), size.largest_at(keys[0])
    assert np.all(sizes <= largest)
    assert largest.max() <= sizes.max() * (1 + 1e-12)
    order = np.argsort(keys[0])
    assert np.all(np.diff(largest[order]) >= 0)
