"""Graphs of neighbors and gradients as inputs: the values of other code, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from worked_cases import VECTORS

import dvspark
from dvspark.errors import ConfigError, DvsparkError, InputError

CHG = [json.loads(path.read_text()) for path in sorted(VECTORS.glob("chg_*.json"))]


@pytest.mark.parametrize("case", CHG, ids=lambda case: case["id"])
def test_chg_value_arrays__equals_the_worked_case(case: dict[str, Any]) -> None:
    x = [row["x"] for row in case["inputs"]["train"]]
    alpha = None if case["params"]["alpha"] == "mean" else case["inputs"]["alpha"]
    np.testing.assert_allclose(dvspark.chg_value_arrays(x, alpha), case["expected"]["value"], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("alpha", [None, [0.5, -1.0]])
def test_chg_value_arrays__of_each_class_are_those_of_its_rows_alone(alpha: Any) -> None:
    x, classes = np.random.default_rng(4).normal(size=(30, 2)), np.array(list("abc") * 10)
    values = dvspark.chg_value_arrays(x, alpha, by=classes)
    for one in "abc":
        alone = dvspark.chg_value_arrays(x[classes == one], alpha)
        np.testing.assert_array_equal(values[classes == one], alone)


@pytest.mark.parametrize(
    ("by", "said"), [([1], "2 labels"), ([1, None], "1 without"), ([[1], [2, 3]], "one class a row"), ([1, "a"], "by")]
)
def test_chg_value_arrays__refuses_unusable_classes(by: Any, said: str) -> None:
    with pytest.raises(InputError) as refused:
        dvspark.chg_value_arrays([[1.0], [2.0]], by=by)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("x", "alpha", "said"),
    [
        ([1.0, 2.0], None, "shape (n, p)"),
        (np.zeros((0, 3)), None, "at least 1 × 1"),
        ([[1.0, np.nan]], None, "finite numbers"),
        ([["a", "b"]], None, "numbers"),
        ([[1.0, 2.0]], [1.0], "shape (2,)"),
        ([[1e200, 1.0]], None, "finite"),
    ],
)
def test_chg_value_arrays__refuses_unusable_numbers(x: Any, alpha: Any, said: str) -> None:
    with np.errstate(over="ignore", invalid="ignore"), pytest.raises(InputError) as refused:
        dvspark.chg_value_arrays(x, alpha)
    assert said in str(refused.value)


def test_value_arrays__scores_of_a_graph_are_those_of_the_embeddings_and_of_cleanlab() -> None:
    neighbors = pytest.importorskip("sklearn.neighbors")
    cleanlab = pytest.importorskip("cleanlab.data_valuation")
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(300, 6)), rng.integers(0, 4, 300)
    search = neighbors.NearestNeighbors(n_neighbors=9, metric="cosine").fit(x)
    graph = search.kneighbors_graph(mode="distance")
    by_graph = dvspark.value_arrays(None, y, method="cleanlab_knn_shapley", k=9, knn_graph=graph)
    by_rows = dvspark.value_arrays(x, y, method="cleanlab_knn_shapley", k=9, metric="cosine")
    np.testing.assert_array_equal(by_graph, cleanlab.data_shapley_knn(y, knn_graph=graph, k=9))
    np.testing.assert_array_equal(by_rows, cleanlab.data_shapley_knn(y, features=x, k=9))
    names = np.array(list("abcd"))[y]
    np.testing.assert_array_equal(
        dvspark.value_arrays(None, names, method="cleanlab_knn_shapley", k=9, knn_graph=graph), by_graph
    )


GRAPH = sparse.csr_matrix(1.0 - np.eye(4))
REFUSED: dict[str, tuple[Any, Any, dict[str, Any], type[DvsparkError], str]] = {
    "another method": (GRAPH, [0, 1, 0, 1], {"method": "knn_shapley"}, ConfigError, "need embeddings"),
    "no sparse matrix": (np.eye(4), [0, 1, 0, 1], {}, InputError, "a scipy sparse matrix"),
    "labels of another number": (GRAPH, [0, 1], {}, InputError, "4 labels"),
    "several labels a row": (GRAPH, [[0], [1], [0, 1], [1]], {}, InputError, "one label a row"),
    "too few neighbors": (GRAPH, [0, 1, 0, 1], {"k": 4}, InputError, "k = 4"),
    "k zero": (GRAPH, [0, 1, 0, 1], {"k": 0}, ConfigError, "at least 1"),
}


@pytest.mark.parametrize(("graph", "labels", "options", "kind", "said"), REFUSED.values(), ids=REFUSED)
def test_value_arrays__refuses_a_graph_that_does_not_serve(
    graph: Any, labels: Any, options: dict[str, Any], kind: type[DvsparkError], said: str
) -> None:
    with pytest.raises(kind) as refused:
        dvspark.value_arrays(None, labels, knn_graph=graph, **{"method": "cleanlab_knn_shapley", "k": 3, **options})
    assert said in str(refused.value)
