"""The m nearest rows: the first m of all rows by exact key and row, whole or merged from blocks."""

from __future__ import annotations

import contextlib
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import METRICS
from property_tests import examples

from dvspark.kernels.distances import distances, key_tiles, product_speed
from dvspark.kernels.distances.distances import prepare
from dvspark.kernels.nearest import nearest
from dvspark.kernels.nearest.nearest import NearestRows, merge_nearest, near_rows, nearest_points
from dvspark.kernels.ranking.ranking import RankingOptions
from dvspark.kernels.workspace import Workspace
from dvspark.schemas import ChunkArrays, TrainArrays, TrainLabels

SEEDS = st.integers(0, 2**32 - 1)
TILE = 8


def options_of(metric: str) -> RankingOptions:
    return RankingOptions(metric, "default", "id", 1)


@contextlib.contextmanager
def small_constants(products: str = "float32") -> Iterator[None]:
    """Tiles of 8, blocks of 3 points, hardly any room to wait: far below the size of the data."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(product_speed.CHOICE_VARIABLE, products)
        patch.setattr(key_tiles, "LEAST_TILES", 1)
        patch.setattr(nearest, "ROWS_BEFORE_INT8", 0)
        patch.setattr(nearest, "MOST_ADDED", 1)
        patch.setattr(nearest, "SETTLED_AGAIN", 1)
        patch.setattr(distances, "TILE_ROWS", TILE)
        patch.setattr(distances, "POINTS_PER_PRODUCT", 3)
        patch.setattr(nearest, "CANDIDATES_PER_ROW", 1)
        patch.setattr(nearest, "FEWEST_CANDIDATES", 2)
        yield


@st.composite
def tables(draw: st.DrawFn, metric: str) -> tuple[TrainArrays, ChunkArrays]:
    """Rows with ties of all kinds: copies, equal distances, and multiples, whose cosine keys differ by rounding."""
    rng = np.random.default_rng(draw(SEEDS))
    n, n_points = draw(st.integers(1, 70)), draw(st.integers(1, 5))
    kind = draw(st.sampled_from(["grid", "multiples", "any"]))
    if kind == "any":
        x = rng.normal(size=(n + n_points, 5)) * draw(st.sampled_from([1e-20, 1.0, 1e18]))
    else:
        x = rng.integers(-1, 2, size=(n + n_points, 3)).astype(float)
        x[~x.any(axis=1), 0] = 1
        if kind == "multiples":
            x = x * rng.uniform(0.1, 9, size=(len(x), 1))
        x += draw(st.sampled_from([0, 0, 20]))
    x = x.astype(draw(st.sampled_from([np.float32, np.float64])))
    labels = rng.integers(0, 3, n).astype(np.int32)
    codes = [np.unique(rng.integers(0, 3, rng.integers(1, 3))).astype(np.int32) for _ in range(n_points)]
    train = prepare(x[:n], TrainLabels(labels), metric)
    if draw(st.booleans()):
        rows = rng.integers(0, n, n_points)
        return train, ChunkArrays(train.x[rows], codes, rows)
    return train, ChunkArrays(x[n:], codes)


def expected(train: TrainArrays, chunk: ChunkArrays, metric: str, m: int) -> list[NearestRows]:
    """Return the first m of all rows, sorted by the keys that `ranking` settles."""
    found = []
    for point, (z, codes) in enumerate(zip(chunk.x, chunk.labels, strict=True)):
        keys = distances.exact_keys(train.x, np.arange(train.n_train), z, metric)
        rows = np.arange(train.n_train)
        if chunk.train_rows is not None:
            rows = np.delete(rows, chunk.train_rows[point])
        settled = distances.settle_ties(keys[rows], metric)
        rows = rows[np.argsort(settled, kind="stable")][:m]
        matches = np.isin(train.labels.codes[rows], codes)
        found.append(NearestRows(rows, matches, distances.distance_from_key(keys[rows], metric)))
    return found


def assert_same(found: list[NearestRows], wanted: list[NearestRows]) -> None:
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one.rows, other.rows)
        np.testing.assert_array_equal(one.matches, other.matches)
        np.testing.assert_array_equal(one.distances, other.distances)
        assert one.rows.dtype == np.int64
        assert one.matches.dtype == np.bool_


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("products", ["float32", "int8"])
@examples(200)
@given(data=st.data(), m=st.integers(1, 90))
def test_nearest_points__are_the_first_of_all_rows_in_exact_order(
    products: str, metric: str, data: Any, m: int
) -> None:
    train, chunk = data.draw(tables(metric))
    with small_constants(products):
        found = list(nearest_points(train, chunk, options_of(metric), m, Workspace()))
    assert_same(found, expected(train, chunk, metric, m))


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("metric", METRICS)
@examples(200)
@given(data=st.data(), m=st.integers(1, 30), tiles=st.integers(1, 3))
def test_merge_nearest__of_blocks_gives_the_bits_of_one_table(metric: str, data: Any, m: int, tiles: int) -> None:
    train, chunk = data.draw(tables(metric))
    with small_constants():
        parts = [
            list(
                near_rows(
                    block_of(train, first, first + tiles * TILE), chunk, options_of(metric), m, Workspace(), first
                )
            )
            for first in range(0, train.n_train, tiles * TILE)
        ]
        found = [merge_nearest(of_point, m, metric) for of_point in zip(*parts, strict=True)]
    assert_same(found, expected(train, chunk, metric, m))
    if metric != "cosine":  # what is exchanged stays small, however many rows tie
        assert all(len(part.rows) < 2 * m for of_block in parts for part in of_block)


def test_merge_nearest__another_blocks_row_says_which_rows_tie() -> None:
    key, gap = 0.25, distances.COSINE_TIE_GAP * 0.5
    flags = np.zeros(3, bool)
    near = [  # 0.25 ties with 0.25 + 0.8 gap, not with 0.25 + 1.6 gap, which ties with that one where 0.25 is not there
        nearest.NearRows(np.array([8, 3, 5]), np.array([key + 0.8 * gap, key + 1.6 * gap, 0.5]), flags),
        nearest.NearRows(np.array([9, 7]), np.array([key, 0.4]), flags[:2]),
    ]
    cut = [nearest._cut(part, 1, "cosine") for part in near]
    assert [part.rows.tolist() for part in cut] == [[8, 3], [9]]
    assert merge_nearest(cut[:1], 1, "cosine").rows.tolist() == [3]
    assert merge_nearest(cut, 1, "cosine").rows.tolist() == [8]
    assert merge_nearest(cut, 1, "euclidean").rows.tolist() == [9]


def block_of(train: TrainArrays, first: int, end: int) -> TrainArrays:
    assert train.labels.codes is not None
    here = slice(first, end)
    scale = None if train.scale is None else train.scale[here]
    labels = TrainLabels(train.labels.codes[here])
    return TrainArrays(train.x[here], labels, scale, train.center, train.squared_norm[here], train.duplicates[:0])


def test_nearest_points__ask_for_few_exact_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    exact = distances.exact_keys

    def counted(x: Any, rows: Any, *rest: Any) -> Any:
        asked.append(len(rows))
        return exact(x, rows, *rest)

    rng = np.random.default_rng(1)
    x = rng.normal(size=(20_010, 32)).astype(np.float32)
    x = x[np.argsort(-np.abs(x).sum(axis=1))]  # nearer and nearer
    train = prepare(x[10:], TrainLabels(np.zeros(20_000, np.int32)), "euclidean")
    chunk = ChunkArrays(np.zeros((10, 32), np.float32), [np.zeros(1, np.int32)] * 10)
    monkeypatch.setattr(nearest, "FEWEST_CANDIDATES", 100)
    monkeypatch.setattr(distances, "exact_keys", counted)
    found = list(nearest_points(train, chunk, options_of("euclidean"), 10, Workspace()))
    assert all(10 <= n <= 12 for n in asked)
    monkeypatch.undo()
    assert_same(found, expected(train, chunk, "euclidean", 10))


@pytest.mark.parametrize(("metric", "m"), [("euclidean", 10), ("euclidean", 1_000), ("cosine", 10)])
def test_nearest_points__stay_within_their_memory(metric: str, m: int) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(20_000, 16)).astype(np.float32)
    train = prepare(x, TrainLabels(np.zeros(len(x), np.int32)), metric)
    chunk = ChunkArrays(x[:400] + 1, [np.zeros(1, np.int32)] * 400)
    tracemalloc.start()
    try:
        for _ in nearest_points(train, chunk, options_of(metric), m, Workspace()):
            pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 0.3 < peak / nearest.scratch_bytes(len(x), x.shape[1], m) < 1
