"""Near rows are those that another library finds."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from dvspark.kernels.distances.distances import prepare
from dvspark.review.near import near_bytes, near_table
from dvspark.schemas import TrainArrays, TrainLabels


def table(x: np.ndarray, metric: str) -> TrainArrays:
    return prepare(x, TrainLabels(np.zeros(len(x), np.int32)), metric)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("itself", [True, False])
def test_near_table__is_that_of_scikit_learn(metric: str, itself: bool) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(700, 6))
    z = x if itself else rng.normal(size=(300, 6))
    found = near_table(table(x, metric), z, metric, 7, itself=itself)
    others = NearestNeighbors(n_neighbors=7, metric=metric, algorithm="brute").fit(x)
    distances, rows = others.kneighbors(None if itself else z)
    np.testing.assert_array_equal(found.rows, rows)
    np.testing.assert_allclose(found.distances, distances, atol=1e-9)


def test_near_table__has_all_other_rows_where_there_are_fewer() -> None:
    x = np.arange(4.0)[:, None]
    found = near_table(table(x, "euclidean"), x, "euclidean", 20, itself=True)
    assert found.rows.tolist() == [[1, 2, 3], [0, 2, 3], [1, 3, 0], [2, 1, 0]]
    assert near_table(table(x[:1], "euclidean"), x[:1], "euclidean", 20, itself=True).n_near == 0


def test_near_bytes__grow_with_rows_and_neighbors_never_with_their_square() -> None:
    one, ten = (near_bytes(n, n, 384, 20) for n in (1_000_000, 10_000_000))
    assert one < 2**30
    assert ten < 10 * one
