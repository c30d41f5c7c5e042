"""Games of tables from Python: `value_arrays` has the bits of `value_game`, and agrees with values that are exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dvspark
from dvspark import ConfigError, InputError
from dvspark.games.utilities import GameTables, knn, model, threshold_knn
from dvspark.methods import GAMES

RNG = np.random.default_rng(5)
X, Z = RNG.normal(size=(24, 3)), RNG.normal(size=(15, 3))
Y, W = (np.where(x[:, 0] + 0.3 * RNG.normal(size=len(x)) > 0, "yes", "no") for x in (X, Z))
OWNERS = np.array(["c", "a", "b"])[np.arange(24) % 3]


@pytest.mark.parametrize("method", sorted(GAMES))
def test_value_arrays__has_the_bits_of_value_game(method: str) -> None:
    pytest.importorskip("sklearn")
    tables = GameTables.of(X, Y, Z, W)
    utility, given = (model(tables), {}) if method == "data_oob" else (knn(tables, k=3), {"k": 3})
    played = dvspark.value_game(utility, 24, method, 600, 7)
    assert dvspark.value_arrays(X, Y, Z, W, method=method, evaluations=600, seed=7, **given).tobytes() == (
        played.values.tobytes()
    )
    other = dvspark.value_arrays(X, Y, Z, W, method=method, evaluations=600, seed=8, **given)
    assert (other.tobytes() == played.values.tobytes()) == (method == "leave_one_out")  # which draws nothing


@pytest.mark.long
@pytest.mark.parametrize(
    ("exact", "options"),
    [
        ("knn_shapley", {"utility": "knn", "k": 3}),
        ("soft_knn_shapley", {"utility": "knn(utility='wang2023')", "k": 3}),
        ("knn_shapley", {"utility": "knn", "k": 3, "metric": "cosine"}),
        ("threshold_knn_shapley", {"utility": "threshold_knn", "radius": 1.5}),
    ],
)
def test_monte_carlo_shapley__agrees_with_the_exact_values_within_its_bound(
    exact: str, options: dict[str, Any]
) -> None:
    # Hoeffding's bound holds for all values at once with a chance of 99.9 %; the seed is fixed.
    found, bound = dvspark.value_arrays(
        X, Y, Z, W, method="monte_carlo_shapley", evaluations=100_000, bound="hoeffding", delta=1e-3, utility_range=1.0,
        error_bound=True, **options,
    )  # fmt: skip
    known = {name: value for name, value in options.items() if name != "utility"}
    expected = dvspark.value_arrays(X, Y, Z, W, method=exact, **known)
    assert np.abs(found - expected).max() <= bound.max() < 0.1
    assert np.corrcoef(found, expected)[0, 1] > 0.99


@pytest.mark.long
def test_monte_carlo_shapley__covers_knn_shapley_by_its_own_intervals() -> None:
    tables = GameTables.of(X, Y, Z, W)
    intervals = dvspark.value_game(knn(tables, k=3), 24, evaluations=60_000, seed=2).intervals(0.999)
    values = dvspark.value_arrays(X, Y, Z, W, method="monte_carlo_shapley", k=3, evaluations=60_000, seed=2)
    expected = dvspark.value_arrays(X, Y, Z, W, k=3)
    assert ((intervals[:, 0] <= values) & (values <= intervals[:, 1])).all()
    assert np.mean((intervals[:, 0] <= expected) & (expected <= intervals[:, 1])) >= 23 / 24


def test_leave_one_out__is_that_of_the_neighbors() -> None:
    found = dvspark.value_arrays(X, Y, Z, W, method="leave_one_out", k=3)
    np.testing.assert_allclose(found, dvspark.value_arrays(X, Y, Z, W, method="knn_loo", k=3), atol=1e-12)


@pytest.mark.long
def test_owners__are_players_in_ascending_order() -> None:
    options: dict[str, Any] = {"method": "monte_carlo_shapley", "players": "owners", "k": 3, "evaluations": 30_000}
    found = dvspark.value_arrays(X, Y, Z, W, owners=OWNERS, **options)
    expected = dvspark.value_arrays(X, Y, Z, W, method="owner_knn_shapley", owners=OWNERS, k=3)
    assert found.shape == (3,)
    np.testing.assert_allclose(found, expected, atol=0.02)
    with pytest.raises(ConfigError, match="owners"):
        dvspark.value_arrays(X, Y, Z, W, **options)


def test_order_of_rows__does_not_matter_where_they_have_ids() -> None:
    ids, order = np.arange(100, 124), RNG.permutation(24)
    options: dict[str, Any] = {"method": "ame", "utility": "sklearn.naive_bayes.GaussianNB", "evaluations": 200}
    pytest.importorskip("sklearn")
    found = dvspark.value_arrays(X, Y, Z, W, train_ids=ids, **options)
    again = dvspark.value_arrays(X[order], Y[order], Z, W, train_ids=ids[order], **options)
    assert found[order].tobytes() == again.tobytes()


def test_numbers_to_predict__reach_a_regressor_as_numbers() -> None:
    pytest.importorskip("sklearn")
    y, w = X @ [1.0, -2.0, 0.5], Z @ [1.0, -2.0, 0.5]
    spec = "sklearn.linear_model.Ridge(score='neg_mean_squared_error', empty_utility=-5.0)"
    given: dict[str, Any] = {"method": "monte_carlo_banzhaf", "evaluations": 300, "seed": 3}
    found = dvspark.value_arrays(X, y, Z, w, utility=spec, target="number", **given)
    utility = model(
        GameTables.of(X, y, Z, w),
        estimator="sklearn.linear_model.Ridge", score="neg_mean_squared_error", empty_utility=-5.0,
    )  # fmt: skip
    assert found.tobytes() == dvspark.value_game(utility, 24, **given).values.tobytes()
    with pytest.raises(InputError):
        dvspark.value_arrays(X, y, Z, w, utility=spec, **given)


def test_function__is_a_factory_that_gets_labels_as_they_were_given() -> None:
    seen: list[GameTables] = []

    def factory(tables: GameTables) -> Any:
        seen.append(tables)
        return threshold_knn(tables, radius=1.0)

    dvspark.value_arrays(X, Y, Z, W, method="ame", utility=factory, evaluations=100)
    assert len(seen) == 1
    np.testing.assert_array_equal(seen[0].y_train, Y)
    np.testing.assert_array_equal(seen[0].y_validation, W)


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"utility": "knnn"}, "parameter 'utility'"),
        ({"utility": 3}, "parameter 'utility'"),
        ({"utility": "threshold_knn"}, "parameter 'radius'"),
        ({"utility": "sklearn.svm.SVC", "metric": "cosine"}, "metric"),
        ({"evaluations": 40}, "evaluations"),
        ({"error_bound": True}, "error_bound"),
        ({"error_bound": True, "utility_range": 1.0, "truncation": 0.1}, "error_bound"),
        ({"epsilon": 0.1}, "parameter 'utility_range'"),
        ({"aggregate": "sum"}, "aggregate"),
        ({"players": "teams"}, "parameter 'players'"),
        ({"cache_worths": 1}, "parameter 'cache_worths'"),
        ({"validation_weights": np.ones(15)}, "validation_weights"),
        ({"method": "data_oob", "utility": "knn"}, "parameter 'utility'"),
        ({"method": "data_oob", "players": "owners", "owners": OWNERS}, "parameter 'players'"),
    ],
)
def test_unusable_options__are_told(options: dict[str, Any], where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        dvspark.value_arrays(X, Y, Z, W, **{"method": "monte_carlo_shapley", **options})
    assert where in {problem.where for problem in caught.value.problems}


def test_self_validation__is_refused_since_a_set_has_one_worth_for_all_rows() -> None:
    with pytest.raises(ConfigError, match="self_validation"):
        dvspark.value_arrays(X, Y, method="monte_carlo_shapley", self_validation=True)


def test_rows_of_several_labels__are_refused() -> None:
    with pytest.raises(ConfigError, match="one label a row"):
        dvspark.value_arrays(X, [["a", "b"]] * 24, Z, [["a"]] * 15, method="monte_carlo_shapley")


@pytest.mark.parametrize("method", ["influence", "knn_shapley"])
def test_value_game__by_a_method_of_tables_says_who_knows_it(method: str) -> None:
    with pytest.raises(ConfigError, match=r"dvspark\.value_arrays") as refused:
        dvspark.value_game(lambda players: float(len(players)), 3, method=method)
    assert method in str(refused.value)
