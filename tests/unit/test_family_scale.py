"""Every method on thousands of float32 rows: the default precision against float64, and one method by another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from family import FAMILY, SCORES
from oracles import METRICS, float_distances, reference_values

import dvspark
from dvspark.methods import METHODS

N_TRAIN, N_FEATURES, N_POINTS = 3_000, 12, 4
WEIGHTED = "weighted_knn_shapley"
# All of so few rows stand in exact order, see `ranking.SORTED_ROWS`: only sums may be rounded apart.
TOLERANCE = 1e-12

# Beside the defaults, what is slow or counts differently.
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *[(method, {}) for method in FAMILY if method not in (WEIGHTED, "truncated_knn_shapley")],
    *[(method, {"utility": "wang2023"}) for method in FAMILY if METHODS[method].knows("utility")],
    (WEIGHTED, {"kind": "raw"}),
    (WEIGHTED, {"kind": "raw", "weight": "inverse_distance"}),
    (WEIGHTED, {"kind": "normalized", "k": 2}),
    (WEIGHTED, {"kind": "hard", "bits": 2, "k": 3}),
    (WEIGHTED, {"kind": "hard", "weight": "rbf", "gamma": 0.05, "n_nearest": 50}),
    ("truncated_knn_shapley", {"k_star": 100}),
    ("truncated_knn_shapley", {"epsilon": 0.01, "tail": "bound"}),
]


def drawn(method: str, offset: float = 0.0, n_train: int = N_TRAIN) -> dict[str, Any]:
    """Return rows of four classes around ``offset``, with duplicates, and what the method asks for."""
    rng = np.random.default_rng(7)
    y = rng.integers(0, 4, n_train + N_POINTS)
    x = (rng.standard_normal((len(y), N_FEATURES)) + 0.5 * y[:, None] + offset).astype(np.float32)
    x[1 : n_train // 2 : 7] = x[0 : n_train // 2 - 1 : 7]
    answers = y if METHODS[method].target == "label" else x[:, 0] + 0.1 * rng.standard_normal(len(y))
    found: dict[str, Any] = {"method": method, "x_train": x[:n_train], "y_train": answers[:n_train]}
    found |= {"train_ids": rng.permutation(n_train)}
    if not METHODS[method].self_validates:
        found |= {"x_validation": x[n_train:], "y_validation": answers[n_train:]}
    if METHODS[method].players == "owners":
        found["owners"] = rng.integers(0, 40, n_train)
    if method == WEIGHTED:
        found["weights"] = rng.random(n_train)
    return found


def values_of(given: dict[str, Any], variant: dict[str, Any], **options: Any) -> np.ndarray:
    if "weight" in variant:
        given = {name: given[name] for name in given if name != "weights"}
    return dvspark.value_arrays(**given, **variant, **options)


@pytest.mark.parametrize("offset", [0.0, 300.0])
@pytest.mark.parametrize(("method", "variant"), VARIANTS, ids=str)
def test_value_arrays__of_every_method_do_not_depend_on_the_precision(
    method: str, variant: dict[str, Any], offset: float
) -> None:
    given = drawn(method, offset, 500 if method == SCORES else N_TRAIN)
    exact = values_of(given, variant, precision="float64")
    values = values_of(given, variant)
    assert np.count_nonzero(exact) > 0
    np.testing.assert_allclose(values, exact, rtol=0, atol=TOLERANCE * max(1.0, np.abs(exact).max()))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("method", [method for method in FAMILY if method not in (WEIGHTED, SCORES)])
def test_value_arrays__of_every_method_do_not_depend_on_the_precision_under_any_metric(
    method: str, metric: str
) -> None:
    given = {**drawn(method), "metric": metric}
    variant = {"k_star": 50} if METHODS[method].knows("k_star") else {}
    exact = values_of(given, variant, precision="float64")
    np.testing.assert_allclose(values_of(given, variant), exact, rtol=0, atol=TOLERANCE * max(1.0, np.abs(exact).max()))


# --- where one method must be another ---------------------------------------------------------------------


@pytest.mark.parametrize("metric", METRICS)
def test_value_arrays__of_relatives_are_the_2019_values_where_they_must_be(metric: str) -> None:
    given = drawn("knn_shapley", n_train=1_000)
    train_ids = given.pop("train_ids")
    data = list(given.values())[1:]
    options = {"metric": metric, "train_ids": train_ids, "k": 5}
    expected = reference_values(*data, method="knn_shapley", **options)
    owners = np.random.default_rng(1).permutation(1_000)  # of one row each
    alike = {
        "knn_beta": {"alpha": 1, "beta": 1},
        "truncated_knn_shapley": {"k_star": 1_000, "tail": "bound"},
        WEIGHTED: {"weights": np.full(1_000, 0.2)},
        "owner_sum_of_points": {"owners": owners},
        "owner_knn_shapley": {"owners": owners},
    }
    for method, parameters in alike.items():
        values = dvspark.value_arrays(*data, method=method, **parameters, **options)
        values = values[owners] if "owners" in parameters else values
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12, err_msg=method)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", ["shapley", "banzhaf", "beta", "loo"])
def test_value_arrays__within_an_endless_radius_are_those_of_as_many_neighbors_as_rows(name: str, metric: str) -> None:
    given = {**drawn("knn_shapley"), "metric": metric}
    ranked = {"method": "soft_knn_shapley"} if name == "shapley" else {"method": f"knn_{name}", "utility": "wang2023"}
    expected = dvspark.value_arrays(**{**given, **ranked}, k=N_TRAIN)
    values = dvspark.value_arrays(**{**given, "method": f"threshold_knn_{name}"}, radius=1e9)
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-14)


# --- the automatic radius ---------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["default", "float64"])
@pytest.mark.parametrize("self_validation", [False, True])
@pytest.mark.parametrize("metric", METRICS)
def test_value_arrays__an_automatic_radius_gives_nine_of_ten_points_ten_neighbors(
    metric: str, self_validation: bool, precision: str
) -> None:
    given = {**drawn("threshold_knn_shapley", n_train=50), "metric": metric, "precision": precision}
    x = given["x_train"].astype(float)
    z = x if self_validation else np.random.default_rng(3).standard_normal((30, N_FEATURES)) + 1.0
    if self_validation:
        given |= {"self_validation": True, "x_validation": None, "y_validation": None}
    else:
        given |= {"x_validation": z, "y_validation": [1] * len(z)}
    of_points = [float_distances(x, point, metric) for point in z]
    if self_validation:
        of_points = [np.delete(distances, row) for row, distances in enumerate(of_points)]
    tenth = sorted(np.sqrt(np.sort(d)[9]) if metric == "euclidean" else np.sort(d)[9] for d in of_points)
    radius = tenth[int(0.9 * len(z)) - 1]
    # A little farther, so that the row at the radius is a neighbor however its distance was rounded.
    expected = dvspark.value_arrays(**given, radius=radius + 1e-9)
    np.testing.assert_array_equal(dvspark.value_arrays(**given), expected)


@pytest.mark.filterwarnings("ignore:.*no row within the radius:UserWarning")
@pytest.mark.parametrize("method", [method for method in FAMILY if METHODS[method].knows("radius")])
def test_value_arrays__an_automatic_radius_of_fewer_than_ten_rows_reaches_all(method: str) -> None:
    x, y = np.arange(7.0)[:, None], [0, 1, 0, 1, 1, 1, 0]
    automatic = dvspark.value_arrays(x, y, [[0.0], [6.0]], [0, 1], method=method)
    np.testing.assert_array_equal(
        automatic, dvspark.value_arrays(x, y, [[0.0], [6.0]], [0, 1], method=method, radius=99)
    )
    np.testing.assert_array_equal(dvspark.value_arrays(x[:1], y[:1], method=method, self_validation=True), [0.0])
