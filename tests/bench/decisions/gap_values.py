"""Decision 0018: one point, from keys to sums over rows, by gaps between sorted matches and by the sort of all rows."""

from __future__ import annotations

import sys
from unittest import mock

from tests.bench.decisions import cpu_seconds, print_machine

import numpy as np  # isort: skip

from dvspark.kernels.distances import distances
from dvspark.kernels.distances.distances import prepare
from dvspark.kernels.formulas.knn_shapley import KnnShapley
from dvspark.kernels.ranking import gap_values, ranking
from dvspark.kernels.ranking.gap_values import CodedPoints
from dvspark.kernels.ranking.partials import ranking_partial
from dvspark.kernels.ranking.ranking import KeyedPoint, RankingOptions
from dvspark.kernels.workspace import Workspace
from dvspark.schemas import ChunkArrays, TrainLabels

# Rows, and classes, of which each point's is one; then how rows are spread, by their lengths or around class centers.
SHAPES = [(12_500, 10), (20_000, 10), (50_000, 4), (50_000, 6), (50_000, 10), (50_000, 100), (150_000, 10)]
SPREADS = ("classes apart", "lognormal lengths", "Pareto lengths")
N_FEATURES, N_POINTS = 32, 64
PRODUCT_ROWS, PRODUCT_FEATURES, PRODUCT_POINTS = 50_000, 256, (64, 128, 256, 320, 512, 1_024)
RUNS, K = 5, 10


def main() -> int:
    """Print products by points at once, then both ways by rows, classes and distances, and by places a match."""
    print_machine()
    rng = np.random.default_rng(0)
    x = rng.standard_normal((PRODUCT_ROWS, PRODUCT_FEATURES), np.float32)
    train = prepare(x, TrainLabels(np.zeros(PRODUCT_ROWS, np.int32)), "euclidean")
    for points in PRODUCT_POINTS:
        z, keys = x[:points], np.empty((points, PRODUCT_ROWS), np.float32)
        seconds = cpu_seconds(lambda z=z, keys=keys: distances.approximate_keys(train, z, "euclidean", keys), RUNS)
        print(f"| {points} | {1e6 * seconds / points:.0f} |")
    for n_train, n_classes in SHAPES:
        print(f"| {n_train:,} | {n_classes} | normal | {_line(n_train, n_classes)} |")
    for spread in SPREADS:
        print(f"| 50,000 | 10 | {spread} | {_line(50_000, 10, spread)} |")
    for places in (1, 3, 6, 12):
        with mock.patch.object(gap_values, "PLACES_PER_MATCH", places):
            print(f"| {places} places a match | {_line(50_000, 10)} |")
    return 0


def _line(n_train: int, n_classes: int, spread: str = "normal") -> str:
    """Return CPU µs of a point from keys to sums, by the sort and by gaps, and the share of points that gaps serve."""
    rng = np.random.default_rng(0)
    x, z = (rng.standard_normal((n, N_FEATURES), np.float32) for n in (n_train, N_POINTS))
    y, y_z = (rng.integers(0, n_classes, n).astype(np.int32) for n in (n_train, N_POINTS))
    if spread == "classes apart":
        centers = 2.0 * rng.standard_normal((n_classes, N_FEATURES), np.float32)
        x, z = x + centers[y], z + centers[y_z]
    elif spread != "normal":
        lengths = rng.pareto(1.0, n_train) if spread == "Pareto lengths" else rng.lognormal(0.0, 1.5, n_train)
        x *= lengths[:, None].astype(np.float32)
    codes = [np.array([code], np.int32) for code in y_z]
    train = prepare(x, TrainLabels(y), "euclidean")
    keys = np.empty((N_POINTS, n_train), np.float32)
    sizes = distances.approximate_keys(train, z, "euclidean", keys)
    points = [KeyedPoint(*of, None) for of in zip(z, map(float, sizes), keys, codes, strict=True)]
    options, workspace, taken, take = RankingOptions("euclidean", "default", "id", K), Workspace(), [], CodedPoints.take

    def partial() -> None:
        ranking_partial(train, ChunkArrays(z, codes), options, weights_of, lambda m, _n: (m / K, 0.0), workspace)

    def weights_of(n_players: int, weights: object = KnnShapley(K).rank_weights(n_train)) -> object:
        return weights

    with (
        mock.patch.object(ranking, "keyed_points", return_value=points),
        mock.patch.object(gap_values, "ROWS_PER_MATCH", 2),
        mock.patch.object(gap_values, "FEWEST_ROWS", 2),
    ):
        with mock.patch.object(CodedPoints, "take", lambda *given: taken.append(take(*given)) or taken[-1]):
            partial()
        by_gaps = cpu_seconds(partial, RUNS) / N_POINTS
        with mock.patch.object(CodedPoints, "take", return_value=None):
            by_sort = cpu_seconds(partial, RUNS) / N_POINTS
    served = sum(found is not None for found in taken) / len(taken)
    return f"{1e6 * by_sort:.0f} | {1e6 * by_gaps:.0f} | {served:.0%}"


if __name__ == "__main__":
    sys.exit(main())
