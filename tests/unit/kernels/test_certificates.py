"""Certificates: no value is further from the exact one than it says, whatever the data, the method and the ranking.

Exact values come from float64 differences, a stable sort and each method's recursion. Tolerances are large here, so
that doubt is left in small tables, and data are such that float32 keys leave much of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from property_tests import examples

import dvspark
from dvspark.kernels import loops
from dvspark.kernels.formulas.kinds import RankingFormulas
from dvspark.kernels.formulas.knn_banzhaf import KnnBanzhaf
from dvspark.kernels.formulas.knn_beta import KnnBeta
from dvspark.kernels.formulas.knn_shapley import KnnShapley
from dvspark.kernels.formulas.soft_knn_shapley import SoftKnnShapley
from dvspark.kernels.ranking import ranking

K = 3
N_CLASSES = 3
METHODS: dict[str, RankingFormulas] = {
    "knn_shapley": KnnShapley(K),
    "soft_knn_shapley": SoftKnnShapley(K, N_CLASSES),
    "knn_banzhaf": KnnBanzhaf(K, "jia2019", N_CLASSES),
    "knn_beta": KnnBeta(K, "jia2019", N_CLASSES, alpha=1.0, beta=4.0),
}
FAMILIES = (
    "normal",
    "towns",
    "offset",
    "whole",
    "duplicates",
    "equal",
    "tiny",
    "huge",
    "mixed",
    "outlier",
    "outlier among zeros",
    "unit",
    "grid",
    "wide",
)


def rows_of(family: str, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return rows of a family, the last of which are the points."""
    x = rng.normal(size=(n, 3))
    if family == "towns":
        x += 10.0 ** rng.integers(3, 7) * rng.integers(0, 2, (n, 1))
    if family == "duplicates":
        x = x[rng.integers(0, max(1, n // 5), n)]
    if family == "unit":
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        x[-1] = 0.0
    if family == "outlier among zeros":
        x[rng.random(n) < 0.5] = 0.0
    if family.startswith("outlier"):
        x[: n // 50 + 1] *= 1e5
    scales = {"tiny": 1e-18, "huge": 1e12, "equal": 0.0}
    x = {"offset": x + 300.0, "whole": np.round(3 * x), "grid": np.round(x, 2)}.get(family, x * scales.get(family, 1.0))
    if family == "mixed":
        x = x * 10.0 ** rng.integers(-3, 4, (n, 1))
    if family == "wide":
        x = rng.normal(size=(n, 40)) + 3.0
    return x.astype(np.float32)


def exact_values(x: Any, y: Any, z: Any, y_z: Any, method: str) -> np.ndarray:
    """Return the mean values over the points by float64 differences and the method's recursion."""
    found = np.zeros(len(x))
    for point, label in zip(z.astype(np.float64), y_z, strict=True):
        order = np.argsort(((x.astype(np.float64) - point) ** 2).sum(axis=1), kind="stable")
        found[order] += METHODS[method].recursive_values((y[order] == label).astype(np.float64))
    return found / len(z)


@pytest.mark.parametrize("choice", ["numpy", "numba"])
@examples(60)
@given(
    family=st.sampled_from(FAMILIES),
    method=st.sampled_from(sorted(METHODS)),
    tolerance=st.sampled_from([1e-8, 1e-4, 1e-2]),
    n=st.integers(2, 300),
    sorted_labels=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_certificate__covers_the_error_of_the_sorted_ranking(
    choice: str, family: str, method: str, tolerance: float, n: int, sorted_labels: bool, seed: int
) -> None:
    check(choice, family, method, tolerance, n, sorted_labels, seed, "sorted")


@pytest.mark.parametrize("choice", ["numpy", "numba"])
@examples(30)
@given(
    family=st.sampled_from(FAMILIES),
    method=st.sampled_from(sorted(METHODS)),
    tolerance=st.sampled_from([1e-4, 1e-3]),
    n=st.integers(1_500, 4_000),
    sorted_labels=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_certificate__covers_the_error_of_the_binned_ranking(
    choice: str, family: str, method: str, tolerance: float, n: int, sorted_labels: bool, seed: int
) -> None:
    check(choice, family, method, tolerance, n, sorted_labels, seed, "binned")


def check(
    choice: str,
    family: str,
    method: str,
    tolerance: float,
    n: int,
    sorted_labels: bool,
    seed: int,
    how: str,
) -> None:
    rng = np.random.default_rng(seed)
    rows, y = rows_of(family, n + 2, rng), rng.integers(0, N_CLASSES, n)
    x, z, y_z = rows[:n], rows[n:], rng.integers(0, N_CLASSES, 2)
    if sorted_labels:  # the order by distance, in runs: a swap at the end of one matters most
        y[np.argsort(((x.astype(np.float64) - z[0]) ** 2).sum(axis=1), kind="stable")] = np.arange(n) // 7 % N_CLASSES
    expected = exact_values(x, y, z, y_z, method)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "SORTED_ROWS", 8)
        patch.setattr(ranking, "SORTED_ROWS_PER_NEIGHBOR", 1)
        patch.setenv(loops.CHOICE_VARIABLE, choice)
        loops.fastest.cache_clear()
        parameters = {name: value for name, value in METHODS[method].plain().items() if name != "n_classes"}
        found, bound = dvspark.value_arrays(
            x, y, z, y_z, method=method, ranking=how, tolerance=tolerance, error_bound=True, n_classes=N_CLASSES,
            **parameters,
        )  # fmt: skip
    loops.fastest.cache_clear()
    assert bound.max() <= tolerance
    error = np.abs(found - expected)
    assert np.all(error <= bound + 1e-14), (family, float(error.max()), float(bound.max()))


@pytest.mark.parametrize("choice", ["numpy", "numba"])
@pytest.mark.parametrize("ranking_of", ["sorted", "binned"])
def test_certificate__covers_unit_rows_that_are_one_but_for_rounding(
    choice: str, ranking_of: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # All rows are at the same angle. Few of them round to another unit row, which no sampled row may tell.
    monkeypatch.setenv(loops.CHOICE_VARIABLE, choice)
    for seed in range(10):
        rng = np.random.default_rng(seed)
        x = (np.abs(rng.normal(size=(201, 1))) + 2118).astype(np.float32)
        y = rng.integers(0, 2, 200)
        found, bound = dvspark.value_arrays(
            x[:200], y, x[200:], [1], k=2, metric="cosine", ranking=ranking_of, error_bound=True
        )
        want = KnnShapley(2).recursive_values((y == 1).astype(np.float64))
        assert (np.abs(found - want) <= bound + 1e-12).all()
