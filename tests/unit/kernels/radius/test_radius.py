"""Rows within a radius: the bound on float32 keys, and the same rows as exact keys find, on every path."""

from __future__ import annotations

import contextlib
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import METRICS
from property_tests import examples

from dvspark.kernels.distances import distances, key_tiles, product_speed
from dvspark.kernels.distances.distances import prepare
from dvspark.kernels.distances.key_bounds import key_bounds, row_terms
from dvspark.kernels.distances.reach import is_within
from dvspark.kernels.formulas.threshold_knn_shapley import ThresholdKnnShapley
from dvspark.kernels.radius import radius, within_radius
from dvspark.kernels.radius.radius import RadiusValues, radius_from_neighbors, radius_partial
from dvspark.kernels.ranking.ranking import RankingOptions
from dvspark.kernels.workspace import Workspace
from dvspark.schemas import ChunkArrays, Partial, TrainArrays, TrainColumns, TrainLabels

SEEDS = st.integers(0, 2**32 - 1)
TILE = 40
SCALES = [1e-25, 1e-3, 1.0, 1e4, 1e17]


def options_of(metric: str, precision: str = "default") -> RankingOptions:
    return RankingOptions(metric, precision, "id", 1)


@contextlib.contextmanager
def small_constants(products: str = "float32") -> Iterator[None]:
    """Tiles of 40, blocks of 3 points, three pairs that wait: far below the size of the data."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(product_speed.CHOICE_VARIABLE, products)
        patch.setattr(key_tiles, "LEAST_TILES", 1)
        patch.setattr(within_radius, "MOST_DOUBT", 1)
        patch.setattr(distances, "TILE_ROWS", TILE)
        patch.setattr(distances, "POINTS_PER_PRODUCT", 3)
        patch.setattr(within_radius, "WAITING_PAIRS", 3)
        patch.setattr(radius, "ADDED_ROWS", 96)
        yield


def rows_of(seed: int, n: int, n_features: int, offset: float, scale: float, dtype: Any) -> np.ndarray:
    """Rows of very different sizes, far from the origin or not."""
    rng = np.random.default_rng(seed)
    sizes = np.exp(rng.normal(size=(n, 1)) * rng.choice([0.0, 1.0, 3.0]))
    x = (rng.normal(size=(n, n_features)) * sizes + offset * rng.normal(size=n_features)) * scale
    return x.astype(dtype)


def drawn_table(
    seed: int, metric: str, n: int = 100, n_points: int = 7, n_labels: int = 3
) -> tuple[TrainArrays, ChunkArrays]:
    """Rows on a coarse grid: duplicates, and as many ties as can be."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-2, 3, size=(n + n_points, 3)).astype(rng.choice([np.float32, np.float64]))
    x[~x.any(axis=1), 0] = 1
    if rng.integers(2):
        x += 50
    labels = rng.integers(0, n_labels, n).astype(np.int32)
    codes = [np.unique(rng.integers(0, n_labels, rng.integers(1, 3))).astype(np.int32) for _ in range(n_points)]
    codes[0] = codes[0][:0]
    return prepare(x[:n], TrainLabels(labels), metric), ChunkArrays(x[n:], codes)


# --- the bound --------------------------------------------------------------------------------------------


def true_key(x: np.ndarray, z: np.ndarray, metric: str) -> Fraction:
    """Return the key in rational numbers; under cosine unit vectors are those of float64, some 1e-15 off."""
    if metric == "cosine":
        x, z = np.float64(x), np.float64(z)
        x, z = x / np.sqrt(x @ x), z / np.sqrt(z @ z)
    a, b = [Fraction(float(c)) for c in x], [Fraction(float(c)) for c in z]
    if metric == "inner_product":
        return -sum((p * q for p, q in zip(a, b, strict=True)), Fraction(0))
    square = sum(((p - q) ** 2 for p, q in zip(a, b, strict=True)), Fraction(0))
    return square / 2 if metric == "cosine" else square


def key_errors(
    x: np.ndarray, z: np.ndarray, metric: str, *, centered: bool | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (float32 key + constant, float64 key, bound) of every point and row."""
    train = prepare(x, TrainLabels(np.zeros(len(x), np.int32)), metric)
    assert centered is None or (train.center is not None) == centered
    keys = np.empty((len(z), len(x)), np.float32)
    points = distances.place_points(train, z, metric)
    distances.approximate_keys(train, z, metric, keys)
    bounds = key_bounds(train, points, z, metric)
    rows = row_terms(np.sqrt(train.squared_norm), train.scale)
    errors = np.stack([bounds.errors(np.full(len(x), point), rows) for point in range(len(z))])
    exact = np.stack([distances.exact_keys(train.x, np.arange(len(x)), point, metric) for point in z])
    return keys + bounds.constants[:, None], exact, errors


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("metric", METRICS)
@examples(150)
@given(
    seed=SEEDS,
    n_features=st.integers(1, 40),
    offset=st.sampled_from([0.0, 1.0, 30.0, 1e4]),
    scale=st.sampled_from(SCALES),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_key_bounds__hold_for_any_sizes_and_offsets(
    metric: str, seed: int, n_features: int, offset: float, scale: float, dtype: Any
) -> None:
    x = rows_of(seed, 30, n_features, offset, scale, dtype)
    approximate, exact, errors = key_errors(x[:25], x[25:], metric)
    with np.errstate(invalid="ignore"):
        assert np.all((np.abs(approximate - exact) <= errors) | ~np.isfinite(errors))
    if scale == 1.0:
        assert np.isfinite(errors).all()
    for point, row in ((0, 0), (4, 24)):
        true = true_key(x[row], x[25 + point], metric)
        if np.isfinite(errors[point, row]):
            assert abs(Fraction(float(approximate[point, row])) - true) <= Fraction(float(errors[point, row]))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("offset", [0.0, 30.0])
def test_key_bounds__are_not_far_from_the_errors_of_a_plain_sum(metric: str, offset: float) -> None:
    x = np.random.default_rng(5).normal(loc=offset, size=(300, 32)).astype(np.float32)
    approximate, exact, errors = key_errors(x[:250], x[250:], metric, centered=offset > 0)
    assert (np.abs(approximate - exact) / errors).max() > 0.01


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("metric", METRICS)
def test_key_bounds__are_infinite_where_float32_overflows(metric: str) -> None:
    x = np.array([[1e39, 1.0], [-1.0, 1.0], [1e30, -1e30], [-1e30, -1.0]])
    errors = key_errors(x, x, metric)[2]
    assert np.isinf(errors[[0, 0, 1, 2], [0, 1, 0, 2]]).all()


# --- which rows -------------------------------------------------------------------------------------------


def expected_inside(train: TrainArrays, chunk: ChunkArrays, metric: str, limit: float) -> np.ndarray:
    everything = np.arange(train.n_train)
    keys = np.stack([distances.exact_keys(train.x, everything, point, metric) for point in chunk.x])
    inside = is_within(distances.distance_from_key(keys, metric), limit, metric)
    if chunk.train_rows is not None:
        inside[np.arange(len(inside)), chunk.train_rows] = False
    return inside


def found_inside(
    train: TrainArrays, chunk: ChunkArrays, options: RankingOptions, limit: float, first_row: int = 0
) -> np.ndarray:
    """Return (n_points, 2, n_train) flags: matching neighbors, others."""
    blocks = radius.neighbor_blocks(train, chunk, options, limit, Workspace(), first_row)
    bits = np.concatenate([block.bits.copy() for block in blocks])
    assert not np.unpackbits(bits, axis=2)[:, :, train.n_train :].any()
    return np.unpackbits(bits, axis=2)[:, :, : train.n_train].astype(bool)


def some_radius(train: TrainArrays, chunk: ChunkArrays, metric: str, seed: int) -> float:
    """Return the distance of some row to some point: a radius with rows exactly on it."""
    rng = np.random.default_rng(seed)
    keys = distances.exact_keys(train.x, np.arange(train.n_train), chunk.x[rng.integers(chunk.n_validation)], metric)
    return float(rng.choice(distances.distance_from_key(keys, metric)))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("precision", "products"), [("default", "float32"), ("default", "int8"), ("float64", "")])
@examples(60)
@given(seed=SEEDS, n=st.integers(1, 130), self_validation=st.booleans())
def test_neighbor_blocks__find_the_rows_that_exact_keys_do(
    metric: str, precision: str, products: str, seed: int, n: int, self_validation: bool
) -> None:
    with small_constants(products):
        train, chunk = drawn_table(seed, metric, n)
        limit = some_radius(train, chunk, metric, seed)
        if self_validation:
            chunk = own_points(train, chunk)
        found = found_inside(train, chunk, options_of(metric, precision), limit)
        np.testing.assert_array_equal(found.any(axis=1), expected_inside(train, chunk, metric, limit))
        assert not found.all(axis=1).any()
        for flags, codes in zip(found, chunk.labels, strict=True):
            assert train.labels.codes is not None
            assert np.isin(train.labels.codes[flags[0]], codes).all()
            assert not np.isin(train.labels.codes[flags[1]], codes).any()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("products", ["float32", "int8"])
@examples(60)
@given(seed=SEEDS, scale=st.sampled_from([*SCALES, 1e37]), dtype=st.sampled_from([np.float32, np.float64]))
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_neighbor_blocks__decide_rows_at_the_radius_as_exact_keys_do_at_any_size(
    products: str, metric: str, seed: int, scale: float, dtype: Any
) -> None:
    x = rows_of(seed, 90, 6, 3.0, scale, dtype)
    x[40:70] = x[:30]  # copies of rows that may be on the radius
    train = prepare(x[:85], TrainLabels(np.zeros(85, np.int32)), metric)
    chunk = ChunkArrays(x[85:], [np.zeros(1, np.int32)] * 5)
    limit = some_radius(train, chunk, metric, seed)
    with small_constants(products):
        for near in (limit, float(np.nextafter(limit, -np.inf)), float(np.nextafter(limit, np.inf))):
            found = found_inside(train, chunk, options_of(metric), near)[:, 0]
            np.testing.assert_array_equal(found, expected_inside(train, chunk, metric, near))
            np.testing.assert_array_equal(found[:, 40:70], found[:, :30])


def test_neighbor_blocks__include_a_row_exactly_on_the_radius_and_no_other() -> None:
    x = np.array([[3.0, 4.0], [0.0, 0.0], [3.0, 4.000001], [-4.0, 3.0], [5.0, 1e-7]], np.float32)
    train = prepare(x, TrainLabels(np.array([0, 1, 0, 1, 1], np.int32)), "euclidean")
    chunk = ChunkArrays(np.zeros((1, 2), np.float32), [np.zeros(1, np.int32)])
    for precision in ("default", "float64"):
        found = found_inside(train, chunk, options_of("euclidean", precision), 5.0)[0]
        np.testing.assert_array_equal(found, [[1, 0, 0, 0, 0], [0, 1, 0, 1, 0]])


@pytest.mark.parametrize("precision", ["default", "float64"])
@examples(60)
@given(seed=SEEDS, right_angle=st.booleans(), scaled=st.booleans())
def test_neighbor_blocks__include_rows_at_a_right_angle_and_rows_of_one_direction(
    precision: str, seed: int, right_angle: bool, scaled: bool
) -> None:
    rng = np.random.default_rng(seed)
    rows, points = (rng.integers(-3, 4, (n, 4)) for n in (40, 5))
    rows[~rows.any(axis=1)], points[~points.any(axis=1)] = [1, 1, 0, 0], [0, 0, 1, 1]
    rows[:5] = points * rng.integers(1, 9, (5, 1))
    dots, squares = points @ rows.T, np.outer((points**2).sum(axis=1), (rows**2).sum(axis=1))
    expected = dots >= 0 if right_angle else (dots > 0) & (dots * dots == squares)
    x = rows * rng.choice([0.1, 1 / 3, 7.7, 1e-5, 1e9], (40, 1)) if scaled else rows.astype(float)
    train = prepare(x, TrainLabels(np.zeros(40, np.int32)), "cosine")
    chunk = ChunkArrays(points.astype(float), [np.zeros(1, np.int32)] * 5)
    found = found_inside(train, chunk, options_of("cosine", precision), float(right_angle))[:, 0]
    np.testing.assert_array_equal(found, expected)


def test_neighbor_blocks__ask_for_few_exact_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    exact = distances.exact_keys
    monkeypatch.setattr(
        distances, "exact_keys", lambda x, rows, *rest: asked.append(len(rows)) or exact(x, rows, *rest)
    )
    rng = np.random.default_rng(1)
    x = rng.normal(size=(5_020, 64)).astype(np.float32)
    train = prepare(x[:5_000], TrainLabels(np.zeros(5_000, np.int32)), "euclidean")
    chunk = ChunkArrays(x[5_000:], [np.zeros(1, np.int32)] * 20)
    inside = found_inside(train, chunk, options_of("euclidean"), 11.3)
    assert 0.3 < inside.mean() * 2 < 0.7
    assert sum(asked) < 0.001 * 5_000 * 20


# --- the partial ------------------------------------------------------------------------------------------


def own_points(train: TrainArrays, chunk: ChunkArrays) -> ChunkArrays:
    rows = np.arange(min(train.n_train, 7))[::-1]
    return ChunkArrays(train.x[rows], chunk.labels[: len(rows)], rows.copy())


def shapley_values(counts: Any) -> RadiusValues:
    of_both = counts.sum(axis=1), counts[:, 0]
    values = np.stack(ThresholdKnnShapley(radius=1.0, n_classes=3).neighbor_values(*of_both), axis=1)
    return RadiusValues(values, *ThresholdKnnShapley(radius=1.0, n_classes=3).utilities(*of_both), of_others=-values)


def partial_of(train: TrainArrays, chunk: ChunkArrays, metric: str, limit: float) -> Partial:
    return radius_partial(train, chunk, options_of(metric), limit, shapley_values, Workspace())


@pytest.mark.parametrize("metric", METRICS)
@examples(60)
@given(seed=SEEDS, n=st.integers(1, 130), self_validation=st.booleans())
def test_radius_partial__adds_up_what_each_point_gives(metric: str, seed: int, n: int, self_validation: bool) -> None:
    train, chunk = drawn_table(seed, metric, n)
    limit = some_radius(train, chunk, metric, seed)
    if self_validation:
        chunk = own_points(train, chunk)
    with small_constants():
        partial = partial_of(train, chunk, metric, limit)
    value, squared, utility = np.zeros(n), np.zeros(n), 0.0
    for inside, codes in zip(expected_inside(train, chunk, metric, limit), chunk.labels, strict=True):
        matches = inside & np.isin(train.labels.codes, codes)
        counts = np.array([inside.sum()]), np.array([matches.sum()])
        match, other = ThresholdKnnShapley(radius=1.0, n_classes=3).neighbor_values(*counts)
        of_rows = np.where(matches, match, np.where(inside, other, 0.0))
        value, squared = value + of_rows, squared + of_rows**2
        utility += counts[1][0] / counts[0][0] if counts[0][0] else 1 / 3
    np.testing.assert_array_equal(partial.value, value)
    apart = np.maximum(squared - value * value / chunk.n_validation, 0.0)
    np.testing.assert_allclose(partial.value_squared, apart, rtol=1e-12, atol=1e-13)
    assert partial.n_alone == sum(not inside.any() for inside in expected_inside(train, chunk, metric, limit))
    assert partial.n_validation == chunk.n_validation
    np.testing.assert_allclose(partial.utility, utility, rtol=1e-14)
    np.testing.assert_allclose(partial.empty_utility, chunk.n_validation / 3, rtol=1e-14)
    np.testing.assert_allclose(partial.value.sum(), partial.utility - partial.empty_utility, rtol=0, atol=1e-12)


@given(seed=SEEDS, n=st.integers(1, 290), share=st.sampled_from([0.0, 0.005, 0.03, 0.5]))
def test_neighbors__add_the_same_bits_for_few_rows_and_many(seed: int, n: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    inside, kind = rng.random((4, n)) < share, rng.random((4, n)) < 0.5
    inside[:, -1] = True  # its byte may have bits of no row
    flags = np.stack([inside & kind, inside & ~kind], axis=1)
    neighbors = radius.Neighbors(slice(0, 4), np.packbits(flags, axis=2))
    np.testing.assert_array_equal(neighbors.counts(), flags.sum(axis=2))
    values, start = rng.normal(size=(4, 2)), rng.normal(size=n)
    value, squared = start.copy(), start.copy()
    with small_constants():
        neighbors.add(values, value, squared)
    expected, expected_squared = start.copy(), start.copy()
    for of_point, given_ones in zip(flags, values, strict=True):
        for rows, number in zip(of_point, given_ones, strict=True):
            expected[rows] += number
            expected_squared[rows] += number * number
    np.testing.assert_array_equal(value, expected)
    np.testing.assert_array_equal(squared, expected_squared)


@pytest.mark.parametrize("metric", METRICS)
@examples(30)
@given(seed=SEEDS, n=st.integers(2, 130), cut=st.integers(1, 3), self_validation=st.booleans())
def test_neighbor_counts__of_blocks_of_rows_add_up_to_the_bits_of_one_table(
    metric: str, seed: int, n: int, cut: int, self_validation: bool
) -> None:
    train, chunk = drawn_table(seed, metric, n)
    limit = some_radius(train, chunk, metric, seed)
    if self_validation:
        chunk = own_points(train, chunk)
    with small_constants():
        whole = partial_of(train, chunk, metric, limit)
        counts = np.zeros((chunk.n_validation, 2), np.int64)
        firsts = range(0, n, cut * TILE)
        for first in firsts:
            block = rows_from(train, first, first + cut * TILE)
            counts += radius.neighbor_counts(block, chunk, options_of(metric), limit, Workspace(), first)
        counted = replace(chunk, counts=counts)
        parts = [
            radius_partial(
                rows_from(train, first, first + cut * TILE),
                counted,
                options_of(metric),
                limit,
                shapley_values,
                Workspace(),
                first,
            )
            for first in firsts
        ]
    np.testing.assert_array_equal(np.concatenate([part.value for part in parts]), whole.value)
    np.testing.assert_array_equal(np.concatenate([part.value_squared for part in parts]), whole.value_squared)


@given(seed=SEEDS, n=st.integers(2, 130))
def test_radius_partial__tells_rows_of_the_sample_from_others(seed: int, n: int) -> None:
    train, chunk = drawn_table(seed, "euclidean", n)
    limit = some_radius(train, chunk, "euclidean", seed)
    sampled = np.random.default_rng(seed).random(n) < 0.5
    drawn = replace(train, columns=TrainColumns(sampled=sampled))
    with small_constants():
        counts = radius.neighbor_counts(drawn, chunk, options_of("euclidean"), limit, Workspace())
        partial = partial_of(drawn, replace(chunk, counts=counts), "euclidean", limit)
    value = np.zeros(n)
    for inside, codes in zip(expected_inside(train, chunk, "euclidean", limit), chunk.labels, strict=True):
        matches = np.isin(train.labels.codes, codes)
        of_point = np.array([[(inside & sampled & matches).sum(), (inside & sampled & ~matches).sum()]])
        match, other = shapley_values(of_point).values[0]
        # In these tests rows outside the sample get the negative of what the others do.
        value += np.where(inside, np.where(matches, match, other) * np.where(sampled, 1.0, -1.0), 0.0)
    np.testing.assert_array_equal(partial.value, value)


def rows_from(train: TrainArrays, first: int, end: int) -> TrainArrays:
    assert train.labels.codes is not None
    here = slice(first, end)
    scale = None if train.scale is None else train.scale[here]
    labels = TrainLabels(train.labels.codes[here])
    return TrainArrays(train.x[here], labels, scale, train.center, train.squared_norm[here], train.duplicates[:0])


@pytest.mark.parametrize("doubtful", [False, True])
def test_radius_partial__stays_within_its_memory(doubtful: bool) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(20_000, 16)).astype(np.float32)
    points = x[:400] + 1
    if doubtful:  # every row is at the radius of every point
        x[:], points[:] = x[0], x[0]
    train = prepare(x, TrainLabels(np.zeros(len(x), np.int32)), "euclidean")
    chunk = ChunkArrays(points, [np.zeros(1, np.int32)] * 400)
    tracemalloc.start()
    try:
        radius_partial(train, chunk, options_of("euclidean"), 0.0, shapley_values, Workspace())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (0.3 if doubtful else 0.1) < peak / radius.scratch_bytes(*x.shape) < 1


# --- a radius from the data -------------------------------------------------------------------------------


@given(tenth=st.lists(st.integers(0, 30), min_size=1, max_size=60), percent=st.integers(1, 100))
def test_radius_from_neighbors__is_the_smallest_that_serves_the_share(tenth: list[int], percent: int) -> None:
    found = radius_from_neighbors(np.array(tenth, np.float64), percent / 100)
    assert sum(d <= found for d in tenth) * 100 >= percent * len(tenth)
    assert sum(d < found for d in tenth) * 100 < percent * len(tenth)
