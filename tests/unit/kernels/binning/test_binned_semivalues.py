"""The certificate of bins under the weights of Banzhaf and Beta values, which are not those of Shapley's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dvspark.kernels import loops
from dvspark.kernels.binning import binned, bins
from dvspark.kernels.binning.bins import Tails
from dvspark.kernels.distances import distances
from dvspark.kernels.formulas.kinds import RankingFormulas
from dvspark.kernels.formulas.knn_banzhaf import KnnBanzhaf
from dvspark.kernels.formulas.knn_beta import KnnBeta
from dvspark.kernels.ranking import ranking
from dvspark.kernels.ranking.partials import game_of, ranking_partial
from dvspark.kernels.ranking.ranking import RankingOptions
from dvspark.kernels.workspace import Workspace
from dvspark.schemas import ChunkArrays, Partial, TrainArrays, TrainLabels

N, D, V = 700, 6, 3
LAYOUTS = ("random", "sorted by distance", "alternating", "one class far away")
SHAPES = {
    "banzhaf": (KnnBanzhaf, {}),
    "beta(1, 1)": (KnnBeta, {"alpha": 1.0, "beta": 1.0}),
    "beta(16, 1)": (KnnBeta, {"alpha": 16.0, "beta": 1.0}),
    "beta(1, 4)": (KnnBeta, {"alpha": 1.0, "beta": 4.0}),
    "beta(0.5, 0.5)": (KnnBeta, {"alpha": 0.5, "beta": 0.5}),
    "beta(4, 0.1)": (KnnBeta, {"alpha": 4.0, "beta": 0.1}),
}
# The rows lie on a grid that float32 products keep, so only the rounding of sums remains.
ROUNDING = 1e-12


@pytest.fixture(params=["numpy", "numba"])
def small_bins(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Bins from the 30th row of 700 on, 40 of them, so that every bin holds many rows."""
    if request.param == "numba":
        compiled = pytest.importorskip("dvspark.kernels.loops.compiled_loops")
    monkeypatch.setattr(loops, "fastest", lambda: loops if request.param == "numpy" else compiled)
    monkeypatch.setattr(ranking, "SORTED_ROWS", 4)
    monkeypatch.setattr(ranking, "SORTED_ROWS_PER_NEIGHBOR", 1)
    monkeypatch.setattr(bins, "N_BINS", 40)
    monkeypatch.setattr(bins, "N_CELLS", 8)
    monkeypatch.setattr(bins, "SAMPLE_ONE_IN", 1)
    monkeypatch.setattr(bins, "SAMPLE_LIMITS", (1, 8_192))
    monkeypatch.setattr(bins, "near_rows", lambda n_train, n_exact, tolerance: max(30, n_exact))
    monkeypatch.setattr(distances, "TILE_ROWS", 37)


def rows_in_layout(layout: str, n_classes: int, seed: int, n: int = N) -> tuple[TrainArrays, ChunkArrays]:
    """Return rows on a coarse grid, where many are tied, with labels that make their order matter."""
    rng = np.random.default_rng(seed)
    x, z = (rng.integers(-9, 10, size=(size, D)).astype(np.float32) for size in (n, V))
    place = np.argsort(np.argsort(((x - z[0]) ** 2).sum(axis=1), kind="stable"))
    y = {
        "random": rng.integers(0, n_classes, size=n),
        "sorted by distance": place * n_classes // n,
        "alternating": place % n_classes,
        "one class far away": (place > n // 2).astype(np.int64),
    }[layout]
    if layout == "one class far away":
        x[y == 1] += 400
    train = distances.prepare(x, TrainLabels(y.astype(np.int32)), "euclidean")
    wanted = rng.integers(0, int(y.max()) + 1, size=V)
    return train, ChunkArrays(z, [np.array([label], np.int32) for label in wanted])


def both_rankings(
    rows: tuple[TrainArrays, ChunkArrays], formulas: RankingFormulas, ties: str
) -> tuple[Partial, Partial]:
    """Return the partial of the points that bins serve, all of them, and the one of the sort in float64."""
    train, chunk = rows
    weights_of, utility_of = formulas.rank_weights, formulas.utilities
    options = RankingOptions("euclidean", "default", ties, formulas.k, "binned", 2.0, row_bounds=True)
    game = game_of(train.n_train, options, weights_of, utility_of, Workspace())
    found, left = binned.binned_partial(train, chunk, game, Workspace())
    assert not len(left)
    in_order = RankingOptions("euclidean", "float64", ties, formulas.k)
    return found, ranking_partial(train, chunk, in_order, weights_of, utility_of, Workspace())


@pytest.mark.parametrize("utility", ["jia2019", "wang2023"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_binned__semivalues_stay_within_their_certificates(
    small_bins: Any, layout: str, shape: str, utility: str
) -> None:
    kernel, own = SHAPES[shape]
    cases = [(2, 1, "id", 0), (3, 4, "average", 1), (50, 12, "id", 2), (2, 14, "average", 3)]
    for n_classes, k, ties, seed in cases:
        parameters = {"k": k, "utility": utility, "n_classes": n_classes, **own}
        rows = rows_in_layout(layout, n_classes, seed)
        found, in_order = both_rankings(rows, kernel(**parameters), ties)
        assert found.row_bounds is not None
        assert np.all(found.row_bounds >= -ROUNDING)
        assert np.all(np.abs(found.value - in_order.value) <= found.row_bounds + ROUNDING)
        assert found.row_bounds.max() <= found.error_bound
        assert found.utility == pytest.approx(in_order.utility, abs=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_binned__the_most_neighbors_that_few_exact_rows_allow(shape: str) -> None:
    """Of k = 4,096 / 16 the exact rows are the 4,096 nearest: nothing here is made small but the training set."""
    kernel, own = SHAPES[shape]
    parameters = {"k": ranking.SORTED_ROWS // 16, "utility": "jia2019", "n_classes": 2, **own}
    rows = rows_in_layout("sorted by distance", 2, 4, n=14_000)
    found, in_order = both_rankings(rows, kernel(**parameters), "id")
    assert found.row_bounds is not None
    assert np.all(np.abs(found.value - in_order.value) <= found.row_bounds + ROUNDING)


def test_tails__say_from_where_suffix_weights_fall() -> None:
    for k, alpha, beta in ((1, 1.0, 1.0), (10, 16.0, 1.0), (10, 200.0, 1.0), (30, 4.0, 0.1), (5, 1.0, 16.0)):
        weights = KnnBeta(k, utility="jia2019", n_classes=2, alpha=alpha, beta=beta).rank_weights(3_000)
        tails = Tails.of(weights)
        # Section 7's ratio of neighbors falls below 1 beyond rank (k - 1) (alpha + beta) / (1 + beta) + 1.
        assert tails.falls_from == pytest.approx(max((k - 1) * (alpha + beta) / (1 + beta) + 1, k + 1) - 1, abs=2)
        assert np.all(np.diff(weights.suffix[tails.falls_from :]) <= 0)


def test_binned__leaves_points_alone_where_suffix_weights_still_rise(small_bins: Any) -> None:
    train, chunk = rows_in_layout("random", 2, 5)
    formulas = KnnBeta(4, "jia2019", 2, alpha=1_000.0, beta=1.0)
    options = RankingOptions("euclidean", "default", "id", 4, "binned", 2.0)
    game = game_of(train.n_train, options, formulas.rank_weights, formulas.utilities, Workspace())
    assert game.tails.falls_from > 16 * 30
    _, left = binned.binned_partial(train, chunk, game, Workspace())
    assert list(left) == [0, 1, 2]
