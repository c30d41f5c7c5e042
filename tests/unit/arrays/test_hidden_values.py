"""KNN-Shapley with noise on each value: how far a row can move another, how much noise follows, and what is refused."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

import dvspark
from dvspark.config.sources import load_config
from dvspark.errors import ConfigError, DataWarning, InputError
from dvspark.logs import Stages
from dvspark.methods.options import ValueOptions
from dvspark.privacy import KeptRelease, calibrate_values
from dvspark.run.request import RowRules
from dvspark.run.validate import validate_tables

RNG = np.random.default_rng(0)
X, Y, Z, T = RNG.normal(size=(300, 2)), RNG.integers(0, 2, 300), RNG.normal(size=(20, 2)), RNG.integers(0, 2, 20)
BUDGET = {"method": "knn_dp", "k": 5, "epsilon": 1.0, "delta": 1e-6}

pytestmark = pytest.mark.filterwarnings("ignore::dvspark.DataWarning")


def excess(sigma: float, epsilon: float, distance: float) -> float:
    """Return the smallest delta with which Gaussian noise is private for one that is moved so far."""
    ratio = distance / sigma
    below = norm.cdf(-ratio / 2 - epsilon / ratio)
    return float(norm.cdf(ratio / 2 - epsilon / ratio) - np.exp(epsilon) * below)


@pytest.mark.long
@pytest.mark.parametrize("k", [1, 2, 3])
def test_sensitivity__is_the_most_that_one_row_moves_another(k: int) -> None:
    """All orders of matches of up to 6 rows at one point, a row more at every rank."""
    most = 0.0
    for n in range(1, 6):
        for flags in itertools.product([0, 1], repeat=n):
            x = np.arange(1.0, n + 1)[:, None]
            values = dvspark.value_arrays(x, np.array(flags), [[0.0]], [1], k=k, n_classes=None)
            for place, flag in itertools.product(range(n + 1), [0, 1]):
                more_x, more_y = np.append(x[:, 0], place + 0.5)[:, None], np.append(flags, flag)
                more = dvspark.value_arrays(more_x, more_y, [[0.0]], [1], k=k)
                most = max(most, float(np.abs(more[:n] - values).max()))
    from dvspark.kernels.formulas.knn_dp import KnnDp

    sensitivity = KnnDp(k, 1.0, 1e-6, "add_remove").sensitivity
    assert most <= sensitivity + 1e-12
    assert most == pytest.approx(sensitivity, abs=1e-12)  # and some row does


@pytest.mark.parametrize(
    ("adjacency", "sensitivity", "said"),
    [("replace-one", 0.25, "adjacency"), ("add_remove", 0.0, "sensitivity"), ("add_remove", np.nan, "sensitivity")],
)
def test_calibrate_values__of_no_adjacency_or_sensitivity_has_no_noise(
    adjacency: str, sensitivity: float, said: str
) -> None:
    """An adjacency that is none had half of the noise that a changed row needs."""
    with pytest.raises(ConfigError, match=said):
        calibrate_values(1.0, 1e-6, adjacency, sensitivity)


@pytest.mark.parametrize("adjacency", ["add_remove", "replace_one"])
@pytest.mark.parametrize("epsilon", [0.1, 1.0, 8.0])
def test_calibrate_values__delivers_delta_and_a_little_less_noise_does_not(epsilon: float, adjacency: str) -> None:
    release = calibrate_values(epsilon, 1e-6, adjacency, 0.25)
    distance = 0.25 * (2 if adjacency == "replace_one" else 1)
    assert excess(release.sigma, epsilon, distance) <= 1e-6
    assert excess(release.sigma * 0.999, epsilon, distance) > 1e-6
    assert (release.adjacency, release.unit, release.n_validation) == (adjacency, "row", 1)


def test_values__are_exact_ones_with_noise_of_that_size() -> None:
    exact = dvspark.value_arrays(X, Y, Z, T, k=5)
    sigma = calibrate_values(1.0, 1e-6, "add_remove", 1 / 30).sigma
    noise = np.concatenate([dvspark.value_arrays(X, Y, Z, T, **BUDGET) - exact for _ in range(8)]) / sigma
    # Of 2,400 normal numbers: five standard errors of the mean, and of the variance.
    assert abs(noise.mean()) < 5 / np.sqrt(len(noise))
    assert abs(noise.var() - 1) < 5 * np.sqrt(2 / len(noise))
    summed = dvspark.value_arrays(X, Y, Z, T, **BUDGET, aggregate="sum")
    assert np.std(summed - 20 * exact) == pytest.approx(20 * sigma, rel=0.25)


def test_values__of_a_kept_release_spend_once() -> None:
    kept = KeptRelease()
    first = dvspark.value_arrays(X, Y, Z, T, **BUDGET, release=kept)
    assert first.tobytes() == dvspark.value_arrays(X, Y, Z, T, **BUDGET, release=kept).tobytes()
    ids, order = np.arange(300), RNG.permutation(300)
    moved = dvspark.value_arrays(X[order], Y[order], Z, T, **BUDGET, train_ids=ids[order], release=kept)
    np.testing.assert_array_equal(moved, first[order])
    with pytest.raises(InputError, match="one of others"):
        dvspark.value_arrays(X, 1 - Y, Z, T, **BUDGET, release=kept)
    assert first.tobytes() != dvspark.value_arrays(X, Y, Z, T, **BUDGET).tobytes()


def test_values__warn_that_pooled_values_spend_more() -> None:
    with pytest.warns(DataWarning, match="pooled"):
        dvspark.value_arrays(X, Y, Z, T, **BUDGET)


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"self_validation": True, "x_validation": None, "y_validation": None}, "self_validation"),
        ({"error_bound": True}, "error_bound"),
        ({"validation_weights": np.ones(20)}, "validation_weights"),
        ({"ties": "average"}, "ties"),
        ({"epsilon": None}, "epsilon"),
        ({"delta": 0.0}, "parameter 'delta'"),
    ],
)
def test_values__refuse_what_the_noise_does_not_cover(options: dict[str, Any], where: str) -> None:
    given = {"x_train": X, "y_train": Y, "x_validation": Z, "y_validation": T, **BUDGET}
    with pytest.raises(ConfigError) as refused:
        dvspark.value_arrays(**{**given, **options})
    assert [problem.where for problem in refused.value.problems] == [where]


def test_jobs__refuse_it_before_tables_are_read() -> None:
    config = load_config(None, {"train": "a", "validation": "b", "output": "c", **BUDGET})
    tables: Any = SimpleNamespace()
    with pytest.raises(ConfigError, match="a method of jobs"):
        validate_tables(tables, RowRules(), config.options(), None, 256, Stages())
    assert isinstance(config.options(), ValueOptions)
