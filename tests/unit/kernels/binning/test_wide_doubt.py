"""More rows are near where doubt makes bins wide: then bins serve points that would come again otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dvspark.kernels.binning import binned, bins
from dvspark.kernels.distances.distances import prepare
from dvspark.kernels.formulas.knn_shapley import KnnShapley
from dvspark.kernels.ranking import near_order
from dvspark.kernels.workspace import Workspace
from dvspark.methods.options import ValueOptions
from dvspark.schemas import ChunkArrays, Partial, TrainLabels

N, D, POINTS, K = 200_000, 16, 16, 10
# Rows of 16 features whose keys count as so uncertain have as much doubt about them as some thousand features bring.
DEVIATIONS = 50.0


def valued(precision: str = "default") -> Partial:
    rng = np.random.default_rng(0)
    x, z = rng.standard_normal((N, D), np.float32), rng.standard_normal((POINTS, D), np.float32)
    y, y_z = rng.integers(0, 10, N).astype(np.int32), rng.integers(0, 10, POINTS).astype(np.int32)
    options: Any = ValueOptions(precision=precision, ranking="binned" if precision == "default" else "sorted")
    train = prepare(x, TrainLabels(y), options.metric)
    chunk, parameters = ChunkArrays(z, [np.array([label]) for label in y_z]), KnnShapley(K)
    given = (options.ranking_options(parameters, N), parameters, Workspace())
    return options.declaration.partial(train, chunk, *given)


def test_binned__serves_at_first_where_doubt_is_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    again, of_round = list[int](), binned._round

    def counted(*given: Any) -> Any:
        found = of_round(*given)
        again.append(len(found[1]))
        return found

    monkeypatch.setattr(near_order, "ERROR_DEVIATIONS", DEVIATIONS)
    monkeypatch.setattr(binned, "_round", counted)
    found, exact = valued(), valued("float64")
    assert again[0] == 0
    assert np.abs(found.value - exact.value).max() <= found.error_bound <= POINTS * 1e-8
    again.clear()
    monkeypatch.setattr(bins, "NEAR_WHERE_WIDER", ())
    valued()
    assert again[0] > 0  # so this is what the levels are for


def test_edges__have_more_rows_before_them_the_wider_doubt_is() -> None:
    n_near, n_sample = 20_000, bins.sample_size(N)
    keys = np.sort(np.random.default_rng(1).standard_normal(n_sample).astype(np.float32) * 100.0)

    def near(limit: float) -> float:
        (found,) = bins.edges(keys[None].copy(), N, n_near, [lambda some: np.full(len(some), limit)])
        assert found is not None
        return float(np.count_nonzero(keys <= found.low)) / n_sample * N / n_near

    quarters = [round(4 * near(limit)) for limit in np.geomspace(1e-6, 1.0, 60)]
    assert quarters == sorted(quarters)
    assert {*quarters} == {4, 5, 6}
