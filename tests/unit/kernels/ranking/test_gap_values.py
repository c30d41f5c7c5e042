"""Values by gaps between sorted matches, against the sort of all rows, bit for bit, and each loop by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from property_tests import examples

from dvspark.kernels import loops
from dvspark.kernels.distances.distances import prepare
from dvspark.kernels.formulas.knn_banzhaf import KnnBanzhaf
from dvspark.kernels.formulas.knn_shapley import KnnShapley
from dvspark.kernels.formulas.soft_knn_shapley import SoftKnnShapley
from dvspark.kernels.loops import compiled_gap_steps, compiled_gaps
from dvspark.kernels.ranking import gap_values
from dvspark.kernels.ranking.partials import ranking_partial
from dvspark.kernels.ranking.ranking import RankedRows, RankingOptions
from dvspark.kernels.workspace import Workspace
from dvspark.schemas import Bools, ChunkArrays, Floats, Partial, TrainLabels, UInt64s

K = 3
METHODS = {
    "knn_shapley": lambda n: KnnShapley(K).rank_weights(n),
    "soft_knn_shapley": lambda n: SoftKnnShapley(K, 4).rank_weights(n),
    "knn_banzhaf": lambda n: KnnBanzhaf(K, "wang2023", 4).rank_weights(n),
}


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(loops.CHOICE_VARIABLE, "numba")
    loops.fastest.cache_clear()
    yield
    loops.fastest.cache_clear()


def partials(x: Floats, labels: TrainLabels, chunk: ChunkArrays, method: str = "knn_shapley", ties: str = "id") -> Any:
    """Return a chunk's partial, that of the sort alone, and which of the points were valued by gaps."""
    train, served, take = prepare(x, labels, "euclidean"), [], gap_values.CodedPoints.take
    options = RankingOptions("euclidean", "default", ties, K)

    def recorded(self: Any, *given: Any) -> RankedRows | None:
        found = take(self, *given)
        served.append(found is not None)
        return found

    def partial() -> Partial:
        return ranking_partial(train, chunk, options, METHODS[method], lambda m, _n: (m / K, 0.0), Workspace())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gap_values.CodedPoints, "take", recorded)
        by_gaps = partial()
        patch.setattr(gap_values.CodedPoints, "take", lambda *_given: None)
        return by_gaps, partial(), served


def assert_same(found: Partial, expected: Partial) -> None:
    np.testing.assert_array_equal(found.value, expected.value)
    np.testing.assert_array_equal(found.value_squared, expected.value_squared)
    assert found.utility == expected.utility


@pytest.mark.long
@examples(60)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(15, 200),
    n_classes=st.integers(1, 12),
    n_labels=st.lists(st.integers(0, 2), min_size=1, max_size=20),
    at_once=st.integers(1, 8),
    spread=st.sampled_from(["normal", "whole", "far", "heavy", "one"]),
    sits_out=st.booleans(),
    several=st.booleans(),
    method=st.sampled_from(sorted(METHODS)),
)
def test_values__are_those_of_the_sort(
    seed: int,
    n: int,
    n_classes: int,
    n_labels: list[int],
    at_once: int,
    spread: str,
    sits_out: bool,
    several: bool,
    method: str,
) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    heavy = x * rng.pareto(0.5, (n, 1))
    x = {"normal": x, "whole": np.round(x), "far": 1e-3 * x + 50.0, "heavy": heavy, "one": 0 * x}[spread]
    x, points = x.astype(np.float32), rng.choice(n, min(len(n_labels), n), replace=False)
    of_points = [np.unique(rng.integers(0, n_classes, count)).astype(np.int32) for count in n_labels[: len(points)]]
    chunk = ChunkArrays(x[points], of_points, points if sits_out else None)
    flags = rng.random((n_classes, n)) < 1 / n_classes
    listed = TrainLabels(None, np.append(0, np.cumsum(flags.sum(axis=1))), np.flatnonzero(flags).astype(np.int32) % n)
    labels = listed if several else TrainLabels(rng.integers(0, n_classes, n).astype(np.int32))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gap_values, "FEWEST_ROWS", 2)
        patch.setattr(gap_values, "ROWS_PER_MATCH", 1)
        patch.setattr(gap_values, "POINTS_AT_ONCE", at_once)
        found, expected, _ = partials(x, labels, chunk, method)
    assert_same(found, expected)


def normal_rows(n: int, n_classes: int, n_points: int = 11) -> tuple[Floats, TrainLabels, ChunkArrays]:
    rng = np.random.default_rng(0)
    x, z = rng.standard_normal((n, 24), np.float32), rng.standard_normal((n_points, 24), np.float32)
    labels = TrainLabels(rng.integers(0, n_classes, n).astype(np.int32))
    return x, labels, ChunkArrays(z, [np.array([point % n_classes], np.int32) for point in range(n_points)])


@pytest.mark.long
@pytest.mark.parametrize("n_classes", [10, 100, 5_000])
def test_values__of_many_rows_are_those_of_the_sort(n_classes: int) -> None:
    found, expected, served = partials(*normal_rows(20_000, n_classes))
    assert_same(found, expected)
    assert sum(served) >= len(served) - 2 * (n_classes == 5_000)  # hardly any row may have such a label


def test_values__of_points_that_are_rows_lack_their_own_row_alone() -> None:
    x, labels, _ = normal_rows(20_000, 10)
    assert labels.codes is not None
    points = np.concatenate([np.flatnonzero(labels.codes == 3)[:2], np.flatnonzero(labels.codes != 3)[:2]])
    found, expected, served = partials(x, labels, ChunkArrays(x[points], [np.array([3], np.int32)] * 4, points))
    assert_same(found, expected)
    assert all(served)


def test_values__of_whole_numbers_are_the_recursive_formula_s() -> None:
    rng = np.random.default_rng(1)
    x, z = rng.integers(-9, 10, (15_000, 12)).astype(np.float32), rng.integers(-9, 10, (3, 12)).astype(np.float32)
    y = rng.integers(0, 10, len(x)).astype(np.int32)
    chunk = ChunkArrays(z, [np.array([label], np.int32) for label in (1, 4, 7)])
    found, _, served = partials(x, TrainLabels(y), chunk)
    expected = np.zeros(len(x))
    for point, label in zip(z, (1, 4, 7), strict=True):
        order = np.argsort(((x - point) ** 2).sum(axis=1), kind="stable")  # exact: whole numbers
        expected[order] += KnnShapley(K).recursive_values((y[order] == label).astype(np.float64))
    assert all(served)
    np.testing.assert_allclose(found.value, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    "why", ["many matches", "one match", "few rows", "ties averaged", "not compiled", "crowded", "equal", "no codes"]
)
def test_take__leaves_to_the_sort_what_it_does_better(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x, labels, chunk = normal_rows(5_000 if why == "few rows" else 20_000, 2 if why == "many matches" else 10)
    if why == "one match":
        labels = TrainLabels(np.arange(len(x), dtype=np.int32))
    if why == "not compiled":
        monkeypatch.setenv(loops.CHOICE_VARIABLE, "numpy")
        loops.fastest.cache_clear()
    if why == "no codes":
        monkeypatch.setattr(gap_values, "MOST_CODES", 2_048)
    if why == "crowded":  # half of the rows, and of the matches, at two distances
        x[::2] = np.sign(x[::2, :1])
    x = 0 * x if why == "equal" else x
    found, expected, served = partials(x, labels, chunk, ties="average" if why == "ties averaged" else "id")
    assert_same(found, expected)
    assert not any(served)


# --- the loops ----------------------------------------------------------------------------------------------


def packed_rows(keys: Floats, matches: Bools) -> UInt64s:
    packed = np.empty(len(keys), np.uint64)
    loops.pack(keys, matches, packed)
    return packed


@examples(50)
@given(
    keys=st.lists(st.floats(-4, 4, width=16), min_size=2, max_size=300),
    seed=st.integers(0, 2**32 - 1),
    n_places=st.sampled_from([2, 16, 1024]),
)
@example(keys=[0.0, 1.5, -0.0], seed=11752507, n_places=2)  # two matches, at zero and at minus zero
def test_find_gaps__counts_the_matches_before_each_row(keys: list[float], seed: int, n_places: int) -> None:
    of_row, rng = np.array(keys, np.float32), np.random.default_rng(seed)
    matching = np.flatnonzero(rng.random(len(keys)) < 0.3).astype(np.int32)
    gaps, before = np.empty(len(keys), np.uint16), np.empty(n_places + 1, np.uint16)
    if not len(matching):
        return
    compiled_gaps.place_rows(of_row, matching, n_places, gaps)
    assert np.all(np.diff(gaps[np.argsort(of_row, kind="stable")].astype(int)) >= 0)
    assert gaps.max() < n_places
    place_of = gaps.copy()
    compiled_gaps.count_before(matching, gaps, before)
    np.testing.assert_array_equal(before[:-1], [np.sum(place_of[matching] < place) for place in range(n_places)])
    flags = np.isin(np.arange(len(keys)), matching)
    np.testing.assert_array_equal(gaps, np.where(flags, n_places, place_of))
    packed = np.empty(len(matching) + 1, np.uint64)
    compiled_gaps.pack_matches(of_row, matching, packed)
    np.testing.assert_array_equal(packed[:-1], packed_rows(of_row, flags)[matching])
    packed[:-1].sort()
    packed[-1] = compiled_gap_steps.AFTER_ALL_ROWS
    limit, ends, doubtful = 0.25, np.empty(len(packed) + 1, np.float32), np.empty(len(keys) + 1, np.int32)
    count = compiled_gaps.find_gaps(of_row, before, packed, limit, ends, gaps, doubtful)
    if count < 0:
        assert n_places == 2 or len(np.unique(of_row)) < len(keys)
        return
    expected = np.searchsorted(packed[:-1], packed_rows(of_row, np.zeros_like(flags)))
    np.testing.assert_array_equal(gaps, np.where(flags, len(packed), expected))
    counts = np.empty(len(packed) + 1, np.int32)
    compiled_gaps.count_gaps(gaps, counts)
    np.testing.assert_array_equal(counts[:-1], np.bincount(expected, minlength=len(packed)))
    apart = np.abs(of_row[:, None].astype(np.float64) - of_row[matching])
    np.testing.assert_array_equal(doubtful[:count], np.flatnonzero(~flags & (apart.min(axis=1) <= limit)))


@examples(50)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 80), share=st.floats(0, 1))
def test_value_gaps__are_what_ranks_are_worth(seed: int, n: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    matches, own, suffix, worth = rng.random(n) < share, rng.random(n), rng.random(n), np.empty(n)
    gap_of_rank = np.cumsum(matches) - matches
    counts = np.bincount(gap_of_rank, minlength=matches.sum() + 1).astype(np.int32)
    of_gap, of_matches = np.full(len(counts), np.nan), np.full(matches.sum(), np.nan)
    compiled_gaps.value_gaps(counts, np.stack([own, suffix], axis=1), 0.25, -0.5, of_gap, of_matches)
    loops.rank_values(matches, own, suffix, 0.25, -0.5, 0.0, worth)
    found = np.where(matches, np.append(of_matches, np.nan)[gap_of_rank], of_gap[gap_of_rank])
    np.testing.assert_array_equal(found, worth)
