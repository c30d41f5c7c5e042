"""The ranking beyond the exactly ordered rows: the float32 path, its tiles and blocks, ties and memory.

Small constants send small data through the path of large data, so that the reference can still be asked.
"""

from __future__ import annotations

import tracemalloc
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import METHODS, METRICS, float_distances, reference_values
from threadpoolctl import threadpool_limits

import dvspark
from dvspark.kernels.binning import row_codes
from dvspark.kernels.distances import distances
from dvspark.kernels.distances.distances import (
    COSINE_TIE_GAP,
    duplicate_rows,
    exact_keys,
    prepare,
    settle_ties,
    squared_norms,
)
from dvspark.kernels.distances.first_pass import first_pass
from dvspark.kernels.formulas.knn_shapley import KnnShapley
from dvspark.kernels.memory import scratch_bytes
from dvspark.kernels.ranking import ranking
from dvspark.kernels.ranking.partials import ranking_partial
from dvspark.kernels.ranking.ranking import RankingOptions, points_per_block, ranked_points
from dvspark.kernels.workspace import Workspace
from dvspark.schemas import ChunkArrays, TrainLabels

N_TRAIN, N_VALIDATION, K = 250, 20, 2
TOLERANCE = 1e-12

Rows = tuple[np.ndarray, ...]


@pytest.fixture
def small_constants(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """32 exact rows, tiles of 37, blocks of 3 points: all far below the size of the data."""
    monkeypatch.setattr(ranking, "SORTED_ROWS", 32)
    monkeypatch.setattr(ranking, "SORTED_ROWS_PER_NEIGHBOR", 8)
    monkeypatch.setattr(ranking, "KEY_BLOCK_BYTES", 3 * 4 * N_TRAIN)
    monkeypatch.setattr(distances, "TILE_ROWS", 37)
    return monkeypatch


@pytest.fixture
def approximations(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the blocks of points whose keys came from float32 products."""
    blocks: list[int] = []
    original = distances.approximate_keys

    def counted(train: Any, z: Any, metric: str, out: Any) -> Any:
        blocks.append(len(z))
        return original(train, z, metric, out)

    monkeypatch.setattr(distances, "approximate_keys", counted)
    return blocks


def rows_of_seed(seed: int, draw: Any) -> Rows:
    rng = np.random.default_rng(seed)
    x = draw(rng, N_TRAIN + N_VALIDATION).astype(np.float32)
    y = rng.integers(0, 3, size=len(x))
    return x[:N_TRAIN], y[:N_TRAIN], x[N_TRAIN:], y[N_TRAIN:]


def whole_numbers() -> Rows:
    """Rows on a fine integer grid in many dimensions: products are exact in float32, and ties are rare."""
    return rows_of_seed(1, lambda rng, n: rng.integers(-40, 41, size=(n, 12)))


def apart(metric: str) -> Rows:
    """Rows whose distances to 5 points differ by ten times and more what a float32 product may be off."""
    x, y, z, y_z = rows_of_seed(2, lambda rng, n: rng.normal(size=(n, 8)))
    z, y_z = z[:5], y_z[:5]
    squares = [1.0] if metric == "cosine" else np.sum(np.float64(x) ** 2, axis=1)
    keep = np.ones(len(x), bool)
    for point in z:
        keys = float_distances(np.float64(x), np.float64(point), metric)
        order = np.argsort(keys)
        keep[order[1:][np.diff(keys[order]) < 1e-5 * np.max(squares)]] = False
    assert keep.sum() > 0.6 * N_TRAIN
    return x[keep], y[keep], z, y_z


def grid() -> Rows:
    """Rows at 26 places: most are duplicates, and most places are as far from a point as others."""

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        x = rng.integers(-1, 2, size=(n, 3))
        x[~x.any(axis=1), 0] = 1
        return x

    return rows_of_seed(3, draw)


def without_validation(rows: Rows, self_validation: bool) -> Rows:
    return rows[:2] if self_validation else rows


# --- the values -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("self_validation", [False, True])
@pytest.mark.parametrize("ties", ["id", "average"])
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("method", METHODS)
def test_ranking__beyond_the_exact_rows_equals_the_definition_where_ties_are_everywhere(
    small_constants: Any, approximations: list[int], method: str, metric: str, ties: str, self_validation: bool
) -> None:
    rows = without_validation(grid(), self_validation)
    options = {"method": method, "k": K, "metric": metric, "ties": ties, "self_validation": self_validation}
    values = dvspark.value_arrays(*rows, **options)
    assert max(approximations) == 3
    np.testing.assert_allclose(values, reference_values(*rows, **options), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("self_validation", [False, True])
@pytest.mark.parametrize("ties", ["id", "average"])
@pytest.mark.parametrize("metric", ["euclidean", "inner_product"])
def test_ranking__beyond_the_exact_rows_equals_the_definition_where_products_are_exact(
    small_constants: Any, approximations: list[int], metric: str, ties: str, self_validation: bool
) -> None:
    rows = without_validation(whole_numbers(), self_validation)
    options = {"method": "knn_shapley", "k": K, "metric": metric, "ties": ties, "self_validation": self_validation}
    values = dvspark.value_arrays(*rows, **options)
    assert approximations
    np.testing.assert_allclose(values, reference_values(*rows, **options), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("ties", ["id", "average"])
@pytest.mark.parametrize("metric", METRICS)
def test_ranking__beyond_the_exact_rows_equals_the_definition_where_rows_are_apart(
    small_constants: Any, approximations: list[int], metric: str, ties: str
) -> None:
    rows = apart(metric)
    options = {"method": "knn_shapley", "k": K, "metric": metric, "ties": ties}
    values = dvspark.value_arrays(*rows, **options)
    assert approximations
    np.testing.assert_allclose(values, reference_values(*rows, **options), rtol=0, atol=TOLERANCE)


def test_ranking__each_row_plays_once(small_constants: Any) -> None:
    x, y, z, y_z = grid()
    train = prepare(x, TrainLabels(y.astype(np.int32)), "euclidean")
    labels = [np.array([label], np.int32) for label in y_z]
    for absent in (None, np.arange(len(z))):
        chunk = ChunkArrays(z, labels, absent)
        for v, ranked in enumerate(
            ranked_points(train, chunk, RankingOptions("euclidean", "default", "id", K), Workspace())
        ):
            expected = set(range(N_TRAIN)) - (set() if absent is None else {v})
            assert len(ranked.rows) == len(expected)
            assert set(ranked.rows.tolist()) == expected
            np.testing.assert_array_equal(ranked.matches, y[ranked.rows] == y_z[v])


def test_ranking__the_first_rows_are_exact_however_close_they_are(small_constants: Any) -> None:
    # Steps of one unit in the last place of float32: products cannot tell these rows apart.
    steps = np.arange(30, dtype=np.float32)
    near = np.stack([1 + steps * np.float32(2**-23), np.full(30, 3, np.float32)], axis=1)
    far = np.random.default_rng(4).uniform(50, 90, size=(N_TRAIN - 30, 2)).astype(np.float32)
    order = np.random.default_rng(5).permutation(N_TRAIN)
    x = np.concatenate([near, far])[order]
    train = prepare(x, TrainLabels(np.zeros(N_TRAIN, np.int32)), "euclidean")
    chunk = ChunkArrays(np.array([[1, 3]], np.float32), [np.array([0], np.int32)])
    (ranked,) = ranked_points(train, chunk, RankingOptions("euclidean", "default", "id", K), Workspace())
    np.testing.assert_array_equal(order[ranked.rows[:30]], np.arange(30))


@pytest.mark.parametrize("metric", METRICS)
def test_ranking__float64_precision_asks_no_product(
    small_constants: Any, approximations: list[int], metric: str
) -> None:
    rows = grid()
    options = {"method": "knn_shapley", "k": K, "metric": metric}
    values = dvspark.value_arrays(*rows, **options, precision="float64")
    assert not approximations
    np.testing.assert_allclose(values, reference_values(*rows, **options), rtol=0, atol=TOLERANCE)


# --- what must not matter ---------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("precision", ["float64", "default"])
def test_ranking__the_sizes_of_tiles_and_blocks_do_not_matter(
    small_constants: Any, precision: str, metric: str
) -> None:
    rows = rows_of_seed(8, lambda rng, n: rng.normal(size=(n, 8))) if precision == "float64" else grid()
    found = []
    for tile, points in ((1, 1), (37, 3), (64, 256), (249, 19), (250, 20), (8192, 7)):
        small_constants.setattr(distances, "TILE_ROWS", tile)
        small_constants.setattr(ranking, "KEY_BLOCK_BYTES", points * 4 * N_TRAIN)
        assert points_per_block(N_TRAIN) == points
        found.append(dvspark.value_arrays(*rows, k=K, metric=metric, precision=precision))
    for values in found[1:]:
        if precision == "float64":
            np.testing.assert_array_equal(values, found[0])
        else:
            np.testing.assert_allclose(values, found[0], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("metric", METRICS)
def test_ranking__the_number_of_threads_does_not_matter(metric: str) -> None:
    # Large enough that the library spreads a product over threads.
    rng = np.random.default_rng(6)
    x, y = rng.integers(-9, 10, size=(6_000, 64)).astype(np.float32), rng.integers(0, 4, size=6_000)
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            found.append(dvspark.value_arrays(x[:5_900], y[:5_900], x[5_900:], y[5_900:], k=K, metric=metric))
    np.testing.assert_allclose(found[1], found[0], rtol=0, atol=TOLERANCE)
    with threadpool_limits(2):
        exact = [dvspark.value_arrays(x[:500], y[:500], x[500:520], y[500:520], precision="float64") for _ in "12"]
    np.testing.assert_array_equal(*exact)


# --- memory -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ties", ["id", "average"])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("how", ["sorted", "float64", "binned"])
def test_ranking_partial__stays_under_the_memory_it_promises(
    monkeypatch: pytest.MonkeyPatch, how: str, metric: str, ties: str
) -> None:
    n_train, n_features, n_points = 200_000, 8, 9
    # A block of no more points than there are: else the bound for 256 points would hide everything else.
    monkeypatch.setattr(ranking, "KEY_BLOCK_BYTES", n_points * 4 * n_train)
    monkeypatch.setattr(row_codes, "points_per_block", lambda *_sizes: n_points)
    rng = np.random.default_rng(7)
    x = rng.normal(size=(n_train, n_features)).astype(np.float32)
    y = rng.integers(0, 5, size=n_train).astype(np.int32)
    train = prepare(x, TrainLabels(y), metric)
    chunk = ChunkArrays(x[:n_points], [y[v : v + 1] for v in range(n_points)])
    precision, ranked = ("float64", "sorted") if how == "float64" else ("default", how)
    work = partial(
        ranking_partial,
        train,
        chunk,
        RankingOptions(metric, precision, ties, K, ranked, row_bounds=True),
        KnnShapley(K).rank_weights,
        KnnShapley(K).utilities,
    )
    work(Workspace())  # what compiling loops takes is not theirs
    tracemalloc.start()
    try:
        found = work(Workspace())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.n_validation == n_points
    assert peak > 40 * n_train  # two sums, weights, codes or an order: the tracing did see NumPy's arrays
    assert peak < scratch_bytes(n_train, n_features, ties=ties, ranking=ranked, row_bounds=True)


def test_points_per_block__keeps_keys_under_their_bytes() -> None:
    for n_train in (1, 1_000, 262_144, 1_500_000, 10_000_000):
        points = points_per_block(n_train)
        assert 1 <= points <= ranking.POINTS_PER_BLOCK
        assert points * 4 * n_train <= ranking.KEY_BLOCK_BYTES
    assert points_per_block(10**9) == 1


# --- duplicates and ties ----------------------------------------------------------------------------------


@given(
    rows=st.lists(st.tuples(st.integers(-1, 1), st.sampled_from([0.5, 1.0, 1.0 + 2.0**-52])), min_size=1, max_size=12),
    dtype=st.sampled_from([np.float32, np.float64]),
    tile=st.sampled_from([1, 2, 5, 8_192]),
)
def test_duplicate_rows__names_the_first_copy_of_every_duplicate(rows: list[Any], dtype: Any, tile: int) -> None:
    x = np.array(rows, dtype)
    expected = []
    for row in range(len(x)):
        first = next(other for other in range(len(x)) if np.array_equal(x[other], x[row]))
        expected += [(row, first)] if first != row else []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distances, "TILE_ROWS", tile)
        pairs = duplicate_rows(x, first_pass(x, "euclidean", tile).projections)
    assert pairs.shape == (len(expected), 2)
    assert pairs.dtype == np.int32
    assert [tuple(pair) for pair in pairs.tolist()] == expected


def test_duplicate_rows__rows_that_a_sum_cannot_tell_apart_are_none() -> None:
    # The step is lost beside the large number, in whatever direction the rows are projected.
    x = np.array([[1e6, 1.0], [1e6, 1.0 + 2.0**-52], [1e6, 1.0], [1e6, 1.0 + 2.0**-52]])
    assert duplicate_rows(x[:2], first_pass(x[:2], "euclidean", 4).projections).shape == (0, 2)
    assert duplicate_rows(x, first_pass(x, "euclidean", 4).projections).tolist() in ([[2, 0]], [[2, 0], [3, 1]])


keys_in_clusters = st.lists(
    st.tuples(st.sampled_from([0.0, 1e-20, 1e-9, 0.25, 0.5, 1.0, 2.0]), st.integers(-3, 3)), min_size=1, max_size=12
)


def clustered(drawn: list[tuple[float, int]]) -> np.ndarray:
    """Return keys some units of rounding away from a few places; rounding of a key is eps times its root."""
    return np.array([max(0.0, place + steps * np.finfo(float).eps * np.sqrt(place)) for place, steps in drawn])


@given(drawn=keys_in_clusters)
def test_settle_ties__joins_what_rounding_parted_and_nothing_else(drawn: list[tuple[float, int]]) -> None:
    keys = clustered(drawn)
    settled = settle_ties(keys, "cosine")
    places = np.array([place for place, _ in drawn])
    np.testing.assert_array_equal(settled[:, None] == settled, places[:, None] == places)


@given(drawn=keys_in_clusters, seed=st.integers(0, 99))
def test_settle_ties__keeps_the_order_and_asks_for_none(drawn: list[tuple[float, int]], seed: int) -> None:
    keys = clustered(drawn)
    settled = settle_ties(keys, "cosine")
    order = np.argsort(keys, kind="stable")
    assert np.all(np.diff(settled[order]) >= 0)
    assert set(settled) <= set(keys)
    np.testing.assert_array_equal(settle_ties(settled, "cosine"), settled)
    shuffle = np.random.default_rng(seed).permutation(len(keys))
    np.testing.assert_array_equal(settle_ties(keys[shuffle], "cosine"), settled[shuffle])


@given(steps=st.lists(st.integers(0, 60), max_size=40), place=st.sampled_from([0.0, 1e-32, 1e-9, 0.25, 2.0]))
def test_settle_ties__never_joins_keys_by_way_of_others(steps: list[int], place: float) -> None:
    keys = np.array([place + step * COSINE_TIE_GAP / 5 * np.sqrt(place + COSINE_TIE_GAP**2) for step in steps])
    first, expected = -np.inf, {}
    for key in sorted(keys):
        first = first if key - first <= COSINE_TIE_GAP * np.sqrt(key) else key
        expected[key] = first
    np.testing.assert_array_equal(settle_ties(keys, "cosine"), [expected[key] for key in keys])


@given(drawn=keys_in_clusters, metric=st.sampled_from(["euclidean", "inner_product"]))
def test_settle_ties__leaves_other_metrics_alone(drawn: list[tuple[float, int]], metric: str) -> None:
    keys = clustered(drawn)
    np.testing.assert_array_equal(settle_ties(keys, metric), keys)


@given(
    rows=st.lists(st.lists(st.integers(-50, 50), min_size=4, max_size=4), min_size=1, max_size=9),
    metric=st.sampled_from(["euclidean", "inner_product"]),
)
def test_exact_keys__of_integers_are_the_integers(rows: list[list[int]], metric: str) -> None:
    x, z = np.array(rows, np.float32), np.array([3, -7, 11, 2], np.float32)
    exact = np.array(rows, np.int64)
    point = np.array([3, -7, 11, 2])
    expected = ((exact - point) ** 2).sum(axis=1) if metric == "euclidean" else -(exact * point).sum(axis=1)
    np.testing.assert_array_equal(exact_keys(x, np.arange(len(x)), z, metric), expected)
    np.testing.assert_array_equal(squared_norms(x), (exact**2).sum(axis=1))


def test_scratch_bytes__of_bins_has_one_bound_up_to_three_million_rows() -> None:
    for n_train in (200_000, 1_500_000, 3_000_000):
        assert scratch_bytes(n_train, 256, ranking="binned") <= row_codes.WORKER_BYTES
