"""Data-OOB against models that scikit-learn trains on the same bags, and against all bags of few rows."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from dvspark import ComputeError, ConfigError, value_game
from dvspark.games.utilities import GameTables, knn, model


def drawn(n: int, seed: int) -> GameTables:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    y = (x[:, 0] > 0).astype(int)
    return GameTables.of(x, y, x, y)


@pytest.mark.long
@pytest.mark.parametrize("estimator", ["KNeighborsClassifier", "KNeighborsRegressor"])
def test_values__are_means_over_all_bags(estimator: str) -> None:
    """Of 4 rows there are 256 bags, all equally likely. False alarm: 4 values beyond 5.5 standard errors, 2e-7."""
    import sklearn.neighbors

    tables = drawn(4, 1)
    sums, counts = np.zeros(4), np.zeros(4)
    for bag in product(range(4), repeat=4):
        fitted = getattr(sklearn.neighbors, estimator)(n_neighbors=1).fit(
            tables.x_train[list(bag)], tables.y_train[list(bag)]
        )
        answers = fitted.predict(tables.x_train)
        score = (answers == tables.y_train) if estimator.endswith("Classifier") else -((answers - tables.y_train) ** 2)
        out = ~np.isin(np.arange(4), bag)
        sums += np.where(out, score, 0.0)
        counts += out
    utility = model(tables, estimator=f"sklearn.neighbors.{estimator}", score=lambda *_: 0.5, n_neighbors=1)
    result = value_game(utility, 4, "data_oob", 1_000)
    assert np.abs(result.values - sums / counts).max() <= 5.5 * result.standard_errors.max() + 1e-12
    assert result.standard_errors.max() < 0.04


def test_wrong_labels__come_last() -> None:
    tables = drawn(40, 2)
    y = tables.y_train.copy()
    y[:4] = 1 - y[:4]
    turned = GameTables(tables.x_train, y, tables.x_validation, tables.y_validation)
    utility = model(turned, estimator="sklearn.naive_bayes.GaussianNB")
    result = value_game(utility, 40, "data_oob", 120, utility_range=1.0)
    assert result.values[:4].mean() < 0.5 < result.values[4:].mean()
    assert 0 < result.error_bound < 1


def test_bound__is_kept_at_the_number_of_draws_for_it() -> None:
    class Coin:
        """Scores rows by a number that follows from the bag."""

        def __call__(self, players: np.ndarray) -> float:
            return 0.5

        def scores(self, bag: np.ndarray) -> np.ndarray:
            return np.full(5, float(bag.sum() % 2))

    result = value_game(Coin(), 5, "data_oob", 10**6, epsilon=0.1, delta=0.01, utility_range=1.0)
    assert result.stopped_by == "epsilon"
    bags = list(product(range(5), repeat=5))
    for row in range(5):
        exact = np.mean([sum(bag) % 2 for bag in bags if row not in bag])
        assert abs(result.values[row] - exact) <= 0.1


def test_unfit_utilities__are_told_of() -> None:
    tables = drawn(6, 3)
    with pytest.raises(ConfigError, match="scores of rows"):
        value_game(knn(tables, k=1), 6, "data_oob")
    with pytest.raises(ConfigError, match="n_players"):
        value_game(model(tables), 1, "data_oob")

    class Failing:
        def __init__(self, found: object) -> None:
            self.found = found

        def __call__(self, players: np.ndarray) -> float:
            return 0.0

        def scores(self, bag: np.ndarray) -> object:
            if self.found is None:
                raise ValueError("no model")
            return self.found

    for found in (None, [1.0], [np.nan] * 6):
        with pytest.raises(ComputeError, match="calls failed"):
            value_game(Failing(found), 6, "data_oob", 200)
    owned = GameTables.of(tables.x_train, tables.y_train, tables.x_train, tables.y_train, owners=list("aabbcc"))
    with pytest.raises(ComputeError, match="bags are of rows"):
        value_game(model(owned, estimator="sklearn.naive_bayes.GaussianNB"), 3, "data_oob", 200)
