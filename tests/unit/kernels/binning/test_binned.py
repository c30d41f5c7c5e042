"""The binned ranking against the sorted one in float64: its certificate holds, its sum is exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dvspark
from dvspark.arrays.array_inputs import Given, read_array_inputs
from dvspark.arrays.array_values import array_totals
from dvspark.kernels import loops
from dvspark.kernels.binning import binned, bins, row_codes
from dvspark.kernels.distances import distances
from dvspark.kernels.ranking import ranking
from dvspark.methods.options import BINNED_FROM_ROWS, ValueOptions
from dvspark.schemas import Partial

N, D = 700, 6
LAYOUTS = ("random", "sorted by distance", "alternating", "one class far away", "clusters")
# Float32 keys may swap two rows that are nearly as far; data here is on a grid that float32 products keep.
ROUNDING = 1e-12


@pytest.fixture(params=["numpy", "numba"])
def small_bins(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> pytest.MonkeyPatch:
    """Bins from the 60th row of 700 on, 40 of them, so that every bin holds many rows."""
    if request.param == "numba":
        compiled = pytest.importorskip("dvspark.kernels.loops.compiled_loops")
    monkeypatch.setattr(loops, "fastest", lambda: loops if request.param == "numpy" else compiled)
    monkeypatch.setattr(ranking, "SORTED_ROWS", 20)
    monkeypatch.setattr(ranking, "SORTED_ROWS_PER_NEIGHBOR", 1)
    monkeypatch.setattr(bins, "N_BINS", 40)
    monkeypatch.setattr(bins, "N_CELLS", 8)
    monkeypatch.setattr(bins, "SAMPLE_ONE_IN", 1)
    monkeypatch.setattr(bins, "SAMPLE_LIMITS", (1, 8_192))
    monkeypatch.setattr(loops, "ADDED_ROWS", 64)
    monkeypatch.setattr(bins, "near_rows", lambda n_train, n_exact, tolerance: max(60, n_exact))
    monkeypatch.setattr(distances, "TILE_ROWS", 37)
    return monkeypatch


def rows_in_layout(layout: str, n_classes: int, seed: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    x = rng.integers(-30, 31, size=(N, D)).astype(np.float32)
    z = rng.integers(-30, 31, size=(3, D)).astype(np.float32)
    place = np.argsort(np.argsort(((x - z[0]) ** 2).sum(axis=1), kind="stable"))
    y_z = rng.integers(0, n_classes, size=len(z))
    y = {
        "random": rng.integers(0, n_classes, size=N),
        "sorted by distance": place * n_classes // N,
        "alternating": place % n_classes,
        "one class far away": (place > N // 2).astype(np.int64),
        "clusters": rng.integers(0, n_classes, size=N),
    }[layout]
    if layout == "one class far away":
        x[y == 1] += 400
        y_z = y_z % 2
    if layout == "clusters":
        x += 90 * np.eye(D, dtype=np.float32)[y % D]
    return x, y, z, y_z


def totals(rows: tuple[Any, ...], **changes: Any) -> Partial:
    options = ValueOptions(**changes)
    four = (*rows, None, None)[:4]
    return array_totals(read_array_inputs(Given(*four), options), options)


def gap(one: Partial, other: Partial) -> float:
    return float(np.max(np.abs(one.value - other.value)))


def assert_rows_certified(found: Partial, sorted_totals: Partial) -> None:
    """The bounds hold row by row, and the largest is no larger than the bound over all rows."""
    assert found.row_bounds is not None
    assert np.all(found.row_bounds >= 0)
    assert np.all(np.abs(found.value - sorted_totals.value) <= found.row_bounds + ROUNDING)
    assert 0 < found.row_bounds.max() <= found.error_bound
    # They are the rows' own: most of these rows are far better known than the worst.
    assert np.median(found.row_bounds) < 0.9 * found.row_bounds.max()


@pytest.mark.parametrize("ties", ["id", "average"])
@pytest.mark.parametrize("method", ["knn_shapley", "soft_knn_shapley"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_binned__stays_within_its_certificate(small_bins: Any, layout: str, method: str, ties: str) -> None:
    for n_classes, k, seed in ((2, 1, 0), (2, 10, 1), (5, 60, 2), (50, 3, 3)):
        rows = rows_in_layout(layout, n_classes, seed)
        options = {"method": method, "parameters": {"k": k}, "ties": ties}
        found = totals(rows, **options, ranking="binned", tolerance=0.9)
        sorted_totals = totals(rows, **options, precision="float64", ranking="sorted")
        assert 0 < found.error_bound < 0.9 * found.n_validation
        assert gap(found, sorted_totals) <= found.error_bound + ROUNDING
        assert_rows_certified(totals(rows, **options, ranking="binned", tolerance=0.9, error_bound=True), sorted_totals)
        full = found.utility - found.empty_utility
        assert found.value.sum() == pytest.approx(full, abs=1e-12)
        assert found.utility == pytest.approx(sorted_totals.utility, abs=1e-12)


@pytest.mark.parametrize("metric", distances.METRICS)
def test_binned__stays_within_its_certificate_under_every_metric(small_bins: Any, metric: str) -> None:
    rows = rows_in_layout("random", 3, 4)
    found = totals(rows, metric=metric, ranking="binned", tolerance=0.9)
    assert found.error_bound > 0
    # Cosines of whole numbers tie up to rounding, which float32 keys beyond the near rows do not settle.
    slack = 1e-4 if metric == "cosine" else ROUNDING
    sorted_totals = totals(rows, metric=metric, precision="float64", ranking="sorted")
    assert gap(found, sorted_totals) <= found.error_bound + slack


@pytest.mark.parametrize("ties", ["id", "average"])
def test_binned__leaves_every_row_out_of_its_own_game(small_bins: Any, ties: str) -> None:
    x, y, _, _ = rows_in_layout("random", 3, 5)
    options = {"self_validation": True, "ties": ties, "parameters": {"k": 4}}
    found = totals((x, y), **options, ranking="binned", tolerance=0.9)
    exact = totals((x, y), **options, precision="float64", ranking="sorted")
    assert found.error_bound > 0
    assert gap(found, exact) <= found.error_bound + ROUNDING
    assert found.value.sum() == pytest.approx(found.utility, abs=1e-10)
    assert_rows_certified(totals((x, y), **options, ranking="binned", tolerance=0.9, error_bound=True), exact)


def test_binned__sorts_where_bins_cannot_keep_the_tolerance(small_bins: Any) -> None:
    rows = rows_in_layout("random", 3, 6)
    found = totals(rows, ranking="binned", tolerance=1e-9)
    assert found.error_bound == 0
    assert gap(found, totals(rows, ranking="sorted")) <= ROUNDING


def test_binned__more_near_rows_come_before_the_sort(small_bins: Any) -> None:
    rows = rows_in_layout("random", 3, 7)
    first = totals(rows, ranking="binned", tolerance=0.9).error_bound
    sorted_totals = totals(rows, precision="float64", ranking="sorted")
    asked: list[int] = []
    original = bins.edges

    def counted(sample: Any, n_train: int, n_near: int, limits_of: Any) -> Any:
        asked.append(n_near)
        return original(sample, n_train, n_near, limits_of)

    small_bins.setattr(bins, "edges", counted)
    found = totals(rows, ranking="binned", tolerance=0.5 * first / 3)
    assert max(asked) == 4 * min(asked)
    assert 0 < found.error_bound < 0.5 * first
    # Of each point's rounds the bounds of the last one count, and of a sorted point none.
    for tolerance in (0.5 * first / 3, 0.3 * first / 3):
        bounded = totals(rows, ranking="binned", tolerance=tolerance, error_bound=True)
        assert_rows_certified(bounded, sorted_totals)


def test_binned__all_rows_in_one_place_are_sorted(small_bins: Any) -> None:
    rows = (np.ones((N, D), np.float32), np.arange(N) % 2, np.zeros((2, D), np.float32), np.array([0, 1]))
    for ties in ("id", "average"):
        found = totals(rows, ties=ties, ranking="binned", tolerance=0.9)
        assert gap(found, totals(rows, ties=ties, precision="float64", ranking="sorted")) <= ROUNDING


def test_binned__blocks_and_tiles_do_not_matter(small_bins: Any) -> None:
    rows = rows_in_layout("random", 3, 8)
    found = []
    for points, tile, added in ((1, 37, 64), (3, 700, 701), (2, 5, 7)):
        small_bins.setattr(row_codes, "points_per_block", lambda n_train, n_features, capacity, points=points: points)
        small_bins.setattr(distances, "TILE_ROWS", tile)
        small_bins.setattr(loops, "ADDED_ROWS", added)
        found.append(totals(rows, ranking="binned", tolerance=0.9, error_bound=True))
    for other in found[1:]:
        np.testing.assert_array_equal(other.value, found[0].value)
        np.testing.assert_array_equal(other.row_bounds, found[0].row_bounds)
        assert other.error_bound == found[0].error_bound


def test_value_arrays__binned_from_python() -> None:
    rng = np.random.default_rng(9)
    x, y = rng.normal(size=(9_000, 4)).astype(np.float32), rng.integers(0, 3, size=9_000)
    z, y_z = rng.normal(size=(4, 4)).astype(np.float32), rng.integers(0, 3, size=4)
    both = [dvspark.value_arrays(x, y, z, y_z, ranking=r, tolerance=1e-6) for r in ("sorted", "binned")]
    np.testing.assert_allclose(both[1], both[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("aggregate", ["mean", "sum"])
def test_value_arrays__bounds_come_in_the_order_given(small_bins: Any, aggregate: str) -> None:
    x, y, z, y_z = rows_in_layout("sorted by distance", 3, 10)
    options: dict[str, Any] = {"k": 4, "ranking": "binned", "tolerance": 0.9, "aggregate": aggregate}
    values, bounds = dvspark.value_arrays(x, y, z, y_z, **options, error_bound=True)
    scale = len(z) if aggregate == "mean" else 1
    in_order = totals((x, y, z, y_z), parameters={"k": 4}, ranking="binned", tolerance=0.9, error_bound=True)
    assert in_order.row_bounds is not None
    np.testing.assert_array_equal(bounds, in_order.row_bounds / scale)
    np.testing.assert_array_equal(values, dvspark.value_arrays(x, y, z, y_z, **options))
    shuffle = np.random.default_rng(11).permutation(N)
    shuffled = dvspark.value_arrays(x[shuffle], y[shuffle], z, y_z, train_ids=shuffle, **options, error_bound=True)
    np.testing.assert_array_equal(shuffled, np.stack([values, bounds])[:, shuffle])
    assert bounds.dtype == np.float64


@pytest.mark.parametrize("options", [{"ranking": "sorted"}, {"ranking": "sorted", "precision": "float64"}, {}])
def test_value_arrays__the_sorted_ranking_has_bounds_of_zero(options: dict[str, Any]) -> None:
    x, y, z, y_z = rows_in_layout("random", 3, 12)
    values, bounds = dvspark.value_arrays(x, y, z, y_z, **options, error_bound=True)
    np.testing.assert_array_equal(bounds, np.zeros(N))
    np.testing.assert_array_equal(values, dvspark.value_arrays(x, y, z, y_z, **options))


def test_ranking_for__auto_bins_large_training_sets_only() -> None:
    assert ValueOptions().ranking_for(BINNED_FROM_ROWS) == "sorted"
    assert ValueOptions().ranking_for(BINNED_FROM_ROWS + 1) == "binned"
    assert ValueOptions(precision="float64").ranking_for(BINNED_FROM_ROWS + 1) == "sorted"
    assert ValueOptions(ranking="binned").ranking_for(10) == "binned"


def test_more_near__grows() -> None:
    assert list(binned.MORE_NEAR) == sorted(set(binned.MORE_NEAR))
