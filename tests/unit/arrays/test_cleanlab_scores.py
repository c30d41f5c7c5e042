"""cleanlab's function: its scores to 1e-12 where no distances are equal, and what it is called with."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import dvspark
from dvspark import ConfigError, InputError

RNG = np.random.default_rng(17)


def rows(n: int, n_features: int) -> tuple[np.ndarray, np.ndarray]:
    return RNG.normal(size=(n, n_features)), RNG.integers(0, 4, n)


def of_cleanlab() -> Callable[..., np.ndarray]:
    function: Callable[..., np.ndarray] = pytest.importorskip("cleanlab.data_valuation").data_shapley_knn
    return function


def farthest(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max())


METRICS = [None, "cosine", "euclidean", "manhattan", "chebyshev", "correlation", "braycurtis"]
METRICS += [pytest.param(farthest, id="farthest")]  # by itself its place in memory would be the name


@pytest.mark.parametrize("metric", METRICS, ids=str)
@pytest.mark.parametrize(("n", "n_features"), [(60, 2), (60, 3), (60, 4), (150, 3), (150, 4), (300, 20)])
def test_data_shapley_knn__has_the_scores_of_cleanlab(n: int, n_features: int, metric: Any) -> None:
    x, y = rows(n, n_features)
    if metric == "braycurtis":
        x = np.abs(x)
    for options in ({}, {"k": 1}, {"k": 25}):
        found = dvspark.data_shapley_knn(y, features=x, metric=metric, **options)
        np.testing.assert_allclose(found, of_cleanlab()(y, features=x, metric=metric, **options), rtol=0, atol=1e-12)


def test_data_shapley_knn__is_called_as_cleanlab_is() -> None:
    ours = inspect.signature(dvspark.data_shapley_knn).parameters
    theirs = inspect.signature(of_cleanlab()).parameters
    assert [(p.name, p.kind, p.default) for p in ours.values()] == [
        (p.name, p.kind, p.default) for p in theirs.values()
    ]


def test_data_shapley_knn__a_graph_alone_is_enough_and_goes_before_features() -> None:
    x, y = rows(200, 5)
    neighbors = pytest.importorskip("sklearn.neighbors")
    graph = neighbors.NearestNeighbors(n_neighbors=15, metric="manhattan").fit(x).kneighbors_graph(mode="distance")
    found = dvspark.data_shapley_knn(y, knn_graph=graph, k=7)
    np.testing.assert_allclose(found, of_cleanlab()(y, knn_graph=graph, k=7), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(found, dvspark.data_shapley_knn(y, features=x, knn_graph=graph, k=7))
    np.testing.assert_array_equal(found, dvspark.data_shapley_knn(y, features=x, metric="manhattan", k=7))


def test_data_shapley_knn__labels_are_words_or_numbers_and_features_any_guise() -> None:
    x, y = rows(80, 3)
    found = dvspark.data_shapley_knn(np.array(list("abcd"))[y].tolist(), features=x.tolist())
    np.testing.assert_array_equal(found, dvspark.data_shapley_knn(y, features=x))


X, Y = rows(20, 4)
REFUSED: dict[str, tuple[Any, dict[str, Any], Any, str, str]] = {
    "neither": (Y, {}, ConfigError, "features", "features or a knn_graph"),
    "k too large": (Y, {"features": X, "k": 20}, ConfigError, "parameter 'k'", "at most the 19 other rows"),
    "k too large for scikit-learn": (
        Y,
        {"features": X, "k": 20, "metric": "manhattan"},
        ConfigError,
        "parameter 'k'",
        "at most the 19 other rows",
    ),
    "no metric": (Y, {"features": X, "metric": "no such"}, ConfigError, "metric", "that scikit-learn can use"),
    "too few labels": (Y[:5], {"features": X}, InputError, "labels", "20 labels"),
    "no numbers": (Y, {"features": [["a"]] * 20}, InputError, "features", "numbers"),
    "no rows": (Y, {"features": X[0], "metric": "manhattan"}, InputError, "features", "2-d"),
    "NaN": (Y, {"features": X * np.nan, "metric": "manhattan"}, InputError, "features", "finite numbers"),
    "no graph": (Y, {"knn_graph": X}, InputError, "knn_graph", "a scipy sparse matrix"),
    "a graph of others": (Y, {"knn_graph": sparse.csr_matrix((3, 3))}, InputError, "labels", "3 labels"),
}


@pytest.mark.parametrize(("y", "given", "kind", "where", "expected"), REFUSED.values(), ids=REFUSED)
def test_data_shapley_knn__refuses(y: Any, given: dict[str, Any], kind: Any, where: str, expected: str) -> None:
    if given.get("metric"):
        pytest.importorskip("sklearn")
    with pytest.raises(kind) as refused:
        dvspark.data_shapley_knn(y, **given)
    assert [problem.where for problem in refused.value.problems] == [where]
    assert expected in refused.value.problems[0].expected


@pytest.mark.long
def test_data_shapley_knn__needs_scikit_learn_for_its_metrics_alone_and_says_so() -> None:
    code = """
import sys
sys.modules["sklearn"] = None
import dvspark
x, y = [[0.0], [1.0], [3.0], [6.0]], [0, 1, 0, 1]
print(len(dvspark.data_shapley_knn(y, features=x, k=2)))
try:
    dvspark.data_shapley_knn(y, features=x, k=2, metric="manhattan")
except dvspark.ConfigError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("4\n")
    assert "pip install 'dvspark[models]'" in done.stdout
