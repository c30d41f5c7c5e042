"""The points with the widest certificates: the same whatever the order of additions, at their places on every path."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvspark.audit.checks import check_sample, worst
from dvspark.kernels import loops
from dvspark.kernels.binning import binned, bins, row_codes
from dvspark.kernels.distances.distances import prepare
from dvspark.kernels.ranking import gap_values, ranking
from dvspark.methods.options import ValueOptions
from dvspark.run.totals import _are_places
from dvspark.schemas import N_WIDEST, ChunkArrays, Float64s, Partial, TrainArrays, TrainLabels

BOUNDS = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), max_size=8)


def counted(bounds: list[float], chunk: int) -> Partial:
    """Return the partial of a chunk whose points have these certificates."""
    partial = Partial.zeros(2)
    for bound in bounds:
        partial.count_alike(0.0, 0.0, bound)
    return partial.of_chunk(chunk)


@given(chunks=st.lists(BOUNDS, min_size=1, max_size=6), order=st.randoms(use_true_random=False))
def test_widest__are_the_same_in_whatever_order_partials_meet(chunks: list[list[float]], order: Any) -> None:
    left = [counted(bounds, chunk) for chunk, bounds in enumerate(chunks)]
    while len(left) > 1:
        order.shuffle(left)
        left.append(left.pop().plus(left.pop()))
    all_points = [(-bound, c, place) for c, bounds in enumerate(chunks) for place, bound in enumerate(bounds) if bound]
    expected = [[-bound, chunk, place] for bound, chunk, place in sorted(all_points)[:N_WIDEST]]
    assert left[0].widest.tolist() == expected


def test_minus__does_not_know_which_are_the_widest_of_those_left() -> None:
    assert len(counted([1.0, 2.0], 3).minus(counted([1.0], 3)).widest) == 0


def test_placed__tells_the_places_of_some_points() -> None:
    partial = counted([0.0, 0.25, 0.5], 7).placed(np.array([2, 5, 9]))
    assert partial.widest.tolist() == [[0.5, 7, 9], [0.25, 7, 5]]


@pytest.mark.parametrize(
    ("widest", "expected"),
    [
        (np.empty((0, 3)), True),
        (np.array([[0.5, 3, 1.0]]), True),
        (np.array([[0.5, 3, 2.0]]), False),
        (np.array([[0.5, 4, 0.0]]), False),
        (np.array([[0.5, np.nan, 0.0]]), False),
        (np.array([[0.5, 3, 0.5]]), False),
        (np.array([[0.5, 3, -1.0]]), False),
        (np.zeros((1, 2)), False),
        (np.zeros(3), False),
    ],
)
def test_places__of_a_ledger_are_those_of_rows(widest: Float64s, expected: bool) -> None:
    assert _are_places(widest, {3: 2}) is expected


def test_worst__of_points_is_the_one_that_fails_however_narrow() -> None:
    rows = np.array([1.0, 0.0])
    exact = Partial(rows, rows, 1, size=1.0)
    wide, narrow = replace(exact, error_bound=0.5), replace(exact, value=rows + 1e-3, error_bound=1e-4)
    found = worst([check_sample(wide, exact), check_sample(narrow, exact), check_sample(exact, exact)])
    assert (found.verdict, found.allowed) == ("fail", pytest.approx(1e-4))
    assert "the worst of 3" in found.meaning
    # One sum over all three, against the sum of their certificates, tells nothing.
    three = replace(exact, value=3 * rows + 1e-3, n_validation=3, error_bound=0.5001)
    assert check_sample(three, replace(exact, value=3 * rows, n_validation=3, size=3.0)).verdict == "pass"


# --- places, path by path ---------------------------------------------------------------------------------


@pytest.fixture(params=["numpy", "numba"])
def choice(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    compiled = pytest.importorskip("dvspark.kernels.loops.compiled_loops") if request.param == "numba" else loops
    monkeypatch.setattr(loops, "fastest", lambda: compiled)
    return request.param


def rows(n: int, n_points: int, n_classes: int, away: float = 100.0) -> tuple[TrainArrays, ChunkArrays]:
    """Return rows far from the origin, whose float32 keys leave doubt, and points, each with doubt of its own."""
    rng = np.random.default_rng(4)
    x = (rng.normal(size=(n + n_points, 3)) * np.geomspace(1, 30, n + n_points)[:, None] + away).astype(np.float32)
    x = rng.permutation(x)
    y = rng.integers(0, n_classes, n + n_points).astype(np.int32)
    train = prepare(x[:n], TrainLabels(y[:n]), "euclidean")
    return train, ChunkArrays(x[n:], [y[row : row + 1] for row in range(n, n + n_points)])


def partial_of(train: TrainArrays, chunk: ChunkArrays, options: ValueOptions) -> Partial:
    parameters = options.resolved(3)
    ranked = options.ranking_options(parameters, train.n_train)
    found: Partial = options.declaration.partial(train, chunk, ranked, parameters)
    return found


def assert_places(train: TrainArrays, chunk: ChunkArrays, options: ValueOptions) -> Partial:
    """Check the widest against the certificates of points that are valued alone."""
    found = partial_of(train, chunk, options)
    points = [chunk.take(np.array([point])) for point in range(chunk.n_validation)]
    # The last bits of a key depend on how many points a product has, and so does what is in doubt.
    alone = np.array([partial_of(train, point, options).error_bound for point in points])
    bounds, places = found.widest[:, 0], found.widest[:, 2].astype(np.int64)
    assert len(places) == min(N_WIDEST, np.count_nonzero(alone))
    np.testing.assert_allclose(alone[places], bounds, rtol=0.05)
    np.testing.assert_allclose(np.sort(alone)[::-1][: len(bounds)], bounds, rtol=0.05)
    assert np.ptp(alone) > 0.5 * alone.max()
    return found


@pytest.mark.parametrize("method", ["knn_shapley", "soft_knn_shapley"])
def test_widest__of_the_sort_are_in_place(choice: str, method: str) -> None:
    options = ValueOptions(method, {"k": 3}, ranking="sorted", tolerance=1e-2)
    assert_places(*rows(300, 40, 3), options)


def test_widest__of_gaps_are_in_place(choice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gap_values, "FEWEST_ROWS", 2)
    options = ValueOptions("knn_shapley", {"k": 3}, ranking="sorted", tolerance=1e-2)
    assert_places(*rows(600, 40, 12, away=1_000.0), options)


@pytest.mark.parametrize("served", ["all", "some", "some at first"])
def test_widest__of_bins_are_in_place(choice: str, served: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "SORTED_ROWS", 20)
    monkeypatch.setattr(ranking, "SORTED_ROWS_PER_NEIGHBOR", 1)
    monkeypatch.setattr(bins, "N_BINS", 40)
    monkeypatch.setattr(bins, "N_CELLS", 8)
    monkeypatch.setattr(bins, "SAMPLE_ONE_IN", 1)
    monkeypatch.setattr(bins, "SAMPLE_LIMITS", (1, 8_192))
    monkeypatch.setattr(bins, "near_rows", lambda n_train, n_exact, tolerance: 60)
    monkeypatch.setattr(row_codes, "points_per_block", lambda n_train, n_features, capacity: 7)
    train, chunk = rows(700, 40, 3)
    options = ValueOptions("knn_shapley", {"k": 3}, ranking="binned", tolerance=0.5)
    bounds = [partial_of(train, chunk.take(np.array([point])), options).error_bound for point in range(40)]
    if served != "all":
        # Half the points are not certified by the first round.
        options = replace(options, tolerance=float(np.median(bounds)))
        monkeypatch.setattr(binned, "MORE_NEAR", (1, 4) if served == "some at first" else (1,))
    assert_places(train, chunk, options)


def test_widest__of_equal_certificates_are_the_first() -> None:
    train, chunk = rows(100, 12, 3)
    found = partial_of(train, chunk, ValueOptions("truncated_knn_shapley", {"k": 3, "k_star": 10}))
    assert found.widest[:, 2].tolist() == [0, 1, 2, 3]
    assert found.widest[:, 0].tolist() == [found.widest[0, 0]] * 4


def test_widest__are_none_where_all_is_exact() -> None:
    train, chunk = rows(100, 12, 3)
    assert len(partial_of(train, chunk, ValueOptions("knn_shapley", {"k": 3}, precision="float64")).widest) == 0
