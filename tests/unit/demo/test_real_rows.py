"""The package against the definition in float64, on thousands of rows, where ranks hang on distances."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from oracles import FLOAT_ORDER_TOLERANCE, METHODS, METRICS, reference_values

import dvspark

DEMO = Path(dvspark.__file__).parent / "demo"
K = 10

Rows = tuple[np.ndarray, ...]


def assert_equals_reference(rows: Rows, *, precisions: Any = FLOAT_ORDER_TOLERANCE, **options: Any) -> None:
    """Compare value calls at each precision with ``reference_values`` of the same rows."""
    expected = reference_values(*rows, k=K, **options)
    for precision in precisions:
        values = dvspark.value_arrays(*rows, k=K, precision=precision, **options)
        tolerance = FLOAT_ORDER_TOLERANCE[precision]
        np.testing.assert_allclose(values, expected, rtol=0, atol=tolerance, err_msg=precision)


def demo_rows(file_name: str, n_rows: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return embeddings, labels and ids of the first rows in id order."""
    table = pq.read_table(DEMO / file_name).sort_by("id").slice(0, n_rows)
    embeddings = table["embedding"].combine_chunks()
    x = embeddings.values.to_numpy(zero_copy_only=False).reshape(len(table), -1)
    assert x.dtype == np.float32
    return x, np.array(table["label"].to_pylist()), table["id"].to_pylist()


def demo_sample(n_train: int, n_validation: int) -> tuple[Rows, list[str]]:
    """Return the first rows of the demo sample, and the ids of the train rows."""
    x_train, y_train, ids = demo_rows("train.parquet", n_train)
    x_validation, y_validation, _ = demo_rows("validation.parquet", n_validation)
    assert len(x_train) == n_train
    return (x_train, y_train, x_validation, y_validation), ids


@pytest.fixture(scope="module")
def duplicates() -> Rows:
    """50 distinct rows, a hundred times each on average; half of the validation rows are among them."""
    rng = np.random.default_rng(20)
    distinct = rng.normal(size=(50, 24)).astype(np.float32)
    x_train = distinct[rng.integers(0, 50, size=5003)]
    elsewhere = rng.normal(size=(15, 24)).astype(np.float32)
    x_validation = np.concatenate([distinct[:15], elsewhere])
    return x_train, rng.integers(0, 4, size=5003), x_validation, rng.integers(0, 4, size=30)


@pytest.fixture(scope="module")
def offset() -> Rows:
    """Distances of a few units between rows whose norms are in the thousands."""
    rng = np.random.default_rng(21)
    x = (rng.normal(size=(8100, 32)) + 1000).astype(np.float32)
    y = rng.integers(0, 5, size=8100)
    return x[:8000], y[:8000], x[8000:], y[8000:]


@pytest.fixture(scope="module")
def grid() -> Rows:
    """6,000 rows at 124 places, most of them as far from a point as several other places."""
    rng = np.random.default_rng(22)
    x = rng.integers(-2, 3, size=(6030, 3)).astype(np.float32)
    x[~x.any(axis=1), 0] = 1
    y = rng.integers(0, 4, size=6030)
    return x[:6000], y[:6000], x[6000:], y[6000:]


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("method", METHODS)
def test_value_arrays__equals_the_definition_on_real_rows(method: str, metric: str) -> None:
    rows, ids = demo_sample(2000, 200)
    assert_equals_reference(rows, method=method, metric=metric, train_ids=ids)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_value_arrays__equals_the_definition_where_far_ranks_are_not_exact(metric: str) -> None:
    # Up to some thousands of rows the default precision may order all of them in float64.
    rows, ids = demo_sample(8000, 40)
    assert_equals_reference(rows, precisions=["default"], method="knn_shapley", metric=metric, train_ids=ids)


@pytest.mark.parametrize("ties", ["id", "average"])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("method", METHODS)
def test_value_arrays__duplicates_tie_exactly(duplicates: Rows, method: str, metric: str, ties: str) -> None:
    assert_equals_reference(duplicates, method=method, metric=metric, ties=ties)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_value_arrays__duplicates_tie_exactly_for_a_single_point(duplicates: Rows, metric: str) -> None:
    # A matrix-vector product may round the last few of an odd number of rows unlike their duplicates.
    x_train, y_train, x_validation, y_validation = duplicates
    for v in range(len(x_validation)):
        point = (x_train, y_train, x_validation[v : v + 1], y_validation[v : v + 1])
        assert_equals_reference(point, precisions=["default"], method="knn_shapley", metric=metric)


@pytest.mark.parametrize("ties", ["id", "average"])
@pytest.mark.parametrize("metric", METRICS)
def test_value_arrays__different_rows_at_equal_distance_tie_exactly(grid: Rows, metric: str, ties: str) -> None:
    assert_equals_reference(grid, method="knn_shapley", metric=metric, ties=ties)


@pytest.mark.parametrize("metric", METRICS)
def test_value_arrays__a_large_offset_does_not_blur_the_order(offset: Rows, metric: str) -> None:
    assert_equals_reference(offset, method="knn_shapley", metric=metric)


@pytest.mark.long
def test_value_arrays__self_validation_equals_the_definition_on_thousands_of_rows() -> None:
    rng = np.random.default_rng(23)
    x = rng.normal(size=(4200, 2)).astype(np.float32)
    y = rng.integers(0, 4, size=4200)
    assert_equals_reference((x, y), precisions=["default"], method="knn_shapley", self_validation=True)
